"""A Pulumi project of a test, and a PULUMI_HOME of its own, with the plugins of this very tree."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airgap import plugins, pulumi_cli

COMMAND_SECONDS = 240
HIDDEN = "never-to-be-read-in-plain"


@dataclass
class Project:
    """A Pulumi project in a folder of its own, with a file backend of its own."""

    folder: Path
    home: Path
    suffix: str

    def pulumi(self, *arguments: str, fails: bool = False) -> str:
        """Run the CLI; its output. It has to fail or not, as said."""
        variables = {
            **os.environ,
            "PULUMI_HOME": str(self.home),
            "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        command = [str(self.home / "bin" / "pulumi"), *arguments, "--non-interactive", "--color", "never"]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output
        return output

    def up(self, *arguments: str, fails: bool = False) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", "dev", *arguments, fails=fails)

    def state(self) -> Any:
        return json.loads(self.pulumi("stack", "export", "--stack", "dev"))

    def outputs(self) -> Any:
        return json.loads(self.pulumi("stack", "output", "--json", "--stack", "dev"))


def new_project(folder: Path, home: Path, program: str) -> Project:
    (folder / "state").mkdir(parents=True)
    settings = {"name": "airgap", "runtime": {"name": "python", "options": {"virtualenv": sys.prefix}}}
    (folder / "Pulumi.yaml").write_text(json.dumps(settings))
    (folder / "__main__.py").write_text(program)
    project = Project(folder, home, f"airgap-{secrets.token_hex(4)}")
    project.pulumi("stack", "init", "dev")
    project.pulumi("config", "set", "suffix", project.suffix)
    project.pulumi("config", "set", "--secret", "token", HIDDEN)
    return project


def lay_pulumi_home(home: Path) -> Path:
    """A PULUMI_HOME with the CLI of the machine (built when it is not there) and the plugins of this very tree."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    shared = Path(os.environ.get("WORKFLOW_HOME") or Path(data, "workflow-platform")) / "pulumi"
    cli = pulumi_cli.install(shared, lambda line: sys.stderr.write(f"{line}\n"))
    (home / "bin").mkdir()
    for name in ("pulumi-language-python-exec", "pulumi-resource-pulumi-python"):
        shutil.copy2(cli.parent / name, home / "bin" / name)
    (home / "bin" / "pulumi").symlink_to(cli)
    plugins.install(home, Path(sys.executable), lambda line: None)
    return home

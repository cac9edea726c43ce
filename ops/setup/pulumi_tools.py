"""The Pulumi CLI and its plugins: the official ones where they are or can be had, else those of `airgap`."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.console import Report
from ops.environment import pulumi_environment
from ops.errors import OperatorError
from ops.home import Home
from ops.setup.command import run

OLDEST_CLI = (3, 250, 0)
PLUGINS = {"docker": "5.2.0"}
DOWNLOAD_SECONDS = 60.0


class PulumiTools:
    """What is installed in one PULUMI_HOME, and how to complete it."""

    def __init__(self, home: Home, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = {**environ, **pulumi_environment(home, environ)}
        self.pulumi_home = Path(self.environ["PULUMI_HOME"])

    def cli(self) -> Path | None:
        """The CLI that will be run, if it is of major version 3 and new enough."""
        found = shutil.which("pulumi", path=self.environ["PATH"])
        if found is None:
            return None
        version = cli_version(Path(found))
        return Path(found) if version >= OLDEST_CLI and version[0] == OLDEST_CLI[0] else None

    def ensure_cli(self, report: Report) -> None:
        """Builds the CLI from its module. Raises what airgap raises, each with a reason and a mend."""
        from airgap import pulumi_cli

        pulumi_cli.install(self.pulumi_home, report)
        if self.cli() is None:
            raise OperatorError(
                f"the Pulumi CLI that was installed in {self.pulumi_home / 'bin'} does not answer as {OLDEST_CLI}",
                f"remove {self.pulumi_home} and run the command again",
            )

    def plugins_ready(self) -> bool:
        """Whether the language host and each provider plugin are there.

        Those served by this project follow the tree: laying them anew is quick, whole, and part of looking.
        """
        missing = [name for name, version in PLUGINS.items() if not self._plugin(name, version).exists()]
        if missing or not self._language_host():
            return False
        if self._served_by_us():
            self._serve(lambda _line: None)
        return True

    def ensure_plugins(self, report: Report) -> None:
        """Installs the official plugins where their host answers, else serves them from `airgap`."""
        if not (self._is_official() and self._language_host() and self._download(report)):
            self._serve(report)

    def _serve(self, report: Report) -> None:
        from airgap import plugins

        plugins.install(self.pulumi_home, Path(self.environ["PULUMI_PYTHON_CMD"]), report)

    def _language_host(self) -> bool:
        """Whether there is a Python language host, beside the CLI or on PATH."""
        beside = f"{cli.resolve().parent}{os.pathsep}" if (cli := self.cli()) else ""
        return shutil.which("pulumi-language-python", path=f"{beside}{self.environ['PATH']}") is not None

    def _plugin(self, name: str, version: str) -> Path:
        return self.pulumi_home / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"

    def _served_by_us(self) -> bool:
        """Whether a plugin is one of ours: those are scripts."""
        for name, version in PLUGINS.items():
            plugin = self._plugin(name, version)
            if plugin.exists() and plugin.read_bytes()[:2] == b"#!":
                return True
        return False

    def _is_official(self) -> bool:
        """Whether the CLI came from outside; where this project built it, downloads do not answer."""
        cli = self.cli()
        return cli is not None and self.pulumi_home.resolve() not in cli.resolve().parents

    def _download(self, report: Report) -> bool:
        for name, version in PLUGINS.items():
            if self._plugin(name, version).exists():
                continue
            report(f"asking for the official {name} plugin {version}")
            command = [str(self.cli()), "plugin", "install", "resource", name, version, "--color", "never"]
            try:
                run(command, report, DOWNLOAD_SECONDS, "check the network", self.environ)
            except OperatorError as error:
                report(f"not to be had here ({error.reason})")
                return False
        return True


def cli_version(path: Path) -> tuple[int, ...]:
    """The version that a CLI gives; zeros when it gives none."""
    try:
        answer = subprocess.run(
            [str(path), "version"], capture_output=True, text=True, timeout=30, check=False,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0, 0)
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", answer.stdout.strip())
    return tuple(map(int, match.groups())) if match else (0, 0, 0)

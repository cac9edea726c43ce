"""Mutated copies of this project, judged by the command that people use and by the engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.home import PROJECT_DIR

SECONDS = 300
COPIED = ("stacks", "infra", "policies", "checklist", "ops", "images", "service", "airgap", "docs", "requirements")
"""The folders that judging a stack reads."""


@dataclass(frozen=True)
class Mutation:
    """One text replaced in one file: what a person might write who does not know better."""

    item: str
    """The requirement that it breaks."""
    stack: str
    """dev or prod: which stack is judged."""
    file: str
    old: str
    """A text that is in the file once."""
    new: str
    consequences: frozenset[str] = frozenset()
    """Other requirements that this must break too, because they ask the same from another side."""

    @property
    def id(self) -> str:
        """For the test's name."""
        return f"{self.item}-{self.stack}"


@contextmanager
def mutated(mutation: Mutation | None, folder: Path) -> Iterator[Path]:
    """A copy of the project with the mutation in it; None: without one. AssertionError when its text is not there."""
    copy = folder / "project"
    copy.mkdir()
    try:
        for name in COPIED:
            shutil.copytree(PROJECT_DIR / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [*PROJECT_DIR.glob("Pulumi*.yaml"), *PROJECT_DIR.glob("*.py"), *PROJECT_DIR.glob("*.md")]:
            shutil.copy(path, copy)
        for name in ("pyproject.toml", "deploy-api.sh"):
            shutil.copy(PROJECT_DIR / name, copy)
        (copy / ".venv").symlink_to(sys.prefix)
        if mutation is not None:
            path = copy / mutation.file
            text = path.read_text(encoding="utf-8")
            assert text.count(mutation.old) == 1, (
                f"{mutation.file} has {text.count(mutation.old)} times: {mutation.old}"
            )
            path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        yield copy
    finally:
        # The environment is only linked: it must outlive the copy.
        (copy / ".venv").unlink(missing_ok=True)
        shutil.rmtree(copy)


def judged(copy: Path, stack: str) -> dict[str, Any]:
    """What `policy STACK --format json` says of a copy; a description that the model refuses counts as its items."""
    done = run([sys.executable, "-P", "-m", "ops", "policy", "check", stack, "--format", "json"], copy)
    if done.stdout.startswith("{"):
        document: dict[str, Any] = json.loads(done.stdout)
        return document
    refused = [line for line in done.stderr.splitlines() if "[" in line and line.rstrip().endswith("]")]
    assert refused, f"exit code {done.returncode}\n{done.stderr[-3000:]}"
    items = [line.rstrip().rpartition("[")[2].rstrip("]") for line in refused]
    return {"blocked": True, "findings": [{"item": item, "blocks": True, "check": "model"} for item in items]}


def previewed(copy: Path, stack: str, state: Path) -> subprocess.CompletedProcess[str]:
    """A real preview of a copy under the pack, with a state of its own."""
    environ = {"PULUMI_BACKEND_URL": f"file://{state}", "PULUMI_CONFIG_PASSPHRASE": "of-a-test"}
    state.mkdir(exist_ok=True)
    run(["pulumi", "stack", "init", stack, "--non-interactive"], copy, environ)
    words = [
        "pulumi",
        "preview",
        "--stack",
        stack,
        "--policy-pack",
        "policies",
        "--non-interactive",
        "--color",
        "never",
    ]
    return run(words, copy, environ)


def run(
    command: Sequence[str], folder: Path, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command in a copy."""
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )

"""Mutated copies of this project, judged by the command that people use and by the engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.pack import TOGETHER
from tests.policies.mutations.good_tree import PASSPHRASE, GoodTree, git

SECONDS = 600
_POLICY = re.compile(r"^\s+- \[(?:mandatory|advisory)\](?: \[[^\]]*\])*\s+([a-z0-9-]+)\s", re.MULTILINE)
REPORTS = "reports/"
"""What the path of a file begins with that is no file of the project but a report about it."""


@dataclass(frozen=True)
class Mutation:
    """The smallest change that breaks one requirement: what a person might write who does not know better.

    One text of one file is replaced; or, with `command`, that is run in the copy instead.
    """

    item: str
    """The requirement that it breaks."""
    stack: str
    """dev or prod: which stack is judged."""
    file: str
    """Of the project; `reports/...` for a report about it, which is judged then as before a release."""
    old: str
    """A text that is in the file once."""
    new: str
    check: str
    """The name of the rule that finds it."""
    consequences: frozenset[str] = frozenset()
    """Other requirements that this must break too, because they ask the same from another side."""
    command: tuple[str, ...] = ()
    """Words of git, run in the copy after it was committed and tagged; judged as before a release."""

    @property
    def id(self) -> str:
        """For the test's name."""
        return f"{self.item}-{self.stack}"

    @property
    def as_released(self) -> bool:
        """Whether it is judged with the reports, as before a release."""
        return bool(self.command) or self.file.startswith(REPORTS)


@contextmanager
def mutated(mutation: Mutation, tree: GoodTree) -> Iterator[GoodTree]:
    """The good tree with the mutation in it, and without it again. AssertionError when its text is not there."""
    if mutation.command:
        tags = subprocess.run(["git", "-C", tree.root, "tag"], check=True, capture_output=True, text=True, timeout=60)
        git(tree.root, *mutation.command)
        try:
            yield tree
        finally:
            for tag in tags.stdout.split():
                git(tree.root, "tag", "--force", tag)
        return
    folder = tree.home if mutation.file.startswith(REPORTS) else tree.root
    path = folder / mutation.file
    text, times = path.read_text(encoding="utf-8"), path.stat()
    assert text.count(mutation.old) == 1, f"{mutation.file} has {text.count(mutation.old)} times: {mutation.old}"
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        yield tree
    finally:
        path.write_text(text, encoding="utf-8")
        # Its compiled form is good again, too.
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def judged(tree: GoodTree, stack: str, *, as_released: bool = False) -> dict[str, Any]:
    """What `policy STACK --format json` says of a copy; a description that the model refuses counts as its items."""
    words = [sys.executable, "-P", "-B", "-m", "ops", "policy", "check", stack, "--format", "json"]
    done = run([*words, "--reports"] if as_released else words, tree)
    if done.stdout.startswith("{"):
        document: dict[str, Any] = json.loads(done.stdout)
        return document
    refused = [line for line in done.stderr.splitlines() if "[" in line and line.rstrip().endswith("]")]
    assert refused, f"exit code {done.returncode}\n{done.stderr[-3000:]}"
    items = [line.rstrip().rpartition("[")[2].rstrip("]") for line in refused]
    return {"blocked": True, "findings": [{"item": item, "blocks": True, "check": "model"} for item in items]}


def previewed(tree: GoodTree, stack: str, state: Path) -> subprocess.CompletedProcess[str]:
    """A real preview of a copy under the pack, with a state of its own."""
    environ = {"PULUMI_BACKEND_URL": f"file://{state}"}
    if not state.exists():
        state.mkdir()
        description = (tree.root / f"Pulumi.{stack}.yaml").read_bytes()
        run(["pulumi", "stack", "init", stack, "--non-interactive"], tree, environ)
        # It writes its salt into the description.
        (tree.root / f"Pulumi.{stack}.yaml").write_bytes(description)
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
    return run(words, tree, environ)


def told_by(preview: subprocess.CompletedProcess[str]) -> set[str]:
    """The requirements under whose names a preview shows findings."""
    return {name.removesuffix(TOGETHER) for name in _POLICY.findall(preview.stdout)}


def run(
    command: Sequence[str], tree: GoodTree, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command in a copy."""
    return subprocess.run(
        command,
        cwd=tree.root,
        env={**os.environ, **_of_the_copy(tree), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _of_the_copy(tree: GoodTree) -> dict[str, str]:
    return {"PYTHONPATH": str(tree.root), "WORKFLOW_HOME": str(tree.home), "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}

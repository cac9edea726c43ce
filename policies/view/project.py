"""The project's own files and the reports about them, for rules that no resource can answer."""

from __future__ import annotations

import json
import subprocess
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from images import catalog
from images.errors import UnknownImageError
from policies.view.dockerfile import Dockerfile, read_dockerfile
from policies.view.tree import Tree, tree_of
from policies.view.values import NotApplicableError
from stacks.ephemeral import PREFIX
from stacks.model import PROJECT

EXTENDS = f"{PROJECT}:extends"
"""The key by which a stack's file names the one that it changes."""


@dataclass(frozen=True, eq=False)
class Project:
    """A checkout, and what was written down about it: `reports` has one JSON document for each kind of report."""

    root: Path
    stack: str
    reports: Path | None = None

    def text(self, path: str) -> str | None:
        """The content of a file of the tree; None when it is not there."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def files(self, pattern: str) -> list[Path]:
        """The files that match, sorted."""
        return sorted(self.root.glob(pattern))

    @cached_property
    def tracked(self) -> list[str]:
        """The paths of all files under version control; where that can't be asked, of all files but hidden folders'."""
        try:
            command = ["git", "-C", str(self.root), "ls-files", "-z"]
            listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
            return sorted(filter(None, listed.split("\0")))
        except (OSError, UnicodeDecodeError, subprocess.SubprocessError):
            found = [path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file()]
            return sorted(str(path) for path in found if not any(part.startswith(".") for part in path.parts[:-1]))

    def report(self, kind: str) -> dict[str, Any] | None:
        """What was last written down about this tree; None when nothing was, or it can't be read.

        Raises NotApplicableError where reports are not to be judged.
        """
        if self.reports is None:
            raise NotApplicableError("the reports about the tree were not given (--reports)")
        try:
            found = json.loads((self.reports / f"{kind}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    @cached_property
    def dockerfiles(self) -> dict[str, str]:
        """The recipes of our own images, by the image's name."""
        return {path.parent.name: path.read_text(encoding="utf-8") for path in self.files("images/*/Dockerfile")}

    @cached_property
    def recipes(self) -> dict[str, Dockerfile]:
        """The same, taken apart."""
        return {name: read_dockerfile(text, f"images/{name}/Dockerfile") for name, text in self.dockerfiles.items()}

    @cached_property
    def image_references(self) -> dict[str, str | None]:
        """What each of our own images is called when it is built from this tree; None for one no command builds."""
        return {name: _reference(name, self.root) for name in self.dockerfiles}

    @cached_property
    def pyproject(self) -> dict[str, Any]:
        """The content of pyproject.toml; empty when it can't be read."""
        try:
            return tomllib.loads(self.text("pyproject.toml") or "")
        except tomllib.TOMLDecodeError:
            return {}

    @property
    def version(self) -> str | None:
        """The release that the tree is or will be."""
        found = self.pyproject.get("project", {}).get("version")
        return str(found) if found else None

    @cached_property
    def tree(self) -> Tree:
        """Which commit it stands at."""
        return tree_of(self.root)

    @cached_property
    def description(self) -> dict[str, Any]:
        """The config keys of the stack's file, above those of the stack that it extends; secrets as they are there."""
        return _config(self, self.stack, depth=5)

    @property
    def is_trial(self) -> bool:
        """Whether the stack is there to find out if a commit may be released: a rehearsal, whose file extends that of
        another stack, or a test's short-lived copy. What a release must have done before can't be asked of it."""
        return self.stack.startswith(PREFIX) or EXTENDS in self.description


def _config(project: Project, stack: str, depth: int) -> dict[str, Any]:
    try:
        document = yaml.safe_load(project.text(f"Pulumi.{stack}.yaml") or "")
    except yaml.YAMLError:
        return {}
    own = document.get("config") if isinstance(document, dict) else None
    if not isinstance(own, dict):
        return {}
    below = _config(project, str(own[EXTENDS]), depth - 1) if EXTENDS in own and depth else {}
    return {
        key: {**below[key], **own[key]}
        if isinstance(below.get(key), dict) and isinstance(own.get(key), dict)
        else own.get(key, below.get(key))
        for key in {**below, **own}
    }


def _reference(name: str, root: Path) -> str | None:
    try:
        return catalog.reference(name, root)
    except (UnknownImageError, OSError, KeyError, ValueError):
        return None

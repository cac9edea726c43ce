"""The project's own files and the reports about them, for rules that no resource can answer."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any


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
        """What was last written down about this tree; None when nothing was, or it can't be read."""
        if self.reports is None:
            return None
        try:
            found = json.loads((self.reports / f"{kind}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    @cached_property
    def dockerfiles(self) -> dict[str, str]:
        """The recipes of our own images, by the image's name."""
        return {path.parent.name: path.read_text(encoding="utf-8") for path in self.files("images/*/Dockerfile")}

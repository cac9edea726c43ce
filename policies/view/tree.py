"""Which commit a checkout stands at, so that a report can be told from one about another tree."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GIT_SECONDS = 20.0
WITHOUT_GIT = "content-"
"""What the name of a tree outside of git begins with; a hash of its files follows."""
_OTHER_REPOSITORY = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"})
"""With these, which git sets for its hooks, it would look elsewhere than in the given folder."""
_NOT_SOURCES = frozenset({"build", "dist", "__pycache__", "node_modules"})


@dataclass(frozen=True)
class Tree:
    """A state of the tree. Outside of git the commit's place is taken by a hash of all files."""

    commit: str
    dirty: bool
    """Whether it has changes, or new files, on top of its commit."""
    tags: tuple[str, ...] = ()
    """The tags that stand at its commit."""
    unreleased: tuple[str, ...] = ()
    """The commits since the release before: those after the last tag that is not at this commit."""

    @property
    def is_versioned(self) -> bool:
        """Whether it is a git checkout."""
        return not self.commit.startswith(WITHOUT_GIT)


def tree_of(root: Path) -> Tree:
    """Asks git, bounded; never raises: what git does not know is identified by its content."""
    top = _git(root, "rev-parse", "--show-toplevel")
    commit = _git(root, "rev-parse", "HEAD")
    if not top or not commit or Path(top).resolve() != root.resolve():
        return Tree(f"{WITHOUT_GIT}{_content(root)}", dirty=False)
    changed = _git(root, "status", "--porcelain")
    tags = (_git(root, "tag", "--points-at", "HEAD") or "").split()
    return Tree(commit, changed != "", tuple(tags), tuple(_unreleased(root)))


def _unreleased(root: Path) -> list[str]:
    before = _git(root, "describe", "--tags", "--abbrev=0", "HEAD^")
    listed = _git(root, "rev-list", f"{before}..HEAD" if before else "HEAD")
    return (listed or "").split()


def _git(root: Path, *arguments: str) -> str | None:
    """What git answers; None when it is not there, fails or does not end."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    environ = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True, env=environ)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _content(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(_sources(root)):
        try:
            inner = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            inner = "unreadable"
        digest.update(f"{inner} {path.relative_to(root).as_posix()}\n".encode())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    """Every file but hidden ones and what is built."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _NOT_SOURCES or path.is_symlink():
            continue
        if path.is_dir():
            yield from _sources(path)
        elif path.is_file():
            yield path

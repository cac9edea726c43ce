"""What was written down about a tree: one JSON file for each kind of report, in the folder `Project.reports`.

Each says which tree it is about: `commit` (40 hexadecimal digits; outside of git `content-` and a hash of the files),
`dirty` (whether the tree had changes on top), `time` (ISO 8601, UTC). One of another commit, or of a tree with changes,
counts as missing. What does not have the shape below counts as missing too.

tests.json      `./deploy-api.sh test` writes it; each ring has its own tree, because rings are run one by one:
    {"rings": {"unit": {"commit", "dirty", "time", "passed": true, "seconds": 61.5, "why": ""}}}
images.json     `./deploy-api.sh setup` writes it; an image is known by its reference, which is made of its content, so
                it needs no commit; `warnings` are lines of the build's output, null where the build was not watched:
    {"images": {"api": {"reference", "imageId", "sizeBytes", "revision", "version", "warnings": [], "time"}}}
coverage.json   {"commit", "dirty", "time", "percent": 87.2}
scan.json       findings by severity in our code, in the locked dependencies, and in each image by its reference:
    {"commit", "dirty", "time", "code": {"critical": 0, "high": 0}, "dependencies": {...}, "images": {"<ref>": {...}}}
approvals.json  who looked at what. `of` is a commit (reviews, the assessment) or `sha256:` and the hash of a migration
                file's content; `by` is somebody else than `author`:
    {"approvals": [{"kind": "code-review", "of": "<commit>", "by": "...", "author": "...", "time": "..."}]}
    kinds: code-review, migration, migration-impact, data-migration, vulnerability-assessment
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from policies.view.project import Project

MALFORMED = (KeyError, TypeError, ValueError, AttributeError)
"""What reading a document of another shape ends with."""


@dataclass(frozen=True)
class RingResult:
    """How one ring of tests ended."""

    passed: bool


@dataclass(frozen=True)
class ImageBuild:
    """One image that was built on this machine."""

    reference: str
    size_bytes: int
    revision: str
    """The commit of its label: with `-dirty` for a tree with changes, `unknown` outside of git."""
    version: str
    warnings: tuple[str, ...] | None


@dataclass(frozen=True)
class Weaknesses:
    """Known vulnerabilities, counted."""

    critical: int
    high: int


@dataclass(frozen=True)
class Scan:
    """What a scanner for known vulnerabilities said."""

    code: Weaknesses
    dependencies: Weaknesses
    images: Mapping[str, Weaknesses]


@dataclass(frozen=True)
class Approval:
    """Somebody's yes to something."""

    kind: str
    of: str
    by: str
    author: str

    @property
    def is_by_another(self) -> bool:
        """Whether it was given by somebody else than who made it."""
        return bool(self.by) and bool(self.author) and self.by.casefold() != self.author.casefold()


def ring(project: Project, name: str) -> RingResult | None:
    """How a ring ended on exactly this tree; None when it was not run on it."""
    try:
        found = (project.report("tests") or {})["rings"][name]
        return RingResult(_yes(found["passed"])) if _is_of_this_tree(project, found) else None
    except MALFORMED:
        return None


def images(project: Project) -> dict[str, ImageBuild]:
    """The images that were built on this machine, by name; of an entry that can't be read there is none."""
    found = {}
    entries = (project.report("images") or {}).get("images")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        try:
            warnings = None if entry["warnings"] is None else tuple(str(each) for each in entry["warnings"])
            found[str(name)] = ImageBuild(
                str(entry["reference"]),
                int(entry["sizeBytes"]),
                str(entry["revision"]),
                str(entry["version"]),
                warnings,
            )
        except MALFORMED:
            continue
    return found


def coverage(project: Project) -> float | None:
    """The share of lines, in percent, that the tests of exactly this tree ran."""
    try:
        found = project.report("coverage") or {}
        return float(found["percent"]) if _is_of_this_tree(project, found) else None
    except MALFORMED:
        return None


def scan(project: Project) -> Scan | None:
    """What a scan of exactly this tree found."""
    try:
        found = project.report("scan") or {}
        if not _is_of_this_tree(project, found):
            return None
        scanned = {str(reference): _weaknesses(each) for reference, each in found["images"].items()}
        return Scan(_weaknesses(found["code"]), _weaknesses(found["dependencies"]), scanned)
    except MALFORMED:
        return None


def approvals(project: Project, kind: str) -> list[Approval]:
    """The approvals of one kind that somebody else than the author gave, at a time that can be read."""
    found = []
    entries = (project.report("approvals") or {}).get("approvals")
    for entry in entries if isinstance(entries, list) else ():
        try:
            _time(entry["time"])
            approval = Approval(str(entry["kind"]), str(entry["of"]), str(entry["by"]), str(entry["author"]))
        except MALFORMED:
            continue
        if approval.kind == kind and approval.is_by_another:
            found.append(approval)
    return found


def is_approved(project: Project, kind: str, content: str) -> bool:
    """Whether somebody else said yes to exactly this content of a file."""
    return digest_of(content) in {each.of for each in approvals(project, kind)}


def digest_of(content: str) -> str:
    """What an approval names a file's content by."""
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def _is_of_this_tree(project: Project, header: Mapping[str, Any]) -> bool:
    _time(header["time"])
    tree = project.tree
    return bool(header["commit"] == tree.commit) and not _yes(header["dirty"]) and not tree.dirty


def _weaknesses(entry: Mapping[str, Any]) -> Weaknesses:
    return Weaknesses(int(entry["critical"]), int(entry["high"]))


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _time(value: Any) -> datetime:
    return datetime.fromisoformat(value)

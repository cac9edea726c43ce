"""The records of what was released to a stack, and which of them one can go back to."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ops.errors import OperatorError

Outcome = Literal["unfinished", "verified", "failed", "rolled back"]
RECORD = "record.json"


@dataclass
class Step:
    """One step of a release: how it ended, how long it took (seconds), and what is to be told of it."""

    name: str
    status: Literal["done", "failed", "not run"]
    seconds: float = 0.0
    note: str = ""


@dataclass
class Release:
    """One release, or a rollback, which is a release of what an earlier one (`restores`) deployed.

    Without secrets: the description has none, images are public names. `schema_before` and `schema_after` are the
    revisions of the database's schema; None where they could not be told.
    """

    id: str
    stack: str
    kind: Literal["release", "rollback"]
    started_at: str
    by: str
    commit: str
    dirty: bool
    images: dict[str, str]
    description: dict[str, Any]
    schema_before: str | None = None
    schema_after: str | None = None
    backup: str | None = None
    restores: str | None = None
    rolled_back_to: str | None = None
    finished_at: str | None = None
    outcome: Outcome = "unfinished"
    deployed: bool = False
    """Whether its deployment was begun, so that what runs may be this one."""
    reason: str | None = None
    steps: list[Step] = field(default_factory=list)
    verification: dict[str, Any] | None = None
    watch: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The record's form in its file; keys in camelCase as everywhere."""
        return {_camel(key): value for key, value in asdict(self).items()}

    def summary(self) -> dict[str, Any]:
        """What `status` and `releases` show."""
        left_out = {"description", "steps", "verification", "watch"}
        return {key: value for key, value in self.as_json().items() if key not in left_out}

    def is_same_as(self, other: "Release") -> bool:
        """Whether both deploy the same."""
        return (self.images, self.description, self.commit) == (other.images, other.description, other.commit)


def of_json(document: Mapping[str, Any]) -> Release:
    """The release of a record. Raises KeyError or TypeError when it is none."""
    fields = {_snake(key): value for key, value in document.items()}
    fields["steps"] = [Step(**each) for each in fields.get("steps") or []]
    return Release(**fields)


class Releases:
    """A folder with one folder for each release of a stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, release: Release) -> Path:
        """The folder of one release, for its record and what belongs to it."""
        return self.folder / release.id

    def save(self, release: Release) -> Path:
        """Writes the record, whole or not at all; returns its path."""
        folder = self.path(release)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = folder / f".{RECORD}.partial"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(release.as_json(), file, indent=2)
        return partial.replace(folder / RECORD)

    def all(self) -> list[Release]:
        """All releases that have a readable record, oldest first."""
        found = []
        for path in sorted(self.folder.glob(f"*/{RECORD}")):
            try:
                found.append(of_json(json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return found

    def last(self) -> Release | None:
        """The newest one, whether or not it came to a deployment."""
        return next(reversed(self.all()), None)

    def current(self) -> Release | None:
        """The one whose deployment was begun last, however it ended."""
        return next((each for each in reversed(self.all()) if each.deployed), None)

    def named(self, identity: str) -> Release:
        """The release of that id. Raises OperatorError, naming those there are."""
        known = self.all()
        for release in known:
            if release.id == identity:
                return release
        raise OperatorError(
            f"there is no release {identity}",
            f"name one of: {', '.join(each.id for each in known if each.kind == 'release') or 'none was made'}",
        )


def origin(release: Release, known: Sequence[Release]) -> Release:
    """The release whose content this one deployed: itself, or for a rollback the one that it went back to."""
    by_id = {each.id: each for each in known}
    while release.restores and release.restores in by_id:
        release = by_id[release.restores]
    return release


def last_good_before(current: Release, known: Sequence[Release]) -> Release | None:
    """The newest release that was verified, was made before what now runs, and deployed something else."""
    running = origin(current, known)
    earlier = [each for each in known if is_good(each) and each.id < running.id and not each.is_same_as(running)]
    return max(earlier, key=lambda each: each.id, default=None)


def is_good(release: Release) -> bool:
    """Whether its verification passed and nobody went back from it since."""
    return release.outcome == "verified" and release.rolled_back_to is None


def carried_over(target: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """The description to go back to, with the generations of secrets and certificates as they are now.

    A rotation is never taken back: what was given up may be known to somebody.
    """
    result = dict(target)
    result["secretGeneration"] = max(target.get("secretGeneration", 1), current.get("secretGeneration", 1))
    now, then = current.get("pki") or {}, target.get("pki") or {}
    result["pki"] = {
        **then,
        **{key: max(then.get(key, 1), now.get(key, 1)) for key in ("generation", "authorityGeneration")},
    }
    return result


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)

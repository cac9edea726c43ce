"""Which requirement blocks, warns or is left out in which environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

from policies.engine.documents import Document
from policies.engine.findings import Level, Severity
from policies.errors import PolicyError

PROFILES = Path(__file__).parent.parent / "profiles.yaml"
LEVELS: tuple[Level, ...] = ("mandatory", "advisory", "off")
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
ENVIRONMENTS = ("dev", "prod")
REHEARSAL = "rehearsal"
"""Judged as prod, but for what an item says of it: it may be reached under no public name, say, and be smaller."""

PROFILES_THERE_ARE = (*ENVIRONMENTS, REHEARSAL)


@dataclass(frozen=True)
class Demand:
    """What is asked about one requirement."""

    severity: Severity
    waivable: bool
    levels: Mapping[str, Level]
    reasons: Mapping[str, str]
    """Why an environment asks for less than `mandatory`."""


@dataclass(frozen=True)
class Profiles:
    """The file profiles.yaml: the demands by item, and which stacks are of which environment."""

    stacks: Mapping[str, tuple[str, ...]]
    demands: Mapping[str, Demand]

    def environment_of(self, stack: str) -> str:
        """dev, prod or rehearsal by the stack's name. What no pattern names is prod: the strict one."""
        for environment in PROFILES_THERE_ARE:
            if any(fnmatchcase(stack, pattern) for pattern in self.stacks.get(environment, ())):
                return environment
        return "prod"

    def demand(self, item: str) -> Demand:
        """What is asked about an item. Raises PolicyError for one that the file does not have."""
        found = self.demands.get(item)
        if found is None:
            raise PolicyError(f"profiles.yaml says nothing of {item}", "add it, with a level for dev and for prod")
        return found


def load_profiles(path: Path = PROFILES) -> Profiles:
    """Raises PolicyError naming file and line."""
    top = Document.read(path).entries()
    for key, document in top.items():
        if key not in ("stacks", "items"):
            raise document.refuse("is not known here", "the file has `stacks` and `items`")
    for key in ("stacks", "items"):
        if key not in top:
            raise PolicyError(f"{path.name}:1: `{key}` is missing", "add it")
    stacks = {}
    for name, document in top["stacks"].entries().items():
        if name not in PROFILES_THERE_ARE:
            raise document.refuse("is no environment", f"write one of: {', '.join(PROFILES_THERE_ARE)}")
        stacks[name] = tuple(each.text() for each in document.items())
    return Profiles(stacks, {item: _demand(document) for item, document in top["items"].entries().items()})


def _demand(document: Document) -> Demand:
    entries = document.entries()
    known = {"severity", "waivable", "reason", *PROFILES_THERE_ARE}
    for key, each in entries.items():
        if key not in known:
            raise each.refuse("is not known here", f"an item has {', '.join(sorted(known))}")
    for key in ("severity", *ENVIRONMENTS):
        if key not in entries:
            raise document.refuse(f"has no `{key}`", "add it")
    levels = {name: cast(Level, entries[name].one_of(LEVELS)) for name in PROFILES_THERE_ARE if name in entries}
    levels.setdefault(REHEARSAL, levels["prod"])
    relaxed = [name for name, level in levels.items() if level != "mandatory"]
    if relaxed and "reason" not in entries:
        raise document.refuse(f"is relaxed in {' and '.join(relaxed)} without a `reason`", "say why, or demand it")
    reason = entries["reason"].text() if "reason" in entries else ""
    return Demand(
        severity=cast(Severity, entries["severity"].one_of(SEVERITIES)),
        waivable=entries["waivable"].yes() if "waivable" in entries else True,
        levels=levels,
        reasons=dict.fromkeys(relaxed, reason),
    )

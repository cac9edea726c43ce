"""The catalogue of requirements: one typed, immutable entry for each id in catalogue.yaml.

Everything that proves a requirement (a policy rule, a live check, an alert, an operation) names it by its id, so the
loader is strict: an entry with a field it does not know, a value of the wrong kind or an id used twice is refused with
the file and the line.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

ENVIRONMENTS = frozenset({"dev", "prod", "both"})
WAYS_TO_PROVE = frozenset({"policy", "verify", "alert", "operation", "runbook", "signoff"})
NOT_APPLICABLE = "not_applicable"

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SOURCE = re.compile(r"\d{3}:\d+")


class CatalogueError(ValueError):
    """The catalogue file is not what it must be; the message starts with file and line."""


@dataclass(frozen=True)
class CatalogueEntry:
    """One requirement: what is asked for, where it was asked for, and how it is proven.

    `environment` is dev, prod or both; `how` lists the ways to prove it. Both are empty for a requirement that does not
    apply to this system, which gives its `reason` instead.
    """

    id: str
    phase: str
    title: str
    sources: tuple[str, ...]
    applies_to: tuple[str, ...] = ()
    environment: str = ""
    how: tuple[str, ...] = ()
    check: str = ""
    threshold: str = ""
    translated_from: str = ""
    reason: str = ""

    @property
    def applicable(self) -> bool:
        """False for a requirement that has no counterpart in this system."""
        return self.phase != NOT_APPLICABLE

    def proven_in(self, environment: str) -> bool:
        """Whether the requirement is asked of this environment (dev or prod)."""
        return self.applicable and self.environment in {environment, "both"}


_FIELDS = {field.name: field.type for field in fields(CatalogueEntry)}
_LISTS = frozenset(name for name, kind in _FIELDS.items() if kind == tuple[str, ...])
_ALWAYS = ("id", "phase", "title", "sources")
_APPLICABLE = ("applies_to", "environment", "how", "check")


def load(path: Path = CATALOGUE) -> dict[str, CatalogueEntry]:
    """All entries by id, in the order of the file. Raises CatalogueError naming file and line."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise CatalogueError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    if not isinstance(root, yaml.SequenceNode):
        raise CatalogueError(f"{path}:1: the catalogue must be one list of entries")
    entries: dict[str, CatalogueEntry] = {}
    first_line: dict[str, int] = {}
    for node in root.value:
        entry = _entry(path, node)
        if entry.id in entries:
            raise CatalogueError(
                f"{_at(path, node)}: the id '{entry.id}' was already used in line {first_line[entry.id]}"
            )
        entries[entry.id] = entry
        first_line[entry.id] = node.start_mark.line + 1
    return entries


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path}:{node.start_mark.line + 1}"


def _entry(path: Path, node: yaml.Node) -> CatalogueEntry:
    if not isinstance(node, yaml.MappingNode):
        raise CatalogueError(f"{_at(path, node)}: an entry must be a mapping that starts with its id")
    values: dict[str, Any] = {}
    for key, value in node.value:
        name = str(key.value)
        if name not in _FIELDS:
            raise CatalogueError(f"{_at(path, key)}: unknown field '{name}'; known are {', '.join(sorted(_FIELDS))}")
        if name in values:
            raise CatalogueError(f"{_at(path, key)}: the field '{name}' is given twice")
        values[name] = _texts(path, name, value) if name in _LISTS else _text(path, name, value)
    for problem in _problems(values):
        raise CatalogueError(f"{_at(path, node)}: {values.get('id', 'an entry without id')}: {problem}")
    return CatalogueEntry(**values)


def _text(path: Path, name: str, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        raise CatalogueError(f"{_at(path, node)}: '{name}' must be a text that is not empty")
    return str(node.value)


def _texts(path: Path, name: str, node: yaml.Node) -> tuple[str, ...]:
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise CatalogueError(f"{_at(path, node)}: '{name}' must be a list that is not empty")
    return tuple(_text(path, name, item) for item in node.value)


def _problems(values: dict[str, Any]) -> Iterator[str]:
    applies = values.get("phase") != NOT_APPLICABLE
    needed = (*_ALWAYS, *(_APPLICABLE if applies else ("reason",)))
    missing = [name for name in needed if name not in values]
    if missing:
        yield f"missing {', '.join(missing)}"
    if not _ID.fullmatch(values.get("id", "")):
        yield "the id must be lower-case words joined by '-'"
    for source in values.get("sources", ()):
        if not _SOURCE.fullmatch(source):
            yield f"the source '{source}' must have the form 000:123 (document:line)"
    if applies:
        if "reason" in values:
            yield f"'reason' belongs to entries of phase {NOT_APPLICABLE} only"
        if values.get("environment") not in ENVIRONMENTS:
            yield f"environment '{values.get('environment')}' must be one of {', '.join(sorted(ENVIRONMENTS))}"
        for way in values.get("how", ()):
            if way not in WAYS_TO_PROVE:
                yield f"how '{way}' must be one of {', '.join(sorted(WAYS_TO_PROVE))}"

"""Config files as trees of values: YAML, JSON, INI and Java's properties. What can't be known stays unknown."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml

from policies.view.values import ABSENT, UNKNOWN, Value


def yaml_of(file: Value) -> Value:
    """The document in a YAML or JSON file; absent when the file is, or is no such document."""
    return _parsed(file, _yaml)


def properties_of(file: Value) -> Value:
    """A file of `name=value` lines, as a mapping of texts; of two lines with one name the last counts."""
    return _parsed(file, _properties)


def ini_of(file: Value) -> Value:
    """Sections of `name=value` lines, as mappings by section; a name that comes twice has a list."""
    return _parsed(file, _ini)


def _parsed(file: Value, parse: Callable[[str], Any]) -> Value:
    if file.is_unknown:
        return Value(UNKNOWN, file.path)
    text = file.text()
    return Value(ABSENT if text is None else parse(text), file.path)


@lru_cache(maxsize=64)
def _yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where that is there
    except yaml.YAMLError:
        return ABSENT


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _lines(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(("#", ";", "!"))]


@lru_cache(maxsize=64)
def _properties(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in _lines(text))
    return {name.strip(): value.strip() for name, _, value in pairs}


@lru_cache(maxsize=64)
def _ini(text: str) -> dict[str, dict[str, Any]]:
    sections: dict[str, dict[str, Any]] = {}
    section = sections.setdefault("", {})
    for line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = sections.setdefault(line[1:-1], {})
            continue
        name, _, value = (each.strip() for each in line.partition("="))
        before = section.get(name)
        together = value if before is None else [*before, value] if isinstance(before, list) else [before, value]
        section[name] = together
    return sections

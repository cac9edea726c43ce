"""A small language for the properties of a resource: their kinds, defaults, and whether a change replaces it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airgap.provider.wire import UNKNOWN, reveal

Kind = Literal["string", "integer", "boolean", "duration", "strings", "set", "map", "object", "objects"]
"""`strings` is ordered; `set` and `objects` are compared without regard to order, as the engine treats them."""


@dataclass(frozen=True)
class Field:
    """One property.

    `replace`: a change makes a new resource. `removal_replaces`: taking the property away does, because the engine can
    set such a limit in place but not lift it. `since`: the engine API that the property needs. `unsupported`: why this
    plugin does not carry the property out, although the official schema has it.
    """

    kind: Kind
    replace: bool = True
    default: Any = None
    required: bool = False
    fields: Mapping[str, Field] | None = None
    check: Callable[[Any], str | None] | None = None
    removal_replaces: bool = False
    since: str | None = None
    unsupported: str | None = None


Fields = Mapping[str, Field]

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def nanoseconds(text: str) -> int:
    """A Go duration such as `1m30s` in nanoseconds.

    Raises ValueError when it is none.
    """
    if text in ("", "0"):
        return 0
    if _DURATION.sub("", text):
        raise ValueError(f"{text!r} is not a duration such as 500ms, 5s or 1m30s")
    return round(sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text)))


def duration_text(value: int) -> str:
    """Nanoseconds as a Go duration: `5s`, `1m30s`, `500ms`."""
    seconds, rest = divmod(value, 10**9)
    if rest:
        return f"{value / 10**6:g}ms"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def canonical(field: Field, value: Any) -> Any:
    """A form of `value` in which equal meaning is equal value: defaults in, empty is absent, order of sets gone."""
    value = reveal(value)
    if value is UNKNOWN:
        return UNKNOWN
    if value is None:
        value = field.default
    if value is None:
        return None
    if field.kind == "duration":
        return nanoseconds(str(value)) or None
    if field.kind == "integer":
        return int(value) if field.default is not None else int(value) or None
    if field.kind == "boolean":
        truth = value if isinstance(value, bool) else str(value).lower() in ("true", "1")
        return truth if field.default is not None else truth or None
    if field.kind == "map":
        return {key: item if item is UNKNOWN else str(item) for key, item in value.items()} or None
    if field.kind == "object":
        return _canonical_object(field, value) or None
    if field.kind == "objects":
        return _ordered([_canonical_object(field, item) for item in value]) or None
    if field.kind == "set":
        return _ordered(value) or None
    if field.kind == "strings":
        return list(value) or None
    return value if value is UNKNOWN else str(value) or None


def _canonical_object(field: Field, value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    inner = {name: canonical(part, value.get(name)) for name, part in (field.fields or {}).items()}
    return {name: item for name, item in inner.items() if item is not None}


def _ordered(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True, default=repr))


def problem(field: Field, value: Any) -> str | None:
    """Why a known value does not fit its field's kind, or None."""
    wrong = {
        "integer": not isinstance(value, int) or isinstance(value, bool),
        "boolean": not isinstance(value, bool) and str(value).lower() not in ("true", "false"),
        "strings": not isinstance(value, list),
        "set": not isinstance(value, list),
        "objects": not isinstance(value, list),
        "map": not isinstance(value, dict),
        "object": not isinstance(value, dict),
    }.get(field.kind, isinstance(value, list | dict))
    if wrong and not (field.kind == "integer" and isinstance(value, str) and value.lstrip("-").isdigit()):
        return f"must be of kind {field.kind}, not {type(value).__name__}"
    if field.kind == "duration":
        try:
            nanoseconds(str(value))
        except ValueError as error:
            return str(error)
    return field.check(value) if field.check else None


def one_of(*allowed: str) -> Callable[[Any], str | None]:
    """A check that the value is one of the given words."""

    def check(value: Any) -> str | None:
        return None if value in allowed else f"must be one of {', '.join(allowed)}"

    return check


def matches(pattern: str, meaning: str) -> Callable[[Any], str | None]:
    """A check that the value matches a pattern, which `meaning` puts into words."""
    compiled = re.compile(pattern)

    def check(value: Any) -> str | None:
        return None if compiled.fullmatch(str(value)) else f"must be {meaning}"

    return check


def at_least(minimum: int) -> Callable[[Any], str | None]:
    """A check that a number is not below `minimum`."""

    def check(value: Any) -> str | None:
        return None if int(value) >= minimum else f"must be {minimum} or more"

    return check

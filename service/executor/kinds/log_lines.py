"""A line of a run's log: made so that it can be stored whatever an agent gives, within bounds, without secrets."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From the least to the most urgent."""

MOST_CHARACTERS = 2_000
"""Of a message; the rest of a longer one is cut off."""

MOST_FIELD_BYTES = 4_096
"""Of the fields of a line as JSON; a value beyond that is left out, and what stands for it says so."""

_MOST_VALUES = 500
_DEEPEST = 8
_LONGEST_NAME = 100

Clear = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; ``clear`` takes out what its attempt knows to be secret by now."""

    level: Level
    message: str
    fields: Mapping[str, Any]
    step_id: str | None = None
    attempt: int | None = None
    clear: Clear | None = field(default=None, repr=False, compare=False)
    logged: float = field(default_factory=time.monotonic, compare=False)
    """By the clock of this machine; how long ago it is then counts back from the database's time."""

    @property
    def size(self) -> int:
        """Roughly the bytes that it takes."""
        return _bytes(self.message, json.dumps(self.fields, ensure_ascii=False))


class Lines(Protocol):
    """Where lines go to; a list will do."""

    def append(self, line: LogLine, /) -> None:
        """Take a line."""


def log_line(
    level: str,
    message: Any,
    fields: Mapping[str, Any],
    *,
    step_id: str | None = None,
    attempt: int | None = None,
    clear: Clear | None = None,
) -> LogLine:
    """The line, cleared of secrets and then cut. Raises ValueError for a level that there is not; for nothing else."""
    known = next((each for each in LEVELS if each == level), None)
    if known is None:
        raise ValueError(f"there is no level {level!r} of lines; it is one of {', '.join(LEVELS)}")
    take_out = clear or (lambda value: value)
    text = take_out(_text(message))
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS - 1]}…"
    return LogLine(known, text, _fitting(take_out(_plain_fields(fields))), step_id, attempt, clear)


def _plain_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    left = [_MOST_VALUES]
    return {_text(name)[:_LONGEST_NAME]: _plain(value, left, _DEEPEST) for name, value in fields.items()}


def _plain(value: Any, left: list[int], levels: int) -> Any:
    """The value as JSON that Postgres can store; at most so many values in all, so many levels deep."""
    left[0] -= 1
    if left[0] < 0 or levels < 0:
        return "[left out]"
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() < 64:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Mapping):
        found = {}
        for name, inner in value.items():
            if left[0] <= 0:
                break
            found[_text(name)] = _plain(inner, left, levels - 1)
        return found
    if isinstance(value, (list, tuple)):
        items = []
        for inner in value:
            if left[0] <= 0:
                break
            items.append(_plain(inner, left, levels - 1))
        return items
    return _text(value)


def _text(value: Any) -> str:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - whatever it is, a line of the log is no reason to fail
        text = f"[a {type(value).__name__} that has no text: {type(error).__name__}]"
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _fitting(fields: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    left = MOST_FIELD_BYTES
    for name, value in fields.items():
        text = json.dumps(value, ensure_ascii=False)
        instead = f"[left out: {len(text)} characters]"
        fits = _bytes(name, text) <= left
        left -= _bytes(name, text if fits else instead)
        if left < 0:
            break
        found[name] = value if fits else instead
    return found


def _bytes(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)

"""The service's log: one JSON object a line, with agreed fields."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ALWAYS = ("timestamp", "level", "logger", "message")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
SEVERE = ("ERROR", "CRITICAL")

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")
_URL_PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]+:(?!\*+@)[^\s/@]+@")


@dataclass(frozen=True)
class Record:
    """One record with the number (from 1) of its line."""

    line: int
    fields: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields.get(name)

    @property
    def level(self) -> str:
        """The level in capitals."""
        return str(self.fields.get("level", "")).upper()


def records(text: str) -> list[Record]:
    """The records of a log; lines that are no JSON object are left out (see `format_problems`)."""
    return [Record(number, fields) for number, fields in _parsed(text.splitlines()) if fields is not None]


def format_problems(text: str) -> list[str]:
    """What is wrong with the lines of a log, as texts with the line number; empty when each is a full record."""
    problems = []
    for number, fields in _parsed(text.splitlines()):
        if fields is None:
            problems.append(f"line {number} is not a JSON object")
            continue
        lacking = [name for name in ALWAYS if not fields.get(name)]
        if lacking:
            problems.append(f"line {number} lacks {', '.join(lacking)}")
            continue
        if str(fields["level"]).upper() not in LEVELS:
            problems.append(f"line {number} has the unknown level {fields['level']!r}")
        if parse_time(str(fields["timestamp"])) is None:
            problems.append(f"line {number} has no ISO 8601 time in UTC: {fields['timestamp']!r}")
    return problems


def parse_time(text: str) -> datetime | None:
    """The instant, or None unless it is ISO 8601 in UTC ending in Z."""
    if not text.endswith("Z"):
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z") + "+00:00").astimezone(UTC)
    except ValueError:
        return None


def personal_or_credential(lines: Iterable[str]) -> list[str]:
    """Lines that hold an e-mail address, a token, or a password inside a URL; told by number and kind only."""
    kinds = (("an e-mail address", _EMAIL), ("a signed token", _TOKEN), ("a password in a URL", _URL_PASSWORD))
    return [
        f"line {number} holds {kind}"
        for number, line in enumerate(lines, start=1)
        for kind, pattern in kinds
        if pattern.search(line)
    ]


def _parsed(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any] | None]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            value = None
        yield number, value if isinstance(value, dict) else None

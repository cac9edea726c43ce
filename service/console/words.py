"""How values are written on pages. Pure."""

import json
from datetime import UTC, datetime
from typing import Any

MOST_CHARACTERS = 50_000
"""Of one value as JSON; what is longer is cut, because no browser shows megabytes well."""


def moment(value: datetime | None) -> str:
    """A time for people, in UTC."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(value: datetime) -> str:
    """A time for programs."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def took(begin: datetime | None, end: datetime | None) -> str:
    """How long something took, as precisely as that matters; empty where it has not ended."""
    if begin is None or end is None:
        return ""
    seconds = max(0.0, (end - begin).total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def json_text(value: Any) -> str:
    """A value as JSON that people can read; cut, and marked so, where it is very long."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # A lone half of a character can be stored, and cannot be sent.
    return cut(text.encode("utf-8", "backslashreplace").decode())


def cut(text: str) -> str:
    """A text, of which only the beginning is shown where it is very long."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n[cut here: {len(text):,} characters in all; the API gives the whole]"

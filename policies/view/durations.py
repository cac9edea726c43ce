"""Times as Docker writes them."""

import re

_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
"""A number and its unit; several may follow one another, as in 1m30s."""

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str | None) -> float | None:
    """The length in seconds; None for what is no time."""
    if not text or _PIECE.sub("", text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(text))

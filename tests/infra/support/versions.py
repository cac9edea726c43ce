"""Version numbers inside what tools print."""

import re

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def version_in(text: str) -> tuple[int, ...]:
    """The first version number in a text, as numbers that compare rightly. Raises ValueError when there is none."""
    found = _VERSION.search(text)
    if found is None:
        raise ValueError(f"no version number in {text[:80]!r}")
    return tuple(int(number) for number in found.groups() if number is not None)

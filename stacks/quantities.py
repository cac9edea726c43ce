"""Amounts as people write them in a stack's config."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

MEBIBYTE = 1024 * 1024
_MEMORY = re.compile(r"^(?P<number>[1-9][0-9]*)(?P<unit>Mi|Gi)$")
_MEBIBYTES = {"Mi": 1, "Gi": 1024}


def parse_memory(value: object) -> object:
    """Turns `512Mi` or `2Gi` into mebibytes; anything else is left for the type to refuse."""
    if isinstance(value, str):
        match = _MEMORY.match(value)
        if match is None:
            raise ValueError("must be a whole number with Mi or Gi, such as 512Mi")
        return int(match["number"]) * _MEBIBYTES[match["unit"]]
    return value


Memory = Annotated[int, BeforeValidator(parse_memory), Field(ge=1, le=1024 * 1024)]
"""Memory in MiB, written `512Mi` or `2Gi`."""

Cores = Annotated[float, Field(gt=0, le=256)]
"""Processor cores; halves and tenths are allowed."""

Port = Annotated[int, Field(ge=1, le=65535)]

Seconds = Annotated[int, Field(ge=1, le=86400)]

_AMOUNT = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([A-Za-z]*)$")
_SIZES = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40,
}  # fmt: skip


def quantity(text: str) -> float:
    """A Kubernetes amount (`250m`, `1536Mi`, `2`) as a number. Raises ValueError for another text."""
    match = _AMOUNT.match(text)
    if match is None or match[2] not in _SIZES:
        raise ValueError(f"{text} is not an amount")
    return float(match[1]) * _SIZES[match[2]]

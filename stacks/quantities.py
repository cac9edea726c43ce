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

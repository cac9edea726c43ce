"""Moments as callers give them."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_NUMBER = re.compile(r"\s*[+-]?[\d_.]+(?:[eE][+-]?\d+)?\s*")


def _written_out(value: object) -> object:
    """Pydantic would take a number for seconds, or milliseconds, since 1970: a guess that the API's document denies."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError("must be written out with its offset, for instance 2026-01-31T07:30:00Z")
    return value


WrittenMoment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""A date and a time with an offset, as RFC 3339 writes it; numbers are refused."""

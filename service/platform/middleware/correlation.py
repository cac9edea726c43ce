"""The correlation id of the current request: taken from the caller where it is well formed, made up otherwise."""

import random
import re
from contextvars import ContextVar

HEADER = "X-Correlation-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

_current: ContextVar[str | None] = ContextVar("correlation_id", default=None)


def correlation_id() -> str | None:
    """The current request's id, or None outside of a request."""
    return _current.get()


def choose(given: str | None) -> str:
    """The caller's id, or a new one where there is none or it could not be written to a log safely."""
    # It names a request and guards nothing, so it needs no call of the system.
    chosen = given if given and _ACCEPTED.fullmatch(given) else f"req-{random.getrandbits(64):016x}"
    _current.set(chosen)
    return chosen

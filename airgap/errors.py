"""The one exception that this package shows to people."""

from __future__ import annotations


class AirgapError(Exception):
    """Something could not be prepared: `reason` says what and where, `mend` what would put it right."""

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(f"{reason} -- {mend}")
        self.reason = reason
        self.mend = mend

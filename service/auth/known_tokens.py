"""Remembers tokens that were verified: to check a signature takes longer than all the rest of a small request.

A token is good until it expires and can't be taken back, and the secrets of a process never change, so what was
verified once holds until then.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime

from service.auth.principal import Principal
from service.auth.tokens import InvalidTokenError, read_token
from service.platform.settings import Settings

MOST_KEPT = 10_000


def _now() -> datetime:
    return datetime.now(UTC)


class KnownTokens:
    """One process' verified tokens, by their hashes; those that were used longest ago are forgotten first."""

    def __init__(self, settings: Settings, *, most: int = MOST_KEPT, clock: Callable[[], datetime] = _now) -> None:
        self._settings = settings
        self._most = most
        self._clock = clock
        self._known: OrderedDict[bytes, Principal] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def read(self, token: str) -> Principal:
        """The user that the token speaks for. Raises InvalidTokenError."""
        mark = hashlib.blake2b(token.encode("utf-8", "surrogateescape"), digest_size=32).digest()
        found = self._known.get(mark)
        if found is None:
            found = self._known[mark] = read_token(self._settings, token)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
            return found
        if found.expires_at is None or found.expires_at <= self._clock():
            del self._known[mark]
            raise InvalidTokenError("expired_token")
        self._known.move_to_end(mark)
        return found

"""Remembers API keys that were found valid a moment ago: to look one up takes as long as to read a run.

Unlike a token a key can be revoked, so it is remembered for seconds only. In the process that revokes it, it is
forgotten at once; in others it ends within ``KEEP_SECONDS``, as does what its owner lost.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from service.auth.keys import hash_key
from service.auth.principal import Principal

KEEP_SECONDS = 3.0
"""How long a revoked key may still be taken by another process of the service."""

MOST_KEPT = 10_000


def _now() -> datetime:
    return datetime.now(UTC)


class KnownKeys:
    """One process' valid keys, by their hashes; those that were looked up longest ago are forgotten first."""

    def __init__(
        self,
        *,
        most: int = MOST_KEPT,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._most = most
        self._clock = clock
        self._now = now
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._forgotten = 0

    def __len__(self) -> int:
        return len(self._known)

    async def find(self, key: str, look_up: Callable[[], Awaitable[Principal | None]]) -> Principal | None:
        """Who the key speaks for, by ``look_up`` unless that is known; None, which is not kept, for an invalid key."""
        mark = hash_key(key)
        if (known := self._known.get(mark)) is not None:
            principal, until = known
            if self._clock() < until and (principal.expires_at is None or self._now() < principal.expires_at):
                return principal
            del self._known[mark]
        before, began = self._forgotten, self._clock()
        found = await look_up()
        # What was read before a key was revoked says nothing about afterwards.
        if found is not None and before == self._forgotten:
            self._known[mark] = found, began + KEEP_SECONDS
            self._known.move_to_end(mark)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """Look every key up anew: one was revoked."""
        self._forgotten += 1
        self._known.clear()

"""Counts what somebody did lately, in bounded memory."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

KEYS = 20_000
"""How many are remembered at a time; some 200 bytes each."""


class Standing(NamedTuple):
    """Where one stands with a limit, after having asked for one more."""

    policy: str
    limit: int
    window: int
    allowed: bool
    remaining: int
    resets_in: int
    """Seconds until all that was counted in the present window counts less and less."""
    retry_after: int
    """Seconds until one more is allowed; zero where it is now."""


class _Count:
    __slots__ = ("before", "now", "window")

    def __init__(self, window: int) -> None:
        self.window, self.now, self.before = window, 0, 0


class SlidingWindow:
    """At most ``limit`` in any ``window`` seconds for each key, as estimated from this window and the one before it.

    What is refused does not count. When there are too many keys, the one that was seen longest ago is forgotten: it
    begins anew, which who has so many names can do anyway.
    """

    def __init__(
        self, policy: str, limit: int, window: int, *, keys: int = KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.policy, self.limit, self.window, self.keys, self.clock = policy, limit, window, keys, clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def take(self, key: str) -> Standing:
        """Count one more for the key, unless that would be too many."""
        now = self.clock()
        number, left = int(now // self.window), self.window - now % self.window
        count = self._of(key, number)
        fading = left / self.window
        allowed = count.before * fading + count.now + 1 <= self.limit
        if allowed:
            count.now += 1
        used = count.before * fading + count.now
        return Standing(
            self.policy,
            self.limit,
            self.window,
            allowed,
            remaining=max(0, math.floor(self.limit - used)),
            resets_in=max(1, math.ceil(left)),
            retry_after=0 if allowed else self._wait(count, left),
        )

    def give_back(self, key: str) -> None:
        """Take one back that should not have counted."""
        count = self._counts.get(key)
        if count is not None and count.now > 0:
            count.now -= 1

    def forget(self, key: str) -> None:
        """Begin anew with the key."""
        self._counts.pop(key, None)

    def _of(self, key: str, number: int) -> _Count:
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(number)
            if len(self._counts) > self.keys:
                self._counts.popitem(last=False)
        elif count.window != number:
            count.before = count.now if count.window == number - 1 else 0
            count.window, count.now = number, 0
        self._counts.move_to_end(key)
        return count

    def _wait(self, count: _Count, left: float) -> int:
        """Seconds until the estimate has room for one more."""
        room = self.limit - 1
        if count.now <= room:
            # The one before fades until it fits beside this one.
            seconds = left - self.window * (room - count.now) / count.before
        else:
            seconds = left + self.window * (1 - room / count.now)
        return max(1, math.ceil(seconds))

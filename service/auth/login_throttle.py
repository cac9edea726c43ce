"""Slows down who tries passwords, counted in this process."""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager

from service.platform import metrics
from service.platform.logging import get_logger
from service.platform.middleware.rate_limit import network_of
from service.platform.problems import ProblemError
from service.platform.sliding_window import SlidingWindow

WINDOW_SECONDS = 300
PER_ACCOUNT_AND_ADDRESS = 10
PER_ADDRESS = 50
PER_ACCOUNT = 100
"""So that one account tried from many addresses ends, too; higher, because it also keeps out the account's owner."""

log = get_logger(__name__)


class LoginThrottle:
    """Counts refused log-ins by account, by address and by both; knows names only as hashes.

    A name that no user has counts like any other, so that a throttled answer tells nothing about names either.
    """

    def __init__(self) -> None:
        self.both = SlidingWindow("account and address", PER_ACCOUNT_AND_ADDRESS, WINDOW_SECONDS)
        self.address = SlidingWindow("address", PER_ADDRESS, WINDOW_SECONDS)
        self.account = SlidingWindow("account", PER_ACCOUNT, WINDOW_SECONDS)

    @contextmanager
    def attempt(self, username: str, address: str | None) -> Iterator["Attempt"]:
        """One attempt; counted from its beginning, so that many at once are not all let in, until it is known not to
        have been refused. Raises a 429 problem where there were too many."""
        place = network_of(address or "")
        account = hashlib.blake2b(username.encode(), digest_size=16).hexdigest()
        keys = [(self.address, place), (self.account, account), (self.both, f"{account} {place}")]
        taken: list[tuple[SlidingWindow, str]] = []
        found = Attempt()
        try:
            for window, key in keys:
                standing = window.take(key)
                if not standing.allowed:
                    raise _throttled(window.policy, standing.retry_after)
                taken.append((window, key))
            yield found
        finally:
            if not found.refused:
                for window, key in taken:
                    window.give_back(key)
        if not found.refused:
            self.both.forget(f"{account} {place}")


class Attempt:
    """Whether an attempt was refused because of what was given; an error of ours is not the caller's."""

    def __init__(self) -> None:
        self.refused = False


def _throttled(policy: str, seconds: int) -> ProblemError:
    metrics.AUTH_FAILURES.labels("throttled").inc()
    log.warning("Log-in throttled", policy=policy, retry_after=seconds)
    minutes = math.ceil(seconds / 60)
    return ProblemError(
        429,
        "too-many-log-ins",
        f"Too many log-ins were refused lately; try again in {minutes} minute{'s' if minutes > 1 else ''}.",
        headers={"Retry-After": str(seconds)},
    )

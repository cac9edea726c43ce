"""When a failed step is tried again."""

import random
from dataclasses import dataclass

MAX_BACKOFF_SECONDS = 300.0
"""No pause between two attempts is longer, whatever the settings or a Retry-After header say."""


@dataclass(frozen=True)
class RetrySettings:
    """A step's retry settings: how often it is tried in all, and the pause before the second attempt in seconds."""

    max_attempts: int = 3
    backoff_seconds: float = 0.2

    def may_retry(self, attempt: int) -> bool:
        """Whether there is another attempt after this one (attempts count from 1)."""
        return attempt < self.max_attempts

    def pause_after(self, attempt: int, *, at_least: float = 0.0, jitter: float | None = None) -> float:
        """Seconds to wait after the given failed attempt.

        Doubles with every attempt; the jitter (0..1, random by default) takes away up to half of it, so that runs
        that failed together do not come back together. ``at_least`` is what the called side asked for.
        """
        fraction = random.random() if jitter is None else jitter  # noqa: S311 - spreads load, guards nothing
        # The exponent is bounded because a large max_attempts would overflow the float before min() sees it.
        full: float = min(self.backoff_seconds * 2.0 ** min(attempt - 1, 32), MAX_BACKOFF_SECONDS)
        return min(max(full * (1 - fraction / 2), at_least), MAX_BACKOFF_SECONDS)

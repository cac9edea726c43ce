"""When a failed step is tried again."""

import random
from dataclasses import dataclass
from typing import Literal

MAX_PAUSE_SECONDS = 300.0
"""The longest pause between two attempts of a step that names none itself, whatever a Retry-After header says."""

RetryStrategy = Literal["fixed", "exponential"]


@dataclass(frozen=True)
class RetrySettings:
    """A step's retry settings: how often it is tried in all, and how long the pauses in between are in seconds."""

    max_attempts: int = 3
    backoff_seconds: float = 0.2
    strategy: RetryStrategy = "exponential"
    max_pause_seconds: float = MAX_PAUSE_SECONDS
    jitter: bool = True

    def may_retry(self, attempt: int) -> bool:
        """Whether there is another attempt after this one (attempts count from 1)."""
        return attempt < self.max_attempts

    def pause_after(self, attempt: int, *, at_least: float = 0.0, jitter: float | None = None) -> float:
        """Seconds to wait after the given failed attempt.

        Doubles with every attempt, unless the strategy is fixed. The jitter (0..1, random by default) takes away up to
        half of it, so that runs that failed together do not come back together. ``at_least`` is what the called side
        asked for; even that is never waited for longer than the longest pause.
        """
        fraction = random.random() if jitter is None else jitter  # noqa: S311 - spreads load, guards nothing
        # The exponent is bounded because a large max_attempts would overflow the float before min() sees it.
        factor = 2.0 ** min(attempt - 1, 32) if self.strategy == "exponential" else 1.0
        full: float = min(self.backoff_seconds * factor, self.max_pause_seconds)
        pause = full * (1 - fraction / 2) if self.jitter else full
        return min(max(pause, at_least), self.max_pause_seconds)

"""One call of the engine on one resource, bounded in time, and the error that it ends with."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


class ResourceError(Exception):
    """Something that the person who runs the deployment has to know; the text is complete as it stands."""


@dataclass
class Operation:
    """One call of the engine on one resource: how long it may take, and whether it was cancelled."""

    seconds: float
    cancelled: threading.Event
    started: float = field(default_factory=time.monotonic)

    def remaining(self) -> float:
        """Seconds until the operation must have ended."""
        return self.started + self.seconds - time.monotonic()

    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started

    def pause(self, seconds: float) -> None:
        """Wait a little between two looks at the thing.

        Raises ResourceError when the deployment was cancelled or the time of the operation is over.
        """
        if self.cancelled.wait(min(seconds, max(self.remaining(), 0.0))):
            raise ResourceError("cancelled")
        if self.remaining() <= 0:
            raise ResourceError(f"not finished within {self.seconds:.0f} s (the operation's timeout)")

"""What the loops of relay and executor share: stopping on signals, bounded pauses, and proof that they still turn."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set the event on SIGTERM or SIGINT while the block runs."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def pause(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait so many seconds, or less when the process is to stop; returns whether it is to stop."""
    if seconds > 0 and not stopping.is_set():
        try:
            async with asyncio.timeout(seconds):
                await stopping.wait()
        except TimeoutError:
            return False
    return stopping.is_set()


class Backoff:
    """Pauses between attempts that double from ``first`` to ``longest`` seconds, with jitter, until one succeeds."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._next = first

    def succeeded(self) -> None:
        """Start again with the first pause."""
        self._next = self._first

    def failed(self) -> float:
        """The seconds to wait now."""
        seconds = self._next * (1 - random.random() / 2)  # noqa: S311 - spreads load, guards nothing
        self._next = min(self._next * 2, self._longest)
        return seconds


class Pulse:
    """Knows when each loop last came round; a loop that hangs makes the process unhealthy, an outage does not."""

    def __init__(self) -> None:
        self._loops: dict[str, tuple[float, float]] = {}

    def beat(self, loop: str, *, within: float) -> None:
        """The loop lives, and will beat again within so many seconds."""
        self._loops[loop] = (time.monotonic(), within)

    def ended(self, loop: str) -> None:
        """The loop ended as it should."""
        self._loops.pop(loop, None)

    def problems(self) -> dict[str, str]:
        """The loops that are late, with how late."""
        now = time.monotonic()
        return {
            loop: f"has not come round for {now - last:.0f} s, should within {within:.0f} s"
            for loop, (last, within) in self._loops.items()
            if now - last > within
        }

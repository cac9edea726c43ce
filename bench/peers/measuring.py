"""What is measured of each: the same work and the same callers.

Only the standard library: it also runs in the peers' own environments.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

CALLERS = 16
ENDED_SECONDS = 300.0
_PILOT = 60


class Subject(Protocol):
    """One system: how runs of three steps that do nothing are asked for, and read."""

    async def submit(self) -> str:
        """The id of a new run, once the system has promised to do it."""

    async def wait(self, run: str) -> None:
        """Return once a caller sees that the run has completed."""

    async def completed(self) -> int:
        """How many runs have completed so far, by the system's own tables."""

    async def read(self, run: str) -> None:
        """Ask for the state of one run."""


@dataclass(frozen=True)
class Measured:
    """Rates a second; times in milliseconds."""

    runs: int
    completed: float
    submit_p50: float
    submit_p95: float
    alone_p50: float
    alone_p95: float
    reads: float

    def fields(self) -> dict[str, float]:
        """As JSON has them."""
        return asdict(self)


async def measure(subject: Subject, *, quick: bool) -> Measured:
    """Everything of one system. Raises RuntimeError when runs do not complete in time."""
    seconds = 2 if quick else 20
    for _ in range(5):
        await subject.wait(await subject.submit())
    alone = []
    for _ in range(10 if quick else 50):
        began = time.perf_counter()
        await subject.wait(await subject.submit())
        alone.append(time.perf_counter() - began)
    pilot, _, _ = await _throughput(subject, _PILOT)
    count = max(_PILOT, round(pilot * seconds))
    completed, took, run = await _throughput(subject, count)
    await _reads(subject, run, 0.5)
    reads = await _reads(subject, run, seconds / 2)
    return Measured(count, round(completed, 1), *_milliseconds(took), *_milliseconds(alone), round(reads, 1))


async def _throughput(subject: Subject, count: int) -> tuple[float, list[float], str]:
    """Completed a second, from the first request to the last end; how long each request took; one of the runs."""
    before, began = await subject.completed(), time.monotonic()
    took: list[float] = []
    runs: list[str] = []

    async def submit() -> None:
        asked = time.perf_counter()
        runs.append(await subject.submit())
        took.append(time.perf_counter() - asked)

    asking = asyncio.create_task(_by_callers(count, submit))
    try:
        while not asking.done() or await subject.completed() < before + count:
            if time.monotonic() > began + ENDED_SECONDS:
                raise RuntimeError(f"not all of {count} runs completed within {ENDED_SECONDS:g} s")
            await asyncio.sleep(0.1)
        await asking
    finally:
        asking.cancel()
    return count / (time.monotonic() - began), took, runs[-1]


async def _reads(subject: Subject, run: str, seconds: float) -> float:
    """Reads of one run a second."""
    began, count = time.monotonic(), 0

    async def caller() -> None:
        nonlocal count
        while time.monotonic() < began + seconds:
            await subject.read(run)
            count += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.monotonic() - began)


async def _by_callers(count: int, call: Callable[[], Awaitable[None]]) -> None:
    numbers = iter(range(count))

    async def caller() -> None:
        for _ in numbers:
            await call()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def _milliseconds(seconds: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    median, late = (ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.95))
    return round(median * 1000, 2), round(late * 1000, 2)


def stop_in_order() -> None:
    """Take SIGTERM as the end of the program, so that what it started is taken down with it."""
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))


def say(what: str) -> None:
    """Tell who waits what is going on."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()

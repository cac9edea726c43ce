"""Processes known by more than their number, so that a number given out again is never taken for the old process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Identity:
    """One process of one boot: its number, and when it began in clock ticks since that boot."""

    pid: int
    began: int
    boot: str

    @classmethod
    def of(cls, pid: int, even_ended: bool = False) -> Identity | None:
        """The process that has this number now; None when there is none, or only its remains."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        # The name is in brackets and may hold anything, so fields are counted from behind it.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX" and not even_ended:
            return None
        return cls(pid, int(fields[19]), _boot())

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return Identity.of(self.pid) == self

    def send(self, number: int) -> None:
        """Send a signal unless the process is gone."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def end(processes: Iterable[Identity], seconds: float) -> None:
    """Ask them all to end, wait, and kill those that are left after so many seconds; returns when they are gone."""
    there = [process for process in processes if process.alive()]
    for process in there:
        process.send(signal.SIGTERM)
    if not wait_until(lambda: not any(process.alive() for process in there), seconds):
        for process in there:
            process.send(signal.SIGKILL)
        wait_until(lambda: not any(process.alive() for process in there), 10)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()

"""Keeps two commands on one machine from doing the same thing at the same time."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.errors import OperatorError

POLL_SECONDS = 0.2


@contextmanager
def exclusive(path: Path, purpose: str, report: Callable[[str], None], wait_seconds: float = 0) -> Iterator[None]:
    """Holds the lock file while the body runs; the kernel frees it when the process ends, however it ends.

    Raises OperatorError, naming the holder, when it is still held after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as handle:
        deadline = time.monotonic() + wait_seconds
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read().strip() or "another process"
                if time.monotonic() >= deadline:
                    raise OperatorError(
                        f"{holder} is at work, and {purpose} must not be done twice at a time",
                        "wait until it has ended, or end it, and run the command again",
                    ) from None
                if not told:
                    report(f"waiting for {holder}")
                    told = True
                time.sleep(POLL_SECONDS)
        handle.seek(0)
        handle.truncate()
        handle.write(f"{purpose} (process {os.getpid()})")
        handle.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                handle.seek(0)
                handle.truncate()

"""What a run logs while one executor has it: the lines of its agents, and what the executor itself has to say.

Lines wait here until the run's journal is written, with the same statement; an executor that dies takes what waits with
it. Each run keeps so many lines and so many bytes, over all executors that have had it; what is more is counted.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from service.executor.kinds.log_lines import Level, LogLine, log_line
from service.executor.values import encode

MOST_LINES = 1_000
"""Lines that the agents of a run may log."""

MOST_BYTES = 256 * 1024
"""Bytes that these lines may have, in all."""

OWN_LINES = 200
"""Lines that the executor may add where the agents have used up theirs."""

WRITE_SECONDS = 2.0
"""How long a line waits for something else of the run to be journalled, before it is written without that."""

_LAST_LINES = 10
_NUMBERS = 1 << 20


class RunLog:
    """The lines of one claim, in their order; ``token`` is that of its lease, ``nudge`` has the run looked at."""

    def __init__(self, token: int = 0, nudge: Callable[[], None] | None = None) -> None:
        # Made of the token and the place, a line's number is the same however often it is written.
        self._first = token * _NUMBERS
        self._nudge = nudge
        self._loop = None if nudge is None else asyncio.get_running_loop()
        self._waiting: list[LogLine] = []
        self._taken = 0
        self._written = 0
        self._lines = 0
        self._bytes = 0
        self._dropped = 0

    def known(self, lines: int, size: int) -> None:
        """Count what executors before this one have written."""
        self._lines += lines
        self._bytes += size

    def append(self, line: LogLine) -> None:
        """Take an agent's line, or count it where the run has logged too much."""
        size = line.size
        if self._lines >= MOST_LINES or self._bytes + size > MOST_BYTES:
            self._dropped += 1
            return
        self._bytes += size
        self._take(line)

    def own(
        self, level: Level, message: str, *, step_id: str | None = None, attempt: int | None = None, **fields: Any
    ) -> None:
        """Add a line of the executor's."""
        if self._lines >= MOST_LINES + OWN_LINES:
            self._dropped += 1
            return
        self._take(log_line(level, message, fields, step_id=step_id, attempt=attempt))

    def close(self) -> None:
        """Say how many lines were dropped, if any; nothing is logged after that."""
        if not self._dropped or self._lines >= MOST_LINES + OWN_LINES + _LAST_LINES:
            return
        message = f"{self._dropped} more lines were not kept: a run keeps {MOST_LINES:,}, and {MOST_BYTES // 1024} KiB"
        self._take(log_line("warning", message, {"dropped": self._dropped}))
        self._dropped = 0

    @property
    def waiting(self) -> Sequence[LogLine]:
        """The lines that are not written."""
        return tuple(self._waiting)

    @property
    def is_due(self) -> bool:
        """Whether a line waits that has waited long enough."""
        # Timers may be a little early.
        return bool(self._waiting) and time.monotonic() - self._waiting[0].logged >= WRITE_SECONDS * 0.9

    def written(self, lines: Sequence[LogLine]) -> None:
        """Forget the first lines: they are stored."""
        del self._waiting[: len(lines)]
        self._written += len(lines)
        if self._waiting:
            self._wake_later()

    def encoded(self, lines: Sequence[LogLine]) -> str | None:
        """The first of the lines that wait, as JSON text for the statement that writes them; None for no lines."""
        if not lines:
            return None
        now = time.monotonic()
        return encode(
            [
                {
                    "number": self._first + self._written + place,
                    # An age, not a time: the database's clock is the only one that counts.
                    "ago": now - line.logged,
                    "step_id": line.step_id,
                    "attempt": line.attempt,
                    "level": line.level,
                    "message": line.message if line.clear is None else line.clear(line.message),
                    "fields": line.fields if line.clear is None else line.clear(line.fields),
                }
                for place, line in enumerate(lines)
            ]
        )

    def _take(self, line: LogLine) -> None:
        self._lines += 1
        self._waiting.append(line)
        if len(self._waiting) == 1:
            self._wake_later()

    def _wake_later(self) -> None:
        if self._loop is not None and self._nudge is not None:
            # An agent may log from a thread.
            self._loop.call_soon_threadsafe(self._loop.call_later, WRITE_SECONDS, self._nudge)


def tell_failure(run_log: RunLog, error: Mapping[str, Any]) -> None:
    """Say why a run fails, where none of its steps has said so."""
    if "step_id" not in error:
        run_log.own("error", f"{error['title']}: {error['detail']}", code=error["code"])

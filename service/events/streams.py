"""The event streams of one API process, and the one watcher that looks for all of them.

The watcher runs only while there are streams, and asks one statement for all that wait, so what this costs the
database depends on the readers alone. A reader that is slow is asked for less often: it holds at most what was found
once, and is told the newest state when it reads on.
"""

import asyncio
import contextlib
from collections import Counter as Count
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from service.events import metrics
from service.events.cursor import Cursor
from service.events.messages import Told, tell
from service.events.read import read_news
from service.platform.database import autocommit, is_unavailable
from service.platform.logging import get_logger
from service.platform.problems import RETRY_SECONDS, ProblemError
from service.platform.worker_loop import Backoff

TICK_SECONDS = 0.3
MOST_STREAMS = 200
MOST_OF_A_CALLER = 20

log = get_logger(__name__)


class Stream:
    """One reader of one run's events."""

    def __init__(self, run_id: UUID, caller: str, first: Told) -> None:
        self.run_id, self.caller = run_id, caller
        self.cursor: Cursor = first.cursor
        self._messages: Sequence[bytes] = first.messages
        self._is_over = first.is_last
        self._changed = asyncio.Event()
        self._changed.set()

    @property
    def waits(self) -> bool:
        """Whether all that was found is told, and there may be more."""
        return not self._messages and not self._is_over

    def put(self, told: Told) -> None:
        """Hand the reader what was found for it."""
        self.cursor, self._messages = told.cursor, told.messages
        self._is_over = self._is_over or told.is_last
        if self._messages or self._is_over:
            self._changed.set()

    def end(self) -> None:
        """Have the stream end after what was found already."""
        self._is_over = True
        self._changed.set()

    async def next(self) -> Sequence[bytes] | None:
        """The next messages, as soon as there are some; None at the end."""
        await self._changed.wait()
        messages, self._messages = self._messages, ()
        if messages:
            if not self._is_over:
                self._changed.clear()
            return messages
        return None


class Streams:
    """Knows the open streams; refuses one too many."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._streams: set[Stream] = set()
        self._callers: Count[str] = Count()
        self._watcher: asyncio.Task[None] | None = None
        self._leaving = False

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_watching(self) -> bool:
        """Whether anything is done at all."""
        return self._watcher is not None and not self._watcher.done()

    def check(self, caller: str) -> None:
        """Raises the problem to answer with where the caller can't have one more stream."""
        retry = {"Retry-After": str(RETRY_SECONDS)}
        if self._callers[caller] >= MOST_OF_A_CALLER:
            metrics.REFUSED.labels("caller").inc()
            detail = f"You have {MOST_OF_A_CALLER} event streams at this instance; close one of them first."
            raise ProblemError(429, "too-many-streams", detail, headers=retry)
        if len(self._streams) >= MOST_STREAMS:
            metrics.REFUSED.labels("process").inc()
            detail = f"This instance has {MOST_STREAMS} event streams, which is as many as it takes."
            raise ProblemError(503, "too-many-streams", detail, headers=retry)

    def add(self, stream: Stream) -> None:
        """Look for news for this stream from now on."""
        self._streams.add(stream)
        self._callers[stream.caller] += 1
        metrics.STREAMS.inc()
        if self._leaving:
            stream.end()
        if not self.is_watching:
            self._watcher = asyncio.create_task(self._watch(), name="run-events")

    def remove(self, stream: Stream) -> None:
        """Look no more; the watcher ends by itself after the last one."""
        if stream not in self._streams:
            return
        self._streams.discard(stream)
        self._callers[stream.caller] -= 1
        if not self._callers[stream.caller]:
            del self._callers[stream.caller]
        metrics.STREAMS.dec()

    def end_all(self) -> None:
        """End all streams and take none any more: their readers come back to another instance."""
        self._leaving = True
        for stream in self._streams:
            stream.end()

    async def stop(self) -> None:
        """End everything."""
        self.end_all()
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher

    async def _watch(self) -> None:
        backoff = Backoff(TICK_SECONDS, 5.0)
        seconds = TICK_SECONDS
        while self._streams:
            await asyncio.sleep(seconds)
            waiting = [stream for stream in self._streams if stream.waits]
            if not waiting:
                continue
            try:
                await self._look(waiting)
            except Exception as error:
                seconds = backoff.failed()
                if is_unavailable(error):
                    log.warning("The database is away, events wait", reason=type(error).__name__)
                else:
                    log.exception("Events cannot be read, trying again")
            else:
                backoff.succeeded()
                seconds = TICK_SECONDS

    async def _look(self, waiting: Sequence[Stream]) -> None:
        async with autocommit(self._engine) as connection:
            found = await read_news(connection, [(stream.run_id, stream.cursor) for stream in waiting])
        for stream, news in zip(waiting, found, strict=True):
            if news is None:
                stream.end()
            else:
                stream.put(tell(stream.cursor, news))

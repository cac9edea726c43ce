"""How many runs wait, and whether that is too many to take another one.

The number is at most a second old and is counted only up to the limit, so asking costs a request nothing. While it
can't be counted the last one holds: the database decides by itself whether it takes a run.
"""

import asyncio
import contextlib
import time

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import autocommit
from service.platform.logging import get_logger

EVERY_SECONDS = 1.0
RETRY_SECONDS = 10
"""When to come again: what waits does not melt away within a second or two."""

_COUNT_SECONDS = 5.0
_COUNT = text("SELECT count(*) FROM (SELECT 1 FROM runs WHERE status = 'queued' LIMIT :most) AS waiting")

log = get_logger(__name__)


class Backlog:
    """One process' knowledge of the queue; a limit of 0 takes everything."""

    def __init__(self, engine: AsyncEngine, limit: int) -> None:
        self._engine = engine
        self._limit = limit
        self._waiting = 0
        self._counted = float("-inf")
        self._counting: asyncio.Task[None] | None = None

    def is_full(self, more: int = 1) -> bool:
        """Whether so many more runs would pass the limit; has the queue counted anew when the number is old."""
        if not self._limit:
            return False
        if time.monotonic() - self._counted > EVERY_SECONDS and (self._counting is None or self._counting.done()):
            self._counting = asyncio.create_task(self._count(), name="backlog")
        return self._waiting + more > self._limit

    async def stop(self) -> None:
        """End a count that is under way."""
        if self._counting is not None:
            self._counting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._counting

    async def _count(self) -> None:
        self._counted = time.monotonic()
        try:
            async with asyncio.timeout(_COUNT_SECONDS), autocommit(self._engine) as connection:
                self._waiting = int(await connection.scalar(_COUNT, {"most": self._limit}) or 0)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("The waiting runs were not counted", reason=type(error).__name__)

"""Tells the relay that the outbox has something, so that it need not wait for its next look.

The notice is sent after the commit and outside of it: NOTIFY inside a transaction takes a lock that all committing
transactions share. Many wishes become one notice; a lost one costs only the relay's polling interval.
"""

import asyncio
import contextlib

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import autocommit
from service.platform.logging import get_logger

CHANNEL = "outbox"
INTERVAL_SECONDS = 0.003
_SEND_SECONDS = 2.0

log = get_logger(__name__)


class OutboxWakeup:
    """Sends at most one notice in ``INTERVAL_SECONDS``; ``wake`` never waits."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send; needs a running loop."""
        self._task = asyncio.create_task(self._run(), name="outbox-wakeup")

    def wake(self) -> None:
        """Wish for a notice, after the transaction that wrote to the outbox was committed."""
        self._wanted.set()

    async def stop(self) -> None:
        """Stop sending; wishes not yet fulfilled are dropped."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                async with asyncio.timeout(_SEND_SECONDS), autocommit(self._engine) as connection:
                    await connection.execute(text(f"NOTIFY {CHANNEL}"))
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.warning("The relay was not woken; it looks by itself", reason=type(error).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)

"""One relay works, the others stand by: the one whose connection holds the advisory lock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from service.platform.database import connect
from service.platform.settings import Settings
from service.platform.worker_loop import Pulse, pause
from service.relay import metrics

LOCK_KEY = 0x0B07_1E57
"""The advisory lock of the relay, for the whole database."""

CHANNEL = "outbox"
STANDBY_SECONDS = 1.0
_CLOSE_SECONDS = 2.0


class Leadership:
    """The lock is held while ``lost`` is not set; ``wake`` is set when the API says that there is something to do."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.wake = asyncio.Event()
        self.lost = asyncio.Event()
        connection.add_termination_listener(self._terminated)

    async def listen(self) -> None:
        """Hear the API's notifications on the lock's own connection."""
        await self.connection.add_listener(CHANNEL, self._notified)

    async def confirm(self) -> None:
        """Raises when the connection, and with it the lock, is gone."""
        await self.connection.fetchval("SELECT 1")

    def _notified(self, *_: object) -> None:
        self.wake.set()

    def _terminated(self, _: object) -> None:
        self.lost.set()
        self.wake.set()


@asynccontextmanager
async def leadership(settings: Settings, stopping: asyncio.Event, pulse: Pulse) -> AsyncIterator[Leadership | None]:
    """Wait for the lock and hold it during the block; yields None when told to stop before.

    Raises what the database raises when it is away.
    """
    connection = await connect(settings, application="workflow-relay-leader")
    try:
        # A leader that vanished with its network must not keep the lock until TCP's own hours have passed.
        await connection.execute(
            "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3"
        )
        leader = Leadership(connection)
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            pulse.beat("relay", within=60)
            if await pause(stopping, STANDBY_SECONDS):
                yield None
                return
        await leader.listen()
        metrics.LEADER.set(1)
        try:
            yield leader
        finally:
            metrics.LEADER.set(0)
    finally:
        # Closing gives the lock back; a connection that cannot be closed in time is cut.
        with contextlib.suppress(Exception):
            await connection.close(timeout=_CLOSE_SECONDS)

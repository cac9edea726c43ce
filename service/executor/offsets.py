"""Commits offsets beside the work on the next messages.

Nothing waits for a commit: one that comes late, or never, makes messages come again, and the inbox knows them. So only
the newest offsets count, and one commit is under way at a time.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import KafkaError

from service.executor.lag import ConsumerStalledError
from service.platform.logging import get_logger
from service.platform.worker_loop import pause

FAILED_COMMITS = 5
"""In a row: a consumer that was put out of its group and does not know it goes on reading, but never commits."""

COMMIT_SECONDS = 10.0
PAUSE_SECONDS = 0.1
"""Between two commits: each costs the brokers as much as a message, and what is in between need not come to them."""

_LAST_SECONDS = 2.0

log = get_logger(__name__)


class Offsets:
    """The offsets of one consumer; ``stop`` before the consumer is stopped."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._wanted: dict[Any, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._failed = 0
        self._stopping = asyncio.Event()

    def note(self, offsets: Mapping[Any, int]) -> None:
        """Have these committed; later ones of a partition replace those that are not under way yet.

        Raises what ``check`` raises.
        """
        self.check()
        self._wanted.update(offsets)
        if self._wanted and self._task is None:
            self._task = asyncio.create_task(self._commit_all(), name="offsets")

    def check(self) -> None:
        """Raises what a commit raised that is no refusal, and ConsumerStalledError when too many were refused."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()

    async def stop(self) -> None:
        """Commit what is noted, for a bounded time; never raises."""
        if self._task is None:
            return
        self._stopping.set()
        done, _ = await asyncio.wait({self._task}, timeout=_LAST_SECONDS)
        if not done:
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _commit_all(self) -> None:
        while self._wanted:
            ours = self._consumer.assignment()
            offsets = {partition: offset for partition, offset in self._wanted.items() if partition in ours}
            self._wanted.clear()
            if offsets:
                await self._commit(offsets)
            await pause(self._stopping, PAUSE_SECONDS)

    async def _commit(self, offsets: Mapping[Any, int]) -> None:
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._consumer.commit(offsets)
        except KafkaError as error:
            # The group is being rebalanced; whoever gets the partition sees the messages again, and the inbox knows.
            reason = str(error) or type(error).__name__
            log.info("Offsets not committed", reason=reason)
            self._failed += 1
            if self._failed >= FAILED_COMMITS:
                raise ConsumerStalledError(f"{FAILED_COMMITS} commits in a row failed: {reason}") from error
        else:
            self._failed = 0

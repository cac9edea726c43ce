"""Topics in memory: what was sent stays, readers begin where their group last committed, or at the end if told to."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service.platform.kafka import Record

IDLE_SECONDS = 0.01
"""How long a reader waits for more where there is none."""


@dataclass(frozen=True)
class Stored:
    """A record as a consumer gets it."""

    value: bytes
    offset: int
    topic: str
    partition: int = 0
    key: bytes = b""
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 0


@dataclass
class MemoryKafka:
    """Topics with one log for all of them, one of which is read by a group. Also what a relay sends by: answers come
    after the deed."""

    log: list[Stored] = field(default_factory=list)
    committed: int = 0

    async def send(self, records: Sequence[Record]) -> None:
        """Store all; whoever dies while he waits for the answer has sent them all the same."""
        await asyncio.sleep(0)
        for record in records:
            self.log.append(Stored(record.value, len(self.log), record.topic))
        await asyncio.sleep(0)


class MemoryConsumer:
    """The part of aiokafka's consumer that the executor uses."""

    def __init__(self, kafka: MemoryKafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._position = kafka.committed

    async def start(self) -> None:
        """Join the group."""
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Leave it."""
        await asyncio.sleep(0)

    async def seek_to_end(self) -> None:
        """Pass over what was sent before."""
        await asyncio.sleep(0)
        self._position = len(self._kafka.log)

    def assignment(self) -> set[str]:
        """The one partition."""
        return {"only"}

    def paused(self) -> set[str]:
        """None is ever."""
        return set()

    def pause(self, *_: str) -> None:
        """Nothing is held back."""

    resume = pause

    async def getmany(self, *, timeout_ms: int, max_records: int = 100) -> dict[str, list[Stored]]:
        """The next records."""
        await asyncio.sleep(IDLE_SECONDS if self._position == len(self._kafka.log) and timeout_ms else 0)
        passed = self._kafka.log[self._position : self._position + max_records]
        self._position += len(passed)
        found = [record for record in passed if record.topic == self._topic]
        return {"only": found} if found else {}

    async def commit(self, offsets: dict[str, int]) -> None:
        """Keep the group's place; the answer comes after the deed."""
        await asyncio.sleep(0)
        self._kafka.committed = offsets["only"]
        await asyncio.sleep(0)


class NoLagWatch:
    """Stands for the watch of a consumer that can't stall."""

    def __init__(self, _consumer: Any) -> None:
        pass

    def start(self) -> None:
        """Nothing to watch."""

    check = waiting = received = start

    async def stop(self) -> None:
        """Nothing to end."""

"""How far a consumer is behind, and whether it has fallen silent.

aiokafka's consumer can stop delivering without an error after it lost its place in the group. A consumer that has
something to read, may read it and gets nothing is therefore reported as stalled, and its owner makes a new one.
"""

import asyncio
import contextlib
import time
from typing import Any

from aiokafka.errors import KafkaError

from service.executor import metrics

LOOK_SECONDS = 5.0
STALLED_SECONDS = 30.0
BLIND_SECONDS = 60.0
UNASSIGNED_SECONDS = 300.0
"""Long, because an executor beyond the number of partitions rightly has none; late runs are swept up meanwhile."""


class ConsumerStalledError(KafkaError):  # type: ignore[misc]
    """The consumer gets nothing although there is something to get."""


class LagWatch:
    """Looks at one consumer from beside; ``check`` raises once it has to be replaced."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._task: asyncio.Task[None] | None = None
        self._shown: set[tuple[str, int]] = set()
        self._lag = 0
        now = time.monotonic()
        self._last_record, self._last_assigned, self._last_look = now, now, now

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look_again_and_again(), name="lag watch")

    async def stop(self) -> None:
        """End looking and take the figures away."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        for topic, partition in self._shown:
            metrics.CONSUMER_LAG.remove(topic, partition)
        self._shown.clear()

    def received(self) -> None:
        """A record came."""
        self._last_record = time.monotonic()

    def waiting(self) -> None:
        """The consumer is not asked for records now, so that none come is no sign of anything."""
        self._last_record = time.monotonic()

    def check(self) -> None:
        """Raises ConsumerStalledError when the consumer should be replaced."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()
        now = time.monotonic()
        if self._lag > 0 and now - self._last_record > STALLED_SECONDS:
            raise ConsumerStalledError(f"{self._lag} messages wait, none came for {now - self._last_record:.0f} s")
        if now - self._last_look > BLIND_SECONDS:
            # Brokers that are away are not hurt by a new consumer, and one that cannot say where it is never reads.
            raise ConsumerStalledError(f"its position could not be read for {now - self._last_look:.0f} s")
        if now - self._last_assigned > UNASSIGNED_SECONDS:
            raise ConsumerStalledError(f"no partition was assigned for {now - self._last_assigned:.0f} s")

    async def _look_again_and_again(self) -> None:
        while True:
            # A broker that is away shows in the consumer's own calls; the figure just stays as it was.
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        assignment = self._consumer.assignment()
        if not assignment:
            self._last_look = time.monotonic()
            self._lag = 0
            self._show({})
            return
        self._last_assigned = time.monotonic()
        ends = await self._consumer.end_offsets(list(assignment))
        lags = {}
        for partition, end in ends.items():
            position = await self._consumer.position(partition)
            lags[(partition.topic, partition.partition)] = max(0, end - position)
        self._last_look = time.monotonic()
        self._lag = sum(lags.values())
        self._show(lags)

    def _show(self, lags: dict[tuple[str, int], int]) -> None:
        for topic, partition in self._shown - lags.keys():
            metrics.CONSUMER_LAG.remove(topic, partition)
        for (topic, partition), lag in lags.items():
            metrics.CONSUMER_LAG.labels(topic, partition).set(lag)
        self._shown = set(lags)

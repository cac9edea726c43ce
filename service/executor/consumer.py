"""Takes execution requests from Kafka and claims their runs.

A message's offset is committed only after its inbox row and its run's claim, or the run's end if it only computes, are
durable, or its dead letter if it makes no sense; whatever happens in between, it comes again and is recognised.
No more messages are taken than a batch has and no more runs started than may be; while some wait for a place, the
partitions are paused but the consumer is still polled, so that it keeps its place in the group.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from service.deadletters.letter import DeadLetter
from service.executor import metrics
from service.executor.active import ActiveRuns
from service.executor.ahead import Ahead
from service.executor.at_once import BATCH_RUNS, AtOnce
from service.executor.lag import LagWatch
from service.executor.messages import ExecutionRequest, UndecodableMessageError, decode
from service.executor.offsets import Offsets
from service.executor.repository import RunRepository
from service.executor.transient import is_transient
from service.platform.kafka import START_SECONDS, create_consumer, stop_consumer
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.worker_loop import Backoff, Pulse, pause

GROUP = "workflow-executor"
POLL_SECONDS = 0.5
_CALL_SECONDS = 10.0

log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Received:
    partition: Any
    offset: int
    request: ExecutionRequest | None
    letter: DeadLetter | None = None
    """What is kept of it instead when it makes no sense."""

    needs_place: bool = False
    """Whether its run is known to be one that has to be claimed."""


class ExecutionConsumer:
    """Feeds the active runs from the execution topic until told to stop; outages of Kafka are sat out."""

    def __init__(
        self,
        settings: Settings,
        repository: RunRepository,
        active: ActiveRuns,
        at_once: AtOnce,
        ahead: Ahead,
        *,
        pulse: Pulse,
        group: str = GROUP,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._active = active
        self._at_once = at_once
        self._ahead = ahead
        self._pulse = pulse
        self._group = group
        self._topic = settings.kafka_execution_topic
        self._held: list[_Received] = []
        metrics.show_topic(self._topic)

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until told to stop, with a new consumer whenever one fails or falls silent."""
        backoff = Backoff(0.2, 5.0)
        while not stopping.is_set():
            self._beat()
            began = time.monotonic()
            try:
                await self._consume(stopping)
            except (KafkaError, TimeoutError, OSError) as error:
                if time.monotonic() - began > 60:
                    backoff.succeeded()
                metrics.CONSUMER_RESTARTS.labels(self._topic).inc()
                log.warning("The consumer is replaced", topic=self._topic, reason=str(error) or type(error).__name__)
                await pause(stopping, backoff.failed())
        self._pulse.ended("consumer")

    async def _consume(self, stopping: asyncio.Event) -> None:
        # What an earlier consumer left was not committed and comes again.
        self._held.clear()
        consumer = create_consumer(
            self._settings, topics=[self._topic], group=self._group, client_id=self._settings.executor_id
        )
        watch, offsets = LagWatch(consumer), Offsets(consumer)
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
            watch.start()
            while not stopping.is_set():
                self._beat()
                watch.check()
                offsets.check()
                await self._poll(consumer, watch)
                await self._take(offsets, stopping)
        finally:
            await watch.stop()
            await offsets.stop()
            await stop_consumer(consumer)

    async def _poll(self, consumer: Any, watch: LagWatch) -> None:
        # What is left was looked at, and waits for a place; what could be done without one was done.
        if any(one.needs_place for one in self._held):
            consumer.pause(*consumer.assignment())
            watch.waiting()
            await self._active.wait_for_place(POLL_SECONDS)
        elif consumer.paused():
            consumer.resume(*consumer.paused())
        seconds = 0.0 if self._held else POLL_SECONDS
        async with asyncio.timeout(_CALL_SECONDS):
            batches = await consumer.getmany(
                timeout_ms=int(seconds * 1000), max_records=max(1, BATCH_RUNS - len(self._held))
            )
        for partition, records in batches.items():
            watch.received()
            self._held.extend(self._received(partition, record) for record in records)

    def _received(self, partition: Any, record: Any) -> _Received:
        try:
            return _Received(partition, record.offset, decode(ExecutionRequest, record.value))
        except UndecodableMessageError as error:
            metrics.UNDECODABLE.labels(self._topic).inc()
            log.warning(
                "Message set aside: it cannot be read",
                topic=self._topic,
                partition=record.partition,
                offset=record.offset,
                reason=str(error),
            )
            return _Received(partition, record.offset, None, DeadLetter.of_record(record, str(error)))

    async def _take(self, offsets: Offsets, stopping: asyncio.Event) -> None:
        taken = {
            *await self._keep_dead(stopping),
            *await self._end_at_once(stopping),
            *await self._claim(stopping),
        }
        if not taken:
            return
        self._held = [one for one in self._held if one not in taken]
        passed = {one.partition: one.offset + 1 for one in sorted(taken, key=lambda one: one.offset)}
        # A message that still waits for its place comes again if we die before it gets one.
        for one in reversed(self._held):
            if one.partition in passed:
                passed[one.partition] = one.offset
        offsets.note(passed)

    async def _keep_dead(self, stopping: asyncio.Event) -> list[_Received]:
        """Store what makes no sense; returns what was stored."""
        dead = [one for one in self._held if one.letter is not None]
        letters = [one.letter for one in dead if one.letter is not None]
        if not letters:
            return []
        kept = await self._until_durable(lambda: self._repository.keep_dead(letters), "Dead letters", stopping)
        return dead if kept else []

    async def _end_at_once(self, stopping: asyncio.Event) -> list[_Received]:
        """Do the runs that need no place; returns those, and marks the others that it came to."""
        waiting = [(one, one.request) for one in self._held if one.request is not None and not one.needs_place]
        ended: list[_Received] = []
        if not waiting:
            return ended

        async def end() -> None:
            computed = await self._at_once.compute([request for _, request in waiting])
            runs = await self._at_once.end([each for each in computed if each is not None])
            for (one, request), conclusion in zip(waiting, computed, strict=False):
                if conclusion is not None and request.run_id in runs:
                    ended.append(one)
                else:
                    one.needs_place = True

        await self._until_durable(end, "Ends", stopping)
        return ended

    async def _claim(self, stopping: asyncio.Event) -> list[_Received]:
        """Claim as many of the others as have a place, and start them; returns those."""
        if not any(one.needs_place for one in self._held):
            return []
        async with self._active.claiming:
            if not await self._until_durable(self._ahead.claim_before, "Claims", stopping):
                return []
            waiting = [(one, one.request) for one in self._held if one.needs_place and one.request is not None]
            del waiting[self._active.free :]
            requests = [request for _, request in waiting]
            if not requests:
                return []

            async def claim() -> None:
                held_before = self._repository.held_back
                claimed = await self._repository.claim_received(requests)
                self._active.start(claimed)
                held = self._repository.held_back - held_before
                if held:
                    self._ahead.nudge()
                if len(claimed) + held < len(requests):
                    metrics.DUPLICATES.labels(self._topic).inc(len(requests) - len(claimed) - held)

            claimed = await self._until_durable(claim, "Claims", stopping)
        return [one for one, _ in waiting] if claimed else []

    async def _until_durable(self, write: Callable[[], Awaitable[None]], what: str, stopping: asyncio.Event) -> bool:
        """Keep trying until it is written; False when the process is to stop before."""
        backoff = Backoff(0.1, 5.0)
        while True:
            self._beat()
            try:
                await write()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning(f"{what} wait: the database is away", reason=type(error).__name__)
                if await pause(stopping, backoff.failed()):
                    return False
                continue
            return True

    def _beat(self) -> None:
        self._pulse.beat("consumer", within=60)

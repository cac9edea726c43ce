"""Takes execution requests from Kafka and claims their runs.

A message's offset is committed only after its inbox row and its run's claim are durable, or its dead letter if it makes
no sense; whatever happens in between, the message comes again and is recognised. No more messages are taken than runs
may start, and while none may, the partitions are paused but the consumer is still polled, so that it keeps its place in
the group.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from service.deadletters.letter import DeadLetter
from service.executor import metrics
from service.executor.active import ActiveRuns
from service.executor.ahead import Ahead
from service.executor.lag import ConsumerStalledError, LagWatch
from service.executor.messages import ExecutionRequest, UndecodableMessageError, decode
from service.executor.repository import RunRepository
from service.executor.transient import is_transient
from service.platform.kafka import START_SECONDS, create_consumer, stop_consumer
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.worker_loop import Backoff, Pulse, pause

GROUP = "workflow-executor"
POLL_SECONDS = 0.5
FAILED_COMMITS = 5
"""In a row: a consumer that was put out of its group and does not know it goes on reading, but never commits."""
_CALL_SECONDS = 10.0

log = get_logger(__name__)


@dataclass(frozen=True)
class _Received:
    partition: Any
    offset: int
    request: ExecutionRequest | None
    letter: DeadLetter | None = None
    """What is kept of it instead when it makes no sense."""


class ExecutionConsumer:
    """Feeds the active runs from the execution topic until told to stop; outages of Kafka are sat out."""

    def __init__(
        self,
        settings: Settings,
        repository: RunRepository,
        active: ActiveRuns,
        ahead: Ahead,
        *,
        pulse: Pulse,
        group: str = GROUP,
    ) -> None:
        self._settings = settings
        self._repository = repository
        self._active = active
        self._ahead = ahead
        self._pulse = pulse
        self._group = group
        self._topic = settings.kafka_execution_topic
        self._held: deque[_Received] = deque()
        self._failed_commits = 0
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
        self._failed_commits = 0
        consumer = create_consumer(
            self._settings, topics=[self._topic], group=self._group, client_id=self._settings.executor_id
        )
        watch = LagWatch(consumer)
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
            watch.start()
            while not stopping.is_set():
                self._beat()
                watch.check()
                await self._poll(consumer, watch)
                await self._take(consumer, stopping)
        finally:
            await watch.stop()
            await stop_consumer(consumer)

    async def _poll(self, consumer: Any, watch: LagWatch) -> None:
        free = self._active.free
        seconds = POLL_SECONDS
        if self._held or not free:
            consumer.pause(*consumer.assignment())
            watch.waiting()
            if not free:
                await self._active.wait_for_place(POLL_SECONDS)
            seconds = 0.0
        elif consumer.paused():
            consumer.resume(*consumer.paused())
        async with asyncio.timeout(_CALL_SECONDS):
            batches = await consumer.getmany(timeout_ms=int(seconds * 1000), max_records=max(1, free))
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

    async def _take(self, consumer: Any, stopping: asyncio.Event) -> None:
        if not self._held:
            return
        async with self._active.claiming:
            if not await self._until_durable(self._ahead.claim_before, "Claims", stopping):
                return
            taken, requests = self._next(self._active.free)
            letters = [one.letter for one in taken if one.letter is not None]
            if not taken or not await self._keep(letters, stopping) or not await self._claim(requests, stopping):
                return
        for _ in taken:
            self._held.popleft()
        await self._commit(consumer, taken)

    def _next(self, limit: int) -> tuple[list[_Received], list[ExecutionRequest]]:
        taken: list[_Received] = []
        requests: list[ExecutionRequest] = []
        for received in self._held:
            if received.request is not None:
                if len(requests) == limit:
                    break
                requests.append(received.request)
            taken.append(received)
        return taken, requests

    async def _keep(self, letters: list[DeadLetter], stopping: asyncio.Event) -> bool:
        if not letters:
            return True
        return await self._until_durable(lambda: self._repository.keep_dead(letters), "Dead letters", stopping)

    async def _claim(self, requests: list[ExecutionRequest], stopping: asyncio.Event) -> bool:
        if not requests:
            return True

        async def claim() -> None:
            held_before = self._repository.held_back
            claimed = await self._repository.claim_received(requests)
            self._active.start(claimed)
            held = self._repository.held_back - held_before
            if held:
                self._ahead.nudge()
            if len(claimed) + held < len(requests):
                metrics.DUPLICATES.labels(self._topic).inc(len(requests) - len(claimed) - held)

        return await self._until_durable(claim, "Claims", stopping)

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

    async def _commit(self, consumer: Any, taken: list[_Received]) -> None:
        ours = consumer.assignment()
        offsets = {one.partition: one.offset + 1 for one in taken if one.partition in ours}
        if not offsets:
            return
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await consumer.commit(offsets)
        except KafkaError as error:
            # The group is being rebalanced; whoever gets the partition sees the messages again, and the inbox knows.
            reason = str(error) or type(error).__name__
            log.info("Offsets not committed", reason=reason)
            self._failed_commits += 1
            if self._failed_commits >= FAILED_COMMITS:
                raise ConsumerStalledError(f"{FAILED_COMMITS} commits in a row failed: {reason}") from error
        else:
            self._failed_commits = 0

    def _beat(self) -> None:
        self._pulse.beat("consumer", within=60)

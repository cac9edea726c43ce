"""Takes the replies that steps of the kind kafka wait for, and makes each the signal of its step.

All executors are one group. A reply's offset is committed only after its signal is stored; the same reply again, or
another for the step, changes nothing. What is no reply to anything that waits is counted and passed over: the topics
are written by others.
"""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka.errors import KafkaError

from service.executor import metrics
from service.executor.consumer import POLL_SECONDS
from service.executor.kinds.kafka_message import MOST_BYTES, read_reply_id
from service.executor.lag import ConsumerStalledError, LagWatch
from service.executor.offsets import FAILED_COMMITS
from service.executor.repository import RunRepository
from service.executor.transient import is_transient
from service.executor.values import encode, is_deeper
from service.platform.kafka import START_SECONDS, create_consumer, stop_consumer
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.worker_loop import Backoff, Pulse, pause

GROUP = "workflow-replies"
MOST_TOGETHER = 200
_CALL_SECONDS = 10.0
_MOST_DEPTH = 64
_MOST_IDS = 5
"""Of one message: which of them counts is known from the step that waits."""

log = get_logger(__name__)


class UnusableReplyError(ValueError):
    """The message can be no reply; the text says why and not what is in it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An id that a message carries, and where; with the output that its step has if it waits for just that."""

    run_id: UUID
    step_id: str
    attempt: int
    topic: str
    header: str | None
    field: str | None
    output: str
    """JSON text."""
    place: str


def read_replies(record: Any) -> list[Reply]:
    """What a message may be the reply to; nothing where it carries no id of ours. Raises UnusableReplyError."""
    value = record.value
    if value is None:
        raise UnusableReplyError("it has no value")
    if len(value) > MOST_BYTES:
        raise UnusableReplyError(f"it has {len(value)} bytes, and {MOST_BYTES} at most are taken")
    try:
        content = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise UnusableReplyError(f"it is no JSON ({type(error).__name__})") from None
    if is_deeper(content, _MOST_DEPTH):
        raise UnusableReplyError(f"it is nested more than {_MOST_DEPTH} levels deep")
    headers = {name: text.decode("utf-8", "replace") for name, text in record.headers or () if text is not None}
    fields = content.items() if isinstance(content, dict) else ()
    carried = [
        *((name, None, text) for name, text in headers.items()),
        *((None, name, text) for name, text in fields),
    ]
    known = [(header, field, found) for header, field, text in carried if (found := read_reply_id(text)) is not None]
    if not known:
        return []
    try:
        output = encode(
            {
                "value": content,
                "headers": headers,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
            }
        )
    except ValueError as error:
        raise UnusableReplyError(f"it cannot be stored: {error}") from None
    place = f"kafka:{record.topic}/{record.partition}/{record.offset}"
    return [Reply(*found, record.topic, header, field, output, place) for header, field, found in known[:_MOST_IDS]]


class ReplyConsumer:
    """Reads the topics that the operator named until told to stop; outages of Kafka and of the database are sat out."""

    def __init__(self, settings: Settings, repository: RunRepository, *, pulse: Pulse, group: str = GROUP) -> None:
        self._settings = settings
        self._repository = repository
        self._pulse = pulse
        self._group = group
        self._topics = settings.kafka_agent_reply_topics
        self._failed_commits = 0
        for topic in self._topics:
            metrics.show_topic(topic)

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
                for topic in self._topics:
                    metrics.CONSUMER_RESTARTS.labels(topic).inc()
                reason = str(error) or type(error).__name__
                log.warning("The consumer of replies is replaced", topics=list(self._topics), reason=reason)
                await pause(stopping, backoff.failed())
        self._pulse.ended("replies")

    async def _consume(self, stopping: asyncio.Event) -> None:
        self._failed_commits = 0
        consumer = create_consumer(
            self._settings, topics=self._topics, group=self._group, client_id=f"{self._settings.executor_id}-replies"
        )
        watch = LagWatch(consumer)
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
            watch.start()
            while not stopping.is_set():
                self._beat()
                watch.check()
                async with asyncio.timeout(_CALL_SECONDS):
                    batches = await consumer.getmany(timeout_ms=int(POLL_SECONDS * 1000), max_records=MOST_TOGETHER)
                records = [record for batch in batches.values() for record in batch]
                if not records:
                    continue
                watch.received()
                if not await self._take(records, stopping):
                    return
                # However long the database was away, no record was asked for meanwhile.
                watch.received()
                await self._commit(consumer, {partition: batch[-1].offset + 1 for partition, batch in batches.items()})
        finally:
            await watch.stop()
            await stop_consumer(consumer)

    async def _take(self, records: list[Any], stopping: asyncio.Event) -> bool:
        """Store what are replies; False when the process is to stop before."""
        replies: list[Reply] = []
        readable = dict.fromkeys(self._topics, 0)
        for record in records:
            try:
                replies += read_replies(record)
                readable[record.topic] += 1
            except UnusableReplyError as error:
                metrics.UNDECODABLE.labels(record.topic).inc()
                place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
                log.warning("A message is no reply", **place, reason=str(error))
        taken: dict[str, int] = {}
        if replies:
            backoff = Backoff(0.1, 5.0)
            while True:
                self._beat()
                try:
                    taken = await self._repository.take_replies(replies)
                    break
                except Exception as error:
                    if not is_transient(error):
                        raise
                    log.warning("Replies wait: the database is away", reason=type(error).__name__)
                if await pause(stopping, backoff.failed()):
                    return False
        for topic, count in readable.items():
            metrics.DUPLICATES.labels(topic).inc(max(0, count - taken.get(topic, 0)))
        return True

    async def _commit(self, consumer: Any, offsets: dict[Any, int]) -> None:
        ours = {partition: offset for partition, offset in offsets.items() if partition in consumer.assignment()}
        if not ours:
            return
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await consumer.commit(ours)
        except KafkaError as error:
            # Whoever gets the partition sees the replies again, and the steps have their signals.
            reason = str(error) or type(error).__name__
            log.info("Offsets of replies not committed", reason=reason)
            self._failed_commits += 1
            if self._failed_commits >= FAILED_COMMITS:
                raise ConsumerStalledError(f"{FAILED_COMMITS} commits in a row failed: {reason}") from error
        else:
            self._failed_commits = 0

    def _beat(self) -> None:
        self._pulse.beat("replies", within=60)

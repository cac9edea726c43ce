"""The kind that publishes to Kafka."""

import asyncio
from collections import deque
from contextvars import Context
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, TopicAuthorizationFailedError

from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.kinds.kafka_message import KafkaSettings, build_message, reply_id
from service.executor.waiting import Waiting
from service.platform.kafka import BoundedProducer, Delivered, KafkaUnavailableError, Record
from service.platform.settings import Settings

_MOST_TOGETHER = 200
_MOST_BYTES_TOGETHER = 4_000_000
_STOP_SECONDS = 2.0


class KafkaAgent(Agent[KafkaSettings]):
    """Publishes the step's input to a topic that the operator allowed and returns ``{"topic", "partition", "offset"}``.

    It returns when all replicas in sync have the message. A message may arrive more than once, with the same
    ``message_id`` each time. Where a reply is asked for the step then waits for that, without holding a place.
    """

    kind = "kafka"
    settings_model = KafkaSettings

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._allowed = frozenset(settings.kafka_agent_topics)
        self._replies_allowed = frozenset(settings.kafka_agent_reply_topics)
        self._publishers: dict[str, _Publisher] = {}

    async def run(self, settings: KafkaSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """Publish, once the topic is found to be allowed."""
        topic, reply = settings.topic, settings.reply
        if topic not in self._allowed:
            raise _not_allowed(topic, "a kafka agent may publish to", "KAFKA_AGENT_TOPICS")
        if reply is not None and reply.topic not in self._replies_allowed:
            raise _not_allowed(reply.topic, "replies are read from", "KAFKA_AGENT_REPLY_TOPICS")
        record = build_message(settings, step_input, context)
        try:
            # One for each topic: a topic that is not there must hold up nobody else's messages.
            publisher = self._publishers.setdefault(topic, _Publisher(self._settings, topic))
            delivered = await publisher.publish(record)
        except KafkaUnavailableError as error:
            raise _failure(topic, error) from None
        published = {"topic": topic, "partition": delivered.partition, "offset": delivered.offset}
        if reply is None:
            return published
        shown = {"reply_id": reply_id(context), "topic": reply.topic, "published": published}
        return Waiting(self.kind, shown, reply.timeout_seconds, reply.on_timeout)

    async def close(self) -> None:
        """Close the connections."""
        publishers, self._publishers = self._publishers, {}
        await asyncio.gather(*(publisher.stop() for publisher in publishers.values()))


class _Publisher:
    """One topic's producer. What comes while a batch is on its way is the next batch.

    Who asks may stop waiting at any time; the message may be sent all the same.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._producer = BoundedProducer(settings, client_id=f"{settings.executor_id}-{topic}"[:200])
        self._waiting: deque[tuple[Record, asyncio.Future[Delivered]]] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def publish(self, record: Record) -> Delivered:
        """Where the message is. Raises KafkaUnavailableError."""
        future: asyncio.Future[Delivered] = asyncio.get_running_loop().create_future()
        self._waiting.append((record, future))
        if self._sending is None or self._sending.done():
            # In a context of its own: what it sends is of many runs.
            self._sending = asyncio.create_task(self._send_all(), context=Context())
        return await future

    async def stop(self) -> None:
        """Send what waits, for a bounded time, and close; nobody waits for ever."""
        if self._sending is not None:
            await asyncio.wait({self._sending}, timeout=_STOP_SECONDS)
            self._sending.cancel()
            await asyncio.wait({self._sending}, timeout=_STOP_SECONDS)
        for _, future in self._waiting:
            _refuse(future, KafkaUnavailableError("the executor stops"))
        await self._producer.stop()

    async def _send_all(self) -> None:
        while self._waiting:
            batch = self._take()
            try:
                places = await self._producer.send([record for record, _ in batch])
            except asyncio.CancelledError:
                for _, future in batch:
                    _refuse(future, KafkaUnavailableError("the executor stopped while it was sent"))
                raise
            except Exception as error:  # noqa: BLE001 - whoever asked gets it
                for _, future in batch:
                    _refuse(future, error)
                continue
            for (_, future), place in zip(batch, places, strict=True):
                if not future.done():
                    future.set_result(place)

    def _take(self) -> list[tuple[Record, asyncio.Future[Delivered]]]:
        batch: list[tuple[Record, asyncio.Future[Delivered]]] = []
        size = 0
        while self._waiting and len(batch) < _MOST_TOGETHER and size < _MOST_BYTES_TOGETHER:
            record, future = self._waiting.popleft()
            # Who went away before the message was sent takes it along.
            if not future.done():
                batch.append((record, future))
                size += len(record.value)
        return batch


def _refuse(future: "asyncio.Future[Delivered]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _not_allowed(topic: str, what: str, variable: str) -> StepFailedError:
    detail = f"{topic} is not on the list of topics that {what}; an operator can allow it with {variable}={topic}"
    return StepFailedError("kafka-topic-not-allowed", detail, retryable=False)


def _failure(topic: str, error: KafkaUnavailableError) -> StepFailedError:
    cause = error.__cause__
    if isinstance(cause, TopicAuthorizationFailedError):
        detail = f"the brokers do not let this executor write to {topic}; its login needs the right to"
        return StepFailedError("kafka-refused", detail, retryable=False)
    if isinstance(cause, MessageSizeTooLargeError):
        return StepFailedError("kafka-too-large", f"{topic} takes no message of this size", retryable=False)
    return StepFailedError("kafka-unavailable", f"{topic}: {error}", retryable=True)

"""Kafka with bounded waits.

aiokafka's idempotent producer never gives up by itself while the brokers are away: neither ``send_and_wait`` nor
``stop`` ends. Every wait here has a limit, and a producer that missed it is thrown away and replaced at the next send.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from service.platform.logging import get_logger
from service.platform.settings import Settings

START_SECONDS = 10.0
SEND_SECONDS = 10.0
STOP_SECONDS = 5.0
ADMIN_SECONDS = 20.0
_REQUEST_MILLISECONDS = 5_000
_LINGER_MILLISECONDS = 2
_BATCH_BYTES = 128 * 1024

log = get_logger(__name__)


class KafkaUnavailableError(RuntimeError):
    """Kafka did not do in time what was asked; the message says what and names no credentials."""


def is_too_large(error: KafkaUnavailableError) -> bool:
    """Whether one of the messages is larger than the brokers take: sent again, it is refused again."""
    return isinstance(error.__cause__, (MessageSizeTooLargeError, RecordListTooLargeError))


class KafkaRefusedError(KafkaUnavailableError):
    """Kafka answered that it is not allowed; asking again changes nothing."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message to be sent: ``headers`` values are text and travel as UTF-8."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where a message is."""

    partition: int
    offset: int


class BoundedProducer:
    """An idempotent producer (acks=all) whose every wait ends.

    ``send`` returns only when all replicas in sync have every record. After ``KafkaUnavailableError`` some records may
    have arrived all the same: send them again, and let the receiver recognise duplicates by the message id.
    Use it from one task at a time.
    """

    def __init__(self, settings: Settings, *, client_id: str, send_seconds: float = SEND_SECONDS) -> None:
        self._settings = settings
        self._client_id = client_id
        self._send_seconds = send_seconds
        self._producer: Any = None

    async def start(self) -> None:
        """Connect; does nothing when connected. Raises KafkaUnavailableError after ``START_SECONDS``."""
        if self._producer is not None:
            return
        producer = AIOKafkaProducer(
            **connection_options(self._settings),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            linger_ms=_LINGER_MILLISECONDS,
            max_batch_size=_BATCH_BYTES,
            request_timeout_ms=_REQUEST_MILLISECONDS,
        )
        try:
            async with asyncio.timeout(START_SECONDS):
                await producer.start()
        except (KafkaError, TimeoutError, OSError) as error:
            await _abandon(producer)
            raise KafkaUnavailableError(f"no connection to Kafka: {_reason(error)}") from error
        except BaseException:
            await _abandon(producer)
            raise
        self._producer = producer

    async def send(self, records: Sequence[Record]) -> list[Delivered]:
        """Deliver all records, in order for each key, and say where each is.

        Raises KafkaUnavailableError when it fails or takes too long.
        """
        if not records:
            return []
        await self.start()
        producer = self._producer
        try:
            async with asyncio.timeout(self._send_seconds):
                # One coroutine appends all of them: parallel senders cost time that grows with their square.
                futures = [
                    await producer.send(
                        record.topic,
                        value=record.value,
                        key=record.key.encode(),
                        headers=[(name, value.encode()) for name, value in record.headers],
                    )
                    for record in records
                ]
                sent = await asyncio.gather(*futures)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._discard()
            raise KafkaUnavailableError(
                f"{len(records)} messages were not confirmed by Kafka: {_reason(error)}"
            ) from error
        except BaseException:
            await self._discard()
            raise
        return [Delivered(each.partition, each.offset) for each in sent]

    async def stop(self) -> None:
        """Send what is buffered and close, in ``STOP_SECONDS`` at most; never raises."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await producer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("The Kafka producer did not stop in time", reason=_reason(error))
            await _abandon(producer)

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await _abandon(producer)


async def _abandon(producer: Any) -> None:
    """Close a producer that cannot flush: fail what it holds, so that its stop has nothing to wait for."""
    producer._message_accumulator.fail_all(KafkaError("the producer was given up"))
    with contextlib.suppress(Exception):
        async with asyncio.timeout(STOP_SECONDS):
            await producer.stop()
    with contextlib.suppress(Exception):
        async with asyncio.timeout(STOP_SECONDS):
            if producer._sender is not None:
                await producer._sender.close()
            await producer.client.close()


def connection_options(settings: Settings) -> dict[str, Any]:
    """What every client needs to reach the brokers, and to prove who it is where they ask.

    With TLS the broker's name must be in its certificate. The authorities are read anew for each client, so that a
    replaced file counts from the next connection on.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol != "PLAINTEXT":
        options["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
    if settings.kafka_sasl_password is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options


def create_consumer(settings: Settings, *, topics: Iterable[str], group: str | None, client_id: str) -> Any:
    """A consumer that starts with the oldest message and commits only when told to: commit after the work is durable.

    ``group=None`` makes it a member of no group: it reads every partition and commits nothing.

    It is not started; bound its ``start`` and ``getmany`` by a timeout and end it with ``stop_consumer``.
    """
    return AIOKafkaConsumer(
        *topics,
        **connection_options(settings),
        group_id=group,
        client_id=client_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        # How long a broker keeps a question that it has no message for. One question is open for each broker, so this
        # is also how long a partition may wait for another that was full; shorter keeps idle machines busy.
        fetch_max_wait_ms=400,
        request_timeout_ms=max(_REQUEST_MILLISECONDS, 12_000),
        metadata_max_age_ms=30_000,
        isolation_level="read_committed",
    )


async def stop_consumer(consumer: Any) -> None:
    """Leave the group and close, in ``STOP_SECONDS`` at most; never raises."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await consumer.stop()
    except (KafkaError, TimeoutError, OSError, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        # The library awaits what it has cancelled, so a cancellation may also be one of its own.
        log.warning("The Kafka consumer did not stop in time", reason=_reason(error))
        with contextlib.suppress(Exception):
            async with asyncio.timeout(STOP_SECONDS):
                await consumer._client.close()


async def ensure_topics(settings: Settings) -> list[str]:
    """Create the topics of the service and of its agents that do not exist and return their names.

    Existing ones are left as they are.

    Raises KafkaUnavailableError when the brokers do not answer or refuse, KafkaRefusedError when this login may not.
    """
    own = (settings.kafka_execution_topic, settings.kafka_cancellation_topic)
    wanted = dict.fromkeys((*own, *settings.kafka_agent_topics, *settings.kafka_agent_reply_topics))
    admin = AIOKafkaAdminClient(
        **connection_options(settings), client_id="migrate", request_timeout_ms=_REQUEST_MILLISECONDS
    )
    try:
        async with asyncio.timeout(ADMIN_SECONDS):
            await admin.start()
            existing = set(await admin.list_topics())
            missing = [
                NewTopic(name, settings.kafka_topic_partitions, settings.kafka_topic_replication)
                for name in wanted
                if name not in existing
            ]
            if not missing:
                return []
            answer = await admin.create_topics(missing)
    except (KafkaError, TimeoutError, OSError) as error:
        raise KafkaUnavailableError(f"topics could not be created: {_reason(error)}") from error
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(STOP_SECONDS):
                await admin.close()
    created = []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            created.append(name)
        elif code == TopicAuthorizationFailedError.errno:
            raise KafkaRefusedError(
                f"topic {name} is not there, or {settings.kafka_sasl_username or 'this login'} may not see it, and it "
                "may make none: run the job kafka-access, or let the topic be made by whoever runs the brokers"
            )
        elif code != TopicAlreadyExistsError.errno:
            detail = next((text for text in message if text), for_code(code).__name__)
            raise KafkaUnavailableError(f"topic {name} could not be created: {detail}")
    return created


async def check_kafka(settings: Settings, *, seconds: float) -> None:
    """Raise KafkaUnavailableError when no broker answers a metadata request within ``seconds``."""
    client = AIOKafkaClient(
        **connection_options(settings),
        client_id="check",
        request_timeout_ms=int(seconds * 1000),
    )
    try:
        async with asyncio.timeout(seconds):
            await client.bootstrap()
    except (KafkaError, TimeoutError, OSError) as error:
        raise KafkaUnavailableError(f"no answer from {', '.join(settings.kafka_brokers)}: {_reason(error)}") from error
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1):
                await client.close()


def _reason(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else (str(error) or type(error).__name__)

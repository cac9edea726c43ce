"""The relay: what is committed reaches Kafka, whatever is away meanwhile."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform import metrics
from service.platform.database import connect, transaction
from service.platform.kafka import KafkaUnavailableError, Record, create_consumer, stop_consumer
from service.platform.settings import Settings
from service.platform.tables import outbox
from service.relay import metrics as relay_metrics
from service.relay.leader import LOCK_KEY
from service.relay.outbox import BATCH_ROWS, MAX_MESSAGE_BYTES, mark_lazily, relay_batch, relay_topics_apart
from tests.service.executor_support import add_message, relaying
from tests.service.servers import KafkaServer, eventually, free_port

pytestmark = pytest.mark.ring("service")


class Remembering:
    """A sender that keeps what it gets, or fails when told to."""

    def __init__(self, *, failing: bool = False, refused_topic: str | None = None) -> None:
        self.failing = failing
        self.refused_topic = refused_topic
        self.sent: list[Record] = []

    async def send(self, records: Sequence[Record]) -> None:
        """Keep or fail."""
        if self.failing or any(record.topic == self.refused_topic for record in records):
            raise KafkaUnavailableError("away")
        self.sent += records


async def pending(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        return int((await connection.execute(select(func.count()).select_from(outbox))).scalar_one())


async def relayed(engine: AsyncEngine) -> None:
    async def empty() -> bool:
        return await pending(engine) == 0

    await eventually(empty, "the outbox to be empty", seconds=40)


async def read_topic(settings: Settings, count: int) -> list[Any]:
    consumer = create_consumer(settings, topics=[settings.kafka_execution_topic], group="reader", client_id="test")
    found: list[Any] = []
    try:
        async with asyncio.timeout(40):
            await consumer.start()
            while len(found) < count:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += records
    finally:
        await stop_consumer(consumer)
    return found


async def test_every_committed_row_is_delivered_with_key_headers_and_payload(
    engine: AsyncEngine, settings: Settings
) -> None:
    async with relaying(settings):
        for number in range(3):
            await add_message(engine, settings.kafka_execution_topic, {"n": number}, key="same")
        await relayed(engine)
        records = await read_topic(settings, 3)
    assert [json.loads(record.value) for record in records] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert {record.key for record in records} == {b"same"}
    assert records[0].headers == (("correlation_id", b"req-test"),)


async def test_a_rolled_back_row_is_never_delivered(engine: AsyncEngine, settings: Settings) -> None:
    async with relaying(settings):
        async with engine.connect() as connection:
            values = {"topic": settings.kafka_execution_topic, "key": "k", "payload": {"n": "rolled back"}}
            await connection.execute(outbox.insert().values(values))
            await connection.rollback()
        await add_message(engine, settings.kafka_execution_topic, {"n": "committed"})
        records = await read_topic(settings, 1)
    assert [json.loads(record.value) for record in records] == [{"n": "committed"}]


async def test_a_topic_that_takes_nothing_does_not_hold_back_the_others(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    await add_message(engine, api_settings.kafka_cancellation_topic, {"n": "stuck"})
    await add_message(engine, api_settings.kafka_execution_topic, {"n": "goes"})
    sender = Remembering(refused_topic=api_settings.kafka_cancellation_topic)
    connection = await connect(api_settings, application="test")
    try:
        with pytest.raises(KafkaUnavailableError):
            await relay_batch(connection, sender)
        await relay_topics_apart(connection, sender)
    finally:
        await connection.close(timeout=5)
    assert [json.loads(record.value) for record in sender.sent] == [{"n": "goes"}]
    assert await pending(engine) == 1


async def test_with_kafka_away_the_relay_retries_and_delivers_afterwards(
    engine: AsyncEngine, settings: Settings, kafka_server: KafkaServer
) -> None:
    host, _, port = kafka_server.broker.partition(":")
    failures = metrics.OUTBOX_FAILURES._value.get()
    closed = free_port()
    async with relaying(settings, kafka_brokers=(f"127.0.0.1:{closed}",)):
        await add_message(engine, settings.kafka_execution_topic, {"n": 1})

        async def failed_twice() -> bool:
            return metrics.OUTBOX_FAILURES._value.get() >= failures + 2

        await eventually(failed_twice, "two failed deliveries", seconds=40)
        assert await pending(engine) == 1

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()

        # The way to the broker opens: the relay finds it at the address that it tried in vain.
        async with await asyncio.start_server(forward, "127.0.0.1", closed):
            await relayed(engine)
    assert [json.loads(record.value) for record in await read_topic(settings, 1)] == [{"n": 1}]


async def test_rows_stay_where_their_delivery_fails_and_go_in_order_when_it_succeeds(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    for number in range(5):
        await add_message(engine, "topic", {"n": number})
    connection = await connect(api_settings, application="test")
    try:
        with pytest.raises(KafkaUnavailableError):
            await relay_batch(connection, Remembering(failing=True))
        assert await pending(engine) == 5
        sender = Remembering()
        assert await relay_batch(connection, sender) == 5
    finally:
        await connection.close()
    assert [json.loads(record.value)["n"] for record in sender.sent] == [0, 1, 2, 3, 4]
    assert await pending(engine) == 0


async def test_a_batch_has_an_upper_bound(engine: AsyncEngine, api_settings: Settings) -> None:
    async with transaction(engine) as connection:
        rows = [{"topic": "t", "key": "k", "payload": {"n": n}} for n in range(BATCH_ROWS + 1)]
        await connection.execute(outbox.insert(), rows)
    connection = await connect(api_settings, application="test")
    try:
        sender = Remembering()
        assert await relay_batch(connection, sender) == BATCH_ROWS
        assert await relay_batch(connection, sender) == 1
    finally:
        await connection.close()


async def test_a_message_that_kafka_would_never_take_does_not_stop_the_others(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    await add_message(engine, "big", {"n": "x" * MAX_MESSAGE_BYTES})
    await add_message(engine, "big", {"n": 1})
    dropped = relay_metrics.UNDELIVERABLE.labels("big")
    connection = await connect(api_settings, application="test")
    try:
        sender = Remembering()
        assert await relay_batch(connection, sender) == 2
    finally:
        await connection.close()
    assert [json.loads(record.value) for record in sender.sent] == [{"n": 1}]
    assert dropped._value.get() == 1


async def test_a_second_relay_stands_by_and_takes_over(engine: AsyncEngine, settings: Settings) -> None:
    async def leaders() -> int:
        async with transaction(engine) as connection:
            found = await connection.execute(
                text(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND granted"
                    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                ),
                {"key": LOCK_KEY},
            )
            return int(found.scalar_one())

    async def one_leads() -> bool:
        return await leaders() == 1

    async with relaying(settings):
        await eventually(one_leads, "the first relay to lead")
        async with relaying(settings) as second_stops:
            await add_message(engine, settings.kafka_execution_topic, {"n": 1})
            await relayed(engine)
            assert await leaders() == 1
            second_stops.set()
    async with relaying(settings):
        await add_message(engine, settings.kafka_execution_topic, {"n": 2})
        await relayed(engine)


async def test_a_relay_whose_leader_connection_is_cut_leads_again(engine: AsyncEngine, settings: Settings) -> None:
    async with relaying(settings):
        await add_message(engine, settings.kafka_execution_topic, {"n": 1})
        await relayed(engine)
        async with transaction(engine) as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE 'workflow-relay%'"
                )
            )
        await add_message(engine, settings.kafka_execution_topic, {"n": 2})
        await relayed(engine)
        assert len(await read_topic(settings, 2)) >= 2


@pytest.mark.parametrize(("size", "waits"), [(1, "off"), (MAX_MESSAGE_BYTES, "on")])
async def test_only_a_batch_with_a_dead_letter_waits_for_the_disk(
    engine: AsyncEngine, settings: Settings, size: int, waits: str
) -> None:
    class Asking(Remembering):
        async def send(self, records: Sequence[Record]) -> None:
            found.append(await connection.fetchval("SHOW synchronous_commit"))

    found: list[str] = []
    await add_message(engine, settings.kafka_execution_topic, {"n": 1})
    await add_message(engine, settings.kafka_execution_topic, {"n": "x" * size})
    connection = await connect(settings, application="test")
    try:
        await mark_lazily(connection)
        assert await relay_batch(connection, Asking()) == 2
        assert await connection.fetchval("SHOW synchronous_commit") == "off"
    finally:
        await connection.close()
    assert found == [waits]

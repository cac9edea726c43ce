"""The bounded Kafka clients against a real broker, and against none."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from service.platform.kafka import (
    BoundedProducer,
    KafkaUnavailableError,
    Record,
    check_kafka,
    create_consumer,
    ensure_topics,
    stop_consumer,
)
from service.platform.settings import Settings
from tests.service.servers import KafkaServer, eventually
from tests.service.support import NOBODY, make_settings

pytestmark = pytest.mark.ring("service")


@pytest.fixture
async def broker_settings(kafka_server: KafkaServer) -> Settings:
    """Settings with fresh topics and no database."""
    found = make_settings("postgresql://u@h/d", kafka_server.broker)
    await ensure_topics(found)
    return found


@pytest.fixture
async def producer(broker_settings: Settings) -> AsyncIterator[BoundedProducer]:
    """A producer that is stopped at the end."""
    found = BoundedProducer(broker_settings, client_id="test", send_seconds=5)
    yield found
    await found.stop()


def _records(topic: str, count: int) -> list[Record]:
    return [
        Record(topic, f"key-{number % 3}", json.dumps({"n": number}).encode(), (("correlation_id", f"req-{number}"),))
        for number in range(count)
    ]


async def test_records_arrive_with_key_and_headers_in_order_of_their_key(
    producer: BoundedProducer, broker_settings: Settings
) -> None:
    topic = broker_settings.kafka_execution_topic
    await producer.send(_records(topic, 30))
    consumer = create_consumer(broker_settings, topics=[topic], group="test", client_id="test")
    received: list[tuple[str, int, str]] = []
    try:
        async with asyncio.timeout(30):
            await consumer.start()
            while len(received) < 30:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    for message in batch:
                        headers = {name: value.decode() for name, value in message.headers}
                        content = json.loads(message.value)["n"]
                        received.append((message.key.decode(), content, headers["correlation_id"]))
    finally:
        await stop_consumer(consumer)
    for key in ("key-0", "key-1", "key-2"):
        numbers = [number for found, number, _ in received if found == key]
        assert numbers == sorted(numbers)
    assert {(number, correlation) for _, number, correlation in received} == {(n, f"req-{n}") for n in range(30)}


async def test_nothing_is_committed_unless_asked(producer: BoundedProducer, broker_settings: Settings) -> None:
    topic = broker_settings.kafka_execution_topic
    await producer.send(_records(topic, 3))
    for _ in range(2):
        consumer = create_consumer(broker_settings, topics=[topic], group="twice", client_id="test")
        count = 0
        try:
            async with asyncio.timeout(40):
                await consumer.start()
                while count < 3:
                    count += sum(map(len, (await consumer.getmany(timeout_ms=200)).values()))
        finally:
            await stop_consumer(consumer)
        assert count == 3


async def test_topics_are_made_once_and_left_alone(kafka_server: KafkaServer) -> None:
    settings = make_settings("postgresql://u@h/d", kafka_server.broker)
    assert sorted(await ensure_topics(settings)) == sorted(
        [settings.kafka_execution_topic, settings.kafka_cancellation_topic]
    )
    assert await ensure_topics(settings.model_copy(update={"kafka_topic_partitions": 9})) == []


async def test_topics_that_the_broker_refuses_are_named(kafka_server: KafkaServer) -> None:
    settings = make_settings("postgresql://u@h/d", kafka_server.broker, kafka_topic_replication=3)
    with pytest.raises(KafkaUnavailableError, match=r"topic .* could not be created: .*replica"):
        await ensure_topics(settings)


async def test_without_a_broker_every_call_ends_with_the_reason() -> None:
    settings = make_settings("postgresql://u@h/d", NOBODY)
    producer = BoundedProducer(settings, client_id="test")
    started = time.monotonic()
    with pytest.raises(KafkaUnavailableError, match="no connection to Kafka"):
        await producer.send(_records("t", 1))
    with pytest.raises(KafkaUnavailableError, match=r"no answer from 127\.0\.0\.1:9"):
        await check_kafka(settings, seconds=2)
    with pytest.raises(KafkaUnavailableError, match="topics could not be created"):
        await ensure_topics(settings)
    await producer.stop()
    assert time.monotonic() - started < 15


async def test_a_producer_survives_a_broker_that_does_not_answer_for_a_while(
    producer: BoundedProducer, broker_settings: Settings, kafka_server: KafkaServer
) -> None:
    topic = broker_settings.kafka_execution_topic
    await producer.send(_records(topic, 1))
    await asyncio.to_thread(kafka_server.container.kill, "SIGSTOP")
    try:
        started = time.monotonic()
        with pytest.raises(KafkaUnavailableError, match="were not confirmed"):
            await producer.send(_records(topic, 2))
        await producer.stop()
        assert time.monotonic() - started < 25
    finally:
        await asyncio.to_thread(kafka_server.container.kill, "SIGCONT")

    async def delivered() -> bool:
        try:
            await producer.send(_records(topic, 1))
        except KafkaUnavailableError:
            return False
        return True

    await eventually(delivered, "the producer to deliver again", seconds=60)

"""The kafka agent: what it publishes, and what it refuses before anything is sent."""

import asyncio
import json
import secrets
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from service.executor.kinds.base import StepContext, StepFailedError
from service.executor.kinds.kafka import KafkaAgent
from service.executor.kinds.kafka_message import MOST_BYTES, KafkaSettings, build_message
from service.executor.kinds.registry import InvalidAgentSettingsError, validate_settings
from service.platform.kafka import create_consumer, stop_consumer
from service.platform.settings import Settings
from tests.service.servers import KafkaServer
from tests.service.support import NOBODY, make_settings

CONTEXT = StepContext(run_id="run-1", step_id="publish[2]", attempt=1, correlation_id="req-7")


@pytest.fixture
async def allowed(kafka_server: KafkaServer) -> Settings:
    """Settings that allow two topics, of which only the first is there."""
    topic = f"orders.{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_server.broker)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 3, 1)])
    finally:
        await admin.close()
    return make_settings(
        "postgresql://u@h/d", kafka_server.broker, kafka_agent_topics=f"{topic},{topic}.absent", executor_id="test"
    )


async def received(settings: Settings, topic: str, count: int) -> list[Any]:
    consumer = create_consumer(settings, topics=[topic], group=None, client_id="test")
    found: list[Any] = []
    try:
        async with asyncio.timeout(30):
            await consumer.start()
            while len(found) < count:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += batch
    finally:
        await stop_consumer(consumer)
    return found


@pytest.mark.ring("service")
async def test_the_input_is_published_and_the_output_says_where_it_is(allowed: Settings) -> None:
    topic = allowed.kafka_agent_topics[0]
    agent = KafkaAgent(allowed)
    settings = KafkaSettings(topic=topic, key="order.id", headers={"source": "shop ${order.id}"})
    try:
        output = await agent.run(settings, {"order": {"id": 7, "item": "Öl"}}, CONTEXT)
    finally:
        await agent.close()
    (message,) = await received(allowed, topic, 1)
    assert output == {"topic": topic, "partition": message.partition, "offset": message.offset}
    assert json.loads(message.value) == {"order": {"id": 7, "item": "Öl"}}
    assert message.key == b"7"
    assert {name: value.decode() for name, value in message.headers} == {
        "message_id": "run-1:publish[2]",
        "run_id": "run-1",
        "step_id": "publish[2]",
        "correlation_id": "req-7",
        "source": "shop 7",
    }


@pytest.mark.ring("service")
async def test_many_at_once_are_all_published_each_with_its_own_place(allowed: Settings) -> None:
    topic = allowed.kafka_agent_topics[0]
    agent = KafkaAgent(allowed)
    settings = KafkaSettings(topic=topic, key="n")
    try:
        outputs = await asyncio.gather(*(agent.run(settings, {"n": number}, CONTEXT) for number in range(500)))
    finally:
        await agent.close()
    messages = await received(allowed, topic, 500)
    places = {json.loads(each.value)["n"]: (each.partition, each.offset) for each in messages}
    assert places == {number: (each["partition"], each["offset"]) for number, each in enumerate(outputs)}


@pytest.mark.ring("service")
async def test_a_topic_that_is_not_there_holds_up_no_other(allowed: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.platform.kafka._REQUEST_MILLISECONDS", 1_000)
    good, absent = allowed.kafka_agent_topics
    agent = KafkaAgent(allowed)
    try:
        stuck = asyncio.ensure_future(agent.run(KafkaSettings(topic=absent), {}, CONTEXT))
        await agent.run(KafkaSettings(topic=good), {}, CONTEXT)
        assert not stuck.done()
        with pytest.raises(StepFailedError) as caught:
            await asyncio.wait_for(stuck, 30)
    finally:
        await agent.close()
    assert caught.value.code == "kafka-unavailable"


@pytest.mark.ring("unit")
async def test_a_broker_that_does_not_answer_is_a_failure_that_may_pass() -> None:
    agent = KafkaAgent(make_settings("postgresql://u@h/d", NOBODY, kafka_agent_topics="orders"))
    try:
        with pytest.raises(StepFailedError) as caught:
            await asyncio.wait_for(agent.run(KafkaSettings(topic="orders"), {}, CONTEXT), 30)
    finally:
        await agent.close()
    assert (caught.value.code, caught.value.retryable) == ("kafka-unavailable", True)


@pytest.mark.ring("unit")
async def test_who_stops_waiting_waits_for_no_broker() -> None:
    agent = KafkaAgent(make_settings("postgresql://u@h/d", NOBODY, kafka_agent_topics="orders"))
    task = asyncio.ensure_future(agent.run(KafkaSettings(topic="orders"), {}, CONTEXT))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(1):
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.wait_for(agent.close(), 30)


@pytest.mark.ring("unit")
async def test_a_topic_that_is_not_allowed_is_refused_with_the_way_to_allow_it() -> None:
    agent = KafkaAgent(make_settings("postgresql://u@h/d"))
    with pytest.raises(StepFailedError) as caught:
        await agent.run(KafkaSettings(topic="orders"), {}, CONTEXT)
    assert (caught.value.code, caught.value.retryable) == ("kafka-topic-not-allowed", False)
    assert "KAFKA_AGENT_TOPICS=orders" in caught.value.detail


@pytest.mark.ring("unit")
def test_without_a_key_the_run_is_the_key() -> None:
    assert build_message(KafkaSettings(topic="orders"), {}, CONTEXT).key == "run-1"


@pytest.mark.ring("unit")
@pytest.mark.parametrize("step_input", [{}, {"key": None}, {"key": ""}, {"key": True}, {"key": {"a": 1}}])
def test_a_key_that_the_input_does_not_give_fails_for_good(step_input: dict[str, Any]) -> None:
    with pytest.raises(StepFailedError) as caught:
        build_message(KafkaSettings(topic="orders", key="key"), step_input, CONTEXT)
    assert (caught.value.code, caught.value.retryable) == ("kafka-message", False)


@pytest.mark.ring("unit")
def test_a_message_that_no_broker_would_take_fails_for_good() -> None:
    with pytest.raises(StepFailedError) as caught:
        build_message(KafkaSettings(topic="orders"), {"text": "ö" * (MOST_BYTES // 2)}, CONTEXT)
    assert (caught.value.code, caught.value.retryable) == ("kafka-too-large", False)


@pytest.mark.ring("unit")
@pytest.mark.parametrize(
    ("settings", "path", "part"),
    [
        ({}, "topic", "required"),
        ({"topic": "a b"}, "topic", "pattern"),
        ({"topic": ".."}, "topic", "no name of a topic"),
        ({"topic": "a", "key": "a["}, "key", "not a JMESPath expression"),
        ({"topic": "a", "headers": {"Message_Id": "1"}}, "headers", "set by the service"),
        ({"topic": "a", "headers": {"": "1"}}, "headers", "not a header name"),
        ({"topic": "a", "headers": {"x": "${a[}"}}, "headers", "not a JMESPath expression"),
        ({"topic": "a", "headers": {"Authorization": "Bearer x"}}, "headers", "this kind can carry none"),
    ],
)
def test_wrong_settings_are_refused_with_the_place_and_the_reason(
    settings: dict[str, Any], path: str, part: str
) -> None:
    with pytest.raises(InvalidAgentSettingsError) as caught:
        validate_settings("kafka", settings)
    assert caught.value.errors[0].path == path
    assert part in caught.value.errors[0].message

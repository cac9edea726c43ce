"""Steps that publish a message and wait for the reply: what is sent, what is taken for a reply, and what is not."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import metrics
from service.executor.kinds.base import StepContext, StepFailedError
from service.executor.kinds.kafka import KafkaAgent
from service.executor.kinds.kafka_message import KafkaSettings, build_message, read_reply_id
from service.executor.kinds.registry import InvalidAgentSettingsError, validate_settings
from service.executor.replies import MOST_BYTES, Reply, ReplyConsumer, UnusableReplyError, read_replies
from service.executor.repository import RunRepository
from service.platform.database import transaction
from service.platform.kafka import BoundedProducer, Record, create_consumer, ensure_topics, stop_consumer
from service.platform.settings import Settings
from service.platform.tables import run_steps, runs, signals
from service.platform.worker_loop import Pulse
from tests.service.executor_support import (
    add_run,
    add_workflow,
    executing,
    finished,
    read_run,
    read_steps,
    relaying,
    step,
    step_reached,
    submit,
)
from tests.service.servers import KafkaServer, eventually
from tests.service.support import NOBODY, make_settings

RUN = UUID(int=7)
ID = f"{RUN}:ask:1"
CONTEXT = StepContext(run_id=str(RUN), step_id="ask", attempt=1, correlation_id="req-7")


@dataclass(frozen=True)
class Message:
    """A record as the consumer gives it."""

    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    topic: str = "answers"
    partition: int = 0
    offset: int = 5


def asking(**reply: Any) -> KafkaSettings:
    return KafkaSettings.model_validate({"topic": "questions", "reply": {"topic": "answers", **reply}})


@pytest.mark.ring("unit")
def test_a_message_that_asks_carries_the_id_and_where_the_reply_goes() -> None:
    record = build_message(asking(), {"n": 1}, CONTEXT)
    headers = dict(record.headers)
    assert (headers["reply_id"], headers["reply_topic"]) == (ID, "answers")
    assert (headers["message_id"], headers["correlation_id"]) == (f"{RUN}:ask", "req-7")
    assert dict(build_message(asking(header="kafka_correlationId"), {}, CONTEXT).headers)["kafka_correlationId"] == ID
    assert json.loads(build_message(asking(field="request"), {"n": 1}, CONTEXT).value) == {"n": 1, "request": ID}


@pytest.mark.ring("unit")
def test_a_field_for_the_id_that_the_input_has_already_fails_the_step() -> None:
    with pytest.raises(StepFailedError, match="has a field 'n' already") as caught:
        build_message(asking(field="n"), {"n": 1}, CONTEXT)
    assert (caught.value.code, caught.value.retryable) == ("kafka-message", False)


@pytest.mark.ring("unit")
@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"reply": {}}, "reply.topic"),
        ({"reply": {"topic": "a b"}}, "reply.topic"),
        ({"reply": {"topic": "a", "header": "x", "field": "y"}}, "reply"),
        ({"reply": {"topic": "a", "header": "Message_Id"}}, "reply"),
        ({"reply": {"topic": "a", "timeout_seconds": 0}}, "reply.timeout_seconds"),
        ({"reply": {"topic": "a", "timeout_seconds": 1e9}}, "reply.timeout_seconds"),
        ({"reply": {"topic": "a"}, "headers": {"Reply_Id": "x"}}, ""),
        ({"reply": {"topic": "a", "header": "x"}, "headers": {"x": "x"}}, ""),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_their_place(given: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidAgentSettingsError) as caught:
        validate_settings("kafka", {"topic": "questions", **given})
    assert [error.path for error in caught.value.errors] == [path]


@pytest.mark.ring("unit")
def test_what_is_stored_says_by_what_a_reply_is_known() -> None:
    stored = validate_settings("kafka", {"topic": "questions", "reply": {"topic": "answers"}})
    assert (stored["reply"]["header"], stored["reply"]["field"], stored["reply"]["timeout_seconds"]) == (
        "reply_id",
        None,
        3600,
    )
    assert validate_settings("kafka", stored) == stored
    by_field = validate_settings("kafka", {"topic": "questions", "reply": {"topic": "answers", "field": "id"}})
    assert (by_field["reply"]["header"], by_field["reply"]["field"]) == (None, "id")


@pytest.mark.ring("unit")
async def test_a_topic_that_no_replies_are_read_from_is_refused_before_anything_is_sent() -> None:
    agent = KafkaAgent(make_settings("postgresql://u@h/d", NOBODY, kafka_agent_topics="questions"))
    with pytest.raises(StepFailedError) as caught:
        await agent.run(asking(), {}, CONTEXT)
    assert caught.value.code == "kafka-topic-not-allowed"
    assert "KAFKA_AGENT_REPLY_TOPICS=answers" in caught.value.detail


@pytest.mark.ring("unit")
@pytest.mark.parametrize(
    "text",
    ["", "x", None, 5, f"{RUN}:ask", f"{RUN}:ask:0", f"{RUN}:a b:1", f"{RUN}:ask:1 ", f"x{ID}", f"{RUN}:ask[]:1"],
)
def test_what_is_no_id_is_recognised(text: Any) -> None:
    assert read_reply_id(text) is None
    assert read_reply_id(f"{RUN}:ask[12]:3") == (RUN, "ask[12]", 3)


@pytest.mark.ring("unit")
def test_an_id_is_found_in_headers_and_in_fields_with_its_place() -> None:
    value = json.dumps({"other": ID, "n": 1}).encode()
    first, second = read_replies(Message(value, (("reply_id", ID.encode()), ("gone", None), ("odd", b"\xff"))))
    assert (first.run_id, first.step_id, first.attempt) == (RUN, "ask", 1)
    assert [(each.header, each.field) for each in (first, second)] == [("reply_id", None), (None, "other")]
    output = json.loads(first.output)
    assert output["value"] == {"other": ID, "n": 1}
    assert (output["topic"], output["partition"], output["offset"]) == ("answers", 0, 5)
    assert first.place == "kafka:answers/0/5"
    assert read_replies(Message(b"[1]", (("reply_id", b"x"),))) == []
    (listed,) = read_replies(Message(b"[1]", (("reply_id", ID.encode()),)))
    assert json.loads(listed.output)["value"] == [1]


@pytest.mark.ring("unit")
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "no value"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[" * 70 + b"]" * 70, "levels deep"),
        (b'"' + b"x" * MOST_BYTES + b'"', "bytes, and"),
        (b'"\\u0000"', "cannot be stored"),
        (b"NaN", "cannot be stored"),
    ],
)
def test_what_can_be_no_reply_is_said_without_its_content(value: bytes | None, why: str) -> None:
    with pytest.raises(UnusableReplyError, match=why):
        read_replies(Message(value, (("reply_id", ID.encode()),)))


@dataclass
class Partner:
    """Another system: reads the questions and sends what the test wants."""

    settings: Settings
    producer: BoundedProducer
    questions: str
    answers: str
    asked: list[Any] = field(default_factory=list)

    async def send(self, value: Any, **headers: str) -> None:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        await self.producer.send([Record(self.answers, "key", raw, tuple(headers.items()))])

    async def question(self, count: int = 1) -> Any:
        """The headers and the value of the last of so many questions."""
        consumer = create_consumer(self.settings, topics=[self.questions], group=None, client_id="partner")
        found: list[Any] = []
        try:
            async with asyncio.timeout(40):
                await consumer.start()
                while len(found) < count:
                    for batch in (await consumer.getmany(timeout_ms=200)).values():
                        found += batch
        finally:
            await stop_consumer(consumer)
        last = found[-1]
        return {name: text.decode() for name, text in last.headers}, json.loads(last.value)


@pytest.fixture
async def partner(settings: Settings, kafka_server: KafkaServer) -> AsyncIterator[Partner]:
    mark = secrets.token_hex(4)
    topics = {"kafka_agent_topics": (f"{mark}.questions",), "kafka_agent_reply_topics": (f"{mark}.answers",)}
    own = settings.model_copy(update=topics)
    assert await ensure_topics(own) == [f"{mark}.questions", f"{mark}.answers"]
    producer = BoundedProducer(own, client_id="partner")
    yield Partner(own, producer, f"{mark}.questions", f"{mark}.answers")
    await producer.stop()


def ask(partner: Partner, step_id: str = "ask", whole: Any = None, **reply: Any) -> dict[str, Any]:
    return step(step_id, "kafka", topic=partner.questions, reply={"topic": partner.answers, **reply}, **(whole or {}))


def repository(engine: AsyncEngine) -> RunRepository:
    return RunRepository(engine, owner="one", lease_seconds=30, audit=True)


@asynccontextmanager
async def reading(partner: Partner, engine: AsyncEngine) -> AsyncIterator[None]:
    """Only the consumer of replies, while the block runs."""
    stopping = asyncio.Event()
    group = f"replies-{secrets.token_hex(4)}"
    consumer = ReplyConsumer(partner.settings, repository(engine), pulse=Pulse(), group=group)
    task = asyncio.ensure_future(consumer.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        async with asyncio.timeout(20):
            await task


async def stored(engine: AsyncEngine) -> list[Any]:
    async with transaction(engine) as connection:
        return list((await connection.execute(select(signals))).all())


def counted(topic: str) -> tuple[float, float]:
    """Messages of the topic that could not be read, and that nothing waited for."""
    return metrics.UNDECODABLE.labels(topic)._value.get(), metrics.DUPLICATES.labels(topic)._value.get()


@pytest.mark.ring("service")
async def test_a_step_waits_for_the_reply_in_no_executor_and_goes_on_with_it(
    engine: AsyncEngine, partner: Partner
) -> None:
    workflow_id = await add_workflow(
        engine,
        ask(partner, whole={"step_input": {"n": {"$jmespath": "input.n"}}}),
        step("after", needs=["ask"], step_input={"n": {"$jmespath": "steps.ask.value.double"}}),
    )
    async with relaying(partner.settings), executing(partner.settings):
        run_id = await submit(engine, partner.settings, workflow_id, {"n": 21})
        headers, value = await partner.question()
        assert (value, headers["reply_topic"]) == ({"n": 21}, partner.answers)
        await step_reached(engine, run_id, "ask", "waiting")

        async def is_let_go() -> bool:
            return bool((await read_run(engine, run_id)).status == "waiting")

        await eventually(is_let_go, "the run to be let go of")
        assert (await read_steps(engine, run_id))["ask"].waits["shown"]["reply_id"] == f"{run_id}:ask:1"
        await partner.send({"double": 42}, reply_id=headers["reply_id"], source="partner")
        row = await finished(engine, run_id)
    assert (row.status, row.output) == ("completed", {"after": {"n": 42}})
    output = (await read_steps(engine, run_id))["ask"].output
    assert output["headers"]["source"] == "partner"


@pytest.mark.ring("service")
async def test_items_each_have_a_reply_of_their_own_known_by_a_field(engine: AsyncEngine, partner: Partner) -> None:
    each = {"for_each": {"items": "input.list"}, "step_input": {"n": {"$jmespath": "item"}}}
    workflow_id = await add_workflow(engine, ask(partner, field="request", whole=each))
    async with relaying(partner.settings), executing(partner.settings):
        run_id = await submit(engine, partner.settings, workflow_id, {"list": [1, 2]})
        await partner.question(2)
        for place in (1, 0):
            await partner.send({"request": f"{run_id}:ask[{place}]:1", "place": place})
        row = await finished(engine, run_id)
    assert [answer["value"]["place"] for answer in row.output["ask"]] == [0, 1]


@pytest.fixture
async def waiting(engine: AsyncEngine, partner: Partner) -> UUID:
    """A run that waits for a reply, as an executor has left it."""
    run_id = await add_run(engine, await add_workflow(engine, ask(partner), step("other")), status="waiting")
    async with transaction(engine) as connection:
        waits = {"kind": "kafka", "shown": {"topic": partner.answers}, "timeout_seconds": 60}
        begun = {"run_id": run_id, "step_id": "ask", "status": "waiting", "attempt": 2, "waits": waits}
        await connection.execute(run_steps.insert().values(**begun))
    return run_id


@pytest.mark.ring("service")
async def test_only_the_first_reply_that_fits_counts_and_the_rest_is_counted_and_passed_over(
    engine: AsyncEngine, partner: Partner, waiting: UUID
) -> None:
    good = f"{waiting}:ask:2"
    topic = partner.answers
    metrics.show_topic(topic)
    for value, headers in (
        (b"{", {"reply_id": good}),
        (b'"' + b"x" * 1_000_001 + b'"', {"reply_id": good}),
        ({"n": 1}, {}),
        ({"n": 2}, {"another": good}),
        ({"reply_id": good}, {}),
        ({"n": 3}, {"reply_id": f"{waiting}:ask:1"}),
        ({"n": 4}, {"reply_id": f"{waiting}:other:2"}),
        ({"n": 5}, {"reply_id": f"{RUN}:ask:2"}),
        ({"n": 6}, {"reply_id": good}),
        ({"n": 7}, {"reply_id": good}),
    ):
        await partner.send(value, **headers)
    async with reading(partner, engine):

        async def all_seen() -> bool:
            return sum(counted(topic)) == 9

        await eventually(all_seen, "all messages to be taken", seconds=40)
    assert counted(topic) == (2, 7)
    (signal,) = await stored(engine)
    assert (signal.run_id, signal.step_id, signal.output["value"]) == (waiting, "ask", {"n": 6})
    assert signal.given_by.startswith(f"kafka:{topic}/")
    row = await read_run(engine, waiting)
    assert (row.status, row.signals, row.queued_at is not None) == ("queued", 1, True)


@pytest.mark.ring("service")
async def test_a_reply_that_is_read_again_changes_nothing(engine: AsyncEngine, partner: Partner, waiting: UUID) -> None:
    reply = Reply(waiting, "ask", 2, partner.answers, "reply_id", None, '{"value": 1}', "kafka:x/0/1")
    assert await repository(engine).take_replies([reply]) == {partner.answers: 1}
    before = await read_run(engine, waiting)
    assert await repository(engine).take_replies([reply, reply]) == {}
    assert await read_run(engine, waiting) == before
    assert len(await stored(engine)) == 1


@pytest.mark.ring("service")
async def test_a_reply_that_comes_before_the_wait_is_journalled_is_not_lost(
    engine: AsyncEngine, partner: Partner, waiting: UUID
) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(run_steps).values(status="running", waits=None))
        await connection.execute(update(runs).values(status="running"))
    reply = Reply(waiting, "ask", 2, partner.answers, "reply_id", None, '{"value": 1}', "kafka:x/0/1")
    assert await repository(engine).take_replies([reply]) == {partner.answers: 1}
    assert (await read_run(engine, waiting)).signals == 1


@pytest.mark.ring("service")
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_run_that_has_ended_takes_no_reply(
    engine: AsyncEngine, partner: Partner, waiting: UUID, status: str
) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).values(status=status))
    reply = Reply(waiting, "ask", 2, partner.answers, "reply_id", None, '{"value": 1}', "kafka:x/0/1")
    assert await repository(engine).take_replies([reply]) == {}
    assert await stored(engine) == []


@pytest.mark.ring("service")
async def test_a_reply_that_does_not_come_in_time_fails_the_step(engine: AsyncEngine, partner: Partner) -> None:
    workflow_id = await add_workflow(engine, ask(partner, timeout_seconds=2))
    async with relaying(partner.settings), executing(partner.settings):
        run_id = await submit(engine, partner.settings, workflow_id)
        row = await finished(engine, run_id)
    assert (row.status, row.error["code"]) == ("failed", "timeout")
    assert row.error["detail"] == f"no reply came on {partner.answers} within 2 s"


@pytest.mark.ring("service")
async def test_replies_are_taken_up_after_an_outage_of_the_database(
    engine: AsyncEngine, partner: Partner, waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    take = RunRepository.take_replies

    async def away_at_first(self: RunRepository, replies: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise ConnectionRefusedError
        return await take(self, replies)

    monkeypatch.setattr(RunRepository, "take_replies", away_at_first)
    await partner.send({"n": 1}, reply_id=f"{waiting}:ask:2")
    async with reading(partner, engine):

        async def is_there() -> bool:
            return len(await stored(engine)) == 1

        await eventually(is_there, "the reply to be stored", seconds=40)
    assert tries == 3


@pytest.mark.ring("service")
async def test_a_consumer_that_falls_silent_is_replaced(
    engine: AsyncEngine, partner: Partner, waiting: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def silent_at_first(*given: Any, **options: Any) -> Any:
        consumer = create_consumer(*given, **options)
        if not made:

            async def nothing(**_: Any) -> dict[Any, Any]:
                await asyncio.sleep(0.05)
                return {}

            consumer.getmany = nothing
        made.append(consumer)
        return consumer

    monkeypatch.setattr("service.executor.replies.create_consumer", silent_at_first)
    monkeypatch.setattr("service.executor.lag.STALLED_SECONDS", 1.0)
    monkeypatch.setattr("service.executor.lag.LOOK_SECONDS", 0.3)
    await partner.send({"n": 1}, reply_id=f"{waiting}:ask:2")
    async with reading(partner, engine):

        async def is_there() -> bool:
            return len(await stored(engine)) == 1

        await eventually(is_there, "another consumer to take the reply", seconds=60)
    assert len(made) >= 2
    async with transaction(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(signals)) == 1

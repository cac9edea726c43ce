"""Dead letters: what cannot be read or delivered is kept once, shown, and settled once."""

import asyncio
import base64
import json
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import ConsumerRecord
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.deadletters.command import requeue
from service.deadletters.letter import MAX_PAYLOAD_BYTES, DeadLetter
from service.deadletters.metrics import DEAD_LETTERS
from service.executor.repository import RunRepository
from service.platform.database import AnyRow, connect, transaction
from service.platform.kafka import BoundedProducer, Record, connection_options
from service.platform.settings import Settings
from service.platform.tables import audit_log, dead_letters, outbox
from service.relay.outbox import MAX_MESSAGE_BYTES, measure, relay_batch
from tests.service.executor_support import (
    add_message,
    add_run,
    add_workflow,
    executing,
    finished,
    message,
    relaying,
    step,
)
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")

PATH = "/api/v1/dead-letters"


class Taking:
    """A sender that takes everything."""

    async def send(self, records: Any) -> None:
        """Take it."""


def record(offset: int = 7, value: bytes | None = b"no json", **changed: Any) -> Any:
    """A record as a consumer gives it."""
    values: dict[str, Any] = {
        "topic": "t", "partition": 0, "offset": offset, "timestamp": 1_700_000_000_000, "timestamp_type": 0,
        "key": b"k\x00\xff", "value": value, "checksum": None, "serialized_key_size": 1,
        "serialized_value_size": 1, "headers": [("who", b"a\x00b")],
    }  # fmt: skip
    return ConsumerRecord(**values | changed)


def repository(engine: AsyncEngine) -> RunRepository:
    return RunRepository(engine, owner="one", lease_seconds=30, audit=True)


async def keep(engine: AsyncEngine, *records: Any) -> None:
    await repository(engine).keep_dead([DeadLetter.of_record(each, "it makes no sense") for each in records])


async def letters(engine: AsyncEngine) -> list[AnyRow]:
    async with transaction(engine) as connection:
        return list((await connection.execute(select(dead_letters).order_by(dead_letters.c.place))).all())


async def letter_id(engine: AsyncEngine) -> str:
    (row,) = await letters(engine)
    return str(row.id)


async def in_outbox(engine: AsyncEngine) -> list[AnyRow]:
    async with transaction(engine) as connection:
        return list((await connection.execute(select(outbox).order_by(outbox.c.id))).all())


async def entries(engine: AsyncEngine, action: str) -> list[AnyRow]:
    async with transaction(engine) as connection:
        return list((await connection.execute(select(audit_log).where(audit_log.c.action == action))).all())


async def test_a_letter_holds_what_was_sent_and_where_it_came_from(engine: AsyncEngine) -> None:
    await keep(engine, record(value=b"\xff\x00"))
    (row,) = await letters(engine)
    assert (row.source, row.topic, row.place, row.reason) == ("kafka", "t", "t/0/7@1700000000000", "unreadable")
    assert (bytes(row.payload), row.payload_bytes, row.kept) == (b"\xff\x00", 2, "whole")
    assert row.sent_at.timestamp() == 1_700_000_000
    assert (row.key, row.headers) == ("k\ufffd\ufffd", {"who": "a\ufffdb"})


async def test_a_place_that_is_read_again_is_the_same_letter(engine: AsyncEngine) -> None:
    await keep(engine, record(), record())
    await keep(engine, record(), record(offset=8), record(timestamp=1_700_000_000_001))
    found = {row.place: row.times for row in await letters(engine)}
    assert found == {"t/0/7@1700000000000": 2, "t/0/7@1700000000001": 1, "t/0/8@1700000000000": 1}


async def test_a_long_payload_is_cut_and_its_letter_says_so(engine: AsyncEngine) -> None:
    await keep(engine, record(value=b"x" * (MAX_PAYLOAD_BYTES + 1)))
    (row,) = await letters(engine)
    assert (len(row.payload), row.payload_bytes, row.kept) == (MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1, "beginning")


async def test_a_message_that_kafka_never_takes_becomes_a_letter_without_its_input(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    await add_message(engine, "large", {"run_id": "r", "input": {"n": "x" * MAX_MESSAGE_BYTES}}, key="r")
    connection = await connect(api_settings, application="test")
    try:
        assert await relay_batch(connection, Taking()) == 1
        await measure(connection)
    finally:
        await connection.close()
    (row,) = await letters(engine)
    assert (row.source, row.topic, row.key) == ("outbox", "large", "r")
    assert (row.reason, row.kept) == ("too-large", "without-input")
    assert json.loads(row.payload) == {"run_id": "r"}
    assert row.payload_bytes > MAX_MESSAGE_BYTES
    assert row.headers == {"correlation_id": "req-test"}
    assert await in_outbox(engine) == []


async def test_a_message_that_only_the_brokers_refuse_is_set_aside_and_all_others_are_delivered(
    engine: AsyncEngine, settings: Settings
) -> None:
    admin = AIOKafkaAdminClient(**connection_options(settings), client_id="test")
    await admin.start()
    try:
        limit = ConfigResource(
            ConfigResourceType.TOPIC, settings.kafka_execution_topic, configs={"max.message.bytes": "2000"}
        )
        await admin.alter_configs([limit])
    finally:
        await admin.close()
    for number in (1, 2, 3):
        payload = {"n": number, "more": "x" * (5_000 if number == 2 else 1)}
        await add_message(engine, settings.kafka_execution_topic, payload, key=str(number))

    async def gone() -> bool:
        return await in_outbox(engine) == []

    async with relaying(settings):
        await eventually(gone, "the outbox to be empty", seconds=60)
    (row,) = await letters(engine)
    assert (row.key, row.reason, row.source) == ("2", "too-large", "outbox")


async def test_a_message_is_kept_before_its_offset_is_committed_and_the_next_one_is_executed(
    engine: AsyncEngine, settings: Settings
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    producer = BoundedProducer(settings, client_id="test")
    good = json.dumps(message(run_id)).encode()
    try:
        await producer.send([Record(settings.kafka_execution_topic, "k", value) for value in (b"no json", good)])
    finally:
        await producer.stop()
    async with executing(settings):
        await finished(engine, run_id)
    async with executing(settings):
        (row,) = await letters(engine)
    assert (row.state, row.times, bytes(row.payload)) == ("open", 1, b"no json")


async def test_while_the_database_is_away_no_message_is_passed(
    engine: AsyncEngine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0
    keep_dead = RunRepository.keep_dead

    async def away(self: RunRepository, found: Any) -> None:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise OSError("away")
        await keep_dead(self, found)

    monkeypatch.setattr(RunRepository, "keep_dead", away)
    producer = BoundedProducer(settings, client_id="test")
    try:
        await producer.send([Record(settings.kafka_execution_topic, "k", b"no json")])
    finally:
        await producer.stop()

    async def kept() -> bool:
        return len(await letters(engine)) == 1

    async with executing(settings):
        await eventually(kept, "the letter to be kept", seconds=40)
    assert tried == 3


async def test_an_unreadable_cancellation_is_kept(engine: AsyncEngine, settings: Settings) -> None:
    async def kept() -> bool:
        await producer.send([Record(settings.kafka_cancellation_topic, "k", b"no json")])
        return len(await letters(engine)) > 0

    producer = BoundedProducer(settings, client_id="test")
    try:
        async with executing(settings):
            await eventually(kept, "the letter to be kept", seconds=40)
    finally:
        await producer.stop()


async def test_a_requeued_message_goes_back_into_the_outbox_once_and_is_audited(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await keep(engine, record(value=b'{"message_id": "m"}', key=b"k", headers=[("who", b"a")]))
    place = f"{PATH}/{await letter_id(engine)}/requeue"
    answers = await asyncio.gather(*(client.post(place) for _ in range(3)))
    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(200, "requeued")] * 3
    (row,) = await in_outbox(engine)
    assert (row.topic, row.key, row.payload, row.headers) == ("t", "k", {"message_id": "m"}, {"who": "a"})
    (entry,) = await entries(engine, "dead_letter.requeue")
    assert entry.detail["before"]["state"] == "open"
    assert entry.detail["after"] == {"topic": "t", "reason": "unreadable", "state": "requeued"}
    assert answers[0].json()["settled_by"] == entry.actor


async def test_a_message_too_large_for_kafka_is_executed_after_it_was_requeued(
    client: httpx.AsyncClient, engine: AsyncEngine, settings: Settings
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    large = {**message(run_id), "input": "x" * MAX_MESSAGE_BYTES}
    await add_message(engine, settings.kafka_execution_topic, large, key=str(run_id))

    async def kept() -> bool:
        return len(await letters(engine)) == 1

    async with relaying(settings):
        await eventually(kept, "the letter to be kept", seconds=40)
        answer = await client.post(f"{PATH}/{await letter_id(engine)}/requeue")
        assert answer.status_code == 200, answer.text
        # Long before a run without its message is looked for.
        async with executing(settings, executor_lease_seconds=600):
            await finished(engine, run_id)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"x" * (MAX_PAYLOAD_BYTES + 1), "only the beginning"),
        (b"[1]", "no JSON object"),
        (b"\xff", "no JSON object"),
        (b'{"a": "\\u0000"}', "cannot store"),
        (None, "no JSON object"),
    ],
)
async def test_what_is_no_message_cannot_be_requeued(
    client: httpx.AsyncClient, engine: AsyncEngine, value: bytes | None, why: str
) -> None:
    await keep(engine, record(value=value))
    answer = await client.post(f"{PATH}/{await letter_id(engine)}/requeue")
    assert (answer.status_code, why in answer.json()["detail"]) == (409, True), answer.text
    assert await in_outbox(engine) == []
    assert (await letters(engine))[0].state == "open"


async def test_a_discarded_letter_stays_readable_and_is_not_requeued(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await keep(engine, record(value=b"{}"))
    place = f"{PATH}/{await letter_id(engine)}"
    assert [(await client.post(f"{place}/discard")).status_code for _ in range(2)] == [200, 200]
    answer = await client.post(f"{place}/requeue")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "dead-letter-settled")
    assert (await client.get(place)).json()["state"] == "discarded"
    assert len(await entries(engine, "dead_letter.discard")) == 1


async def test_letters_are_listed_page_by_page_and_by_what_they_are(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await keep(engine, *(record(offset=offset) for offset in range(5)))
    await keep(engine, record(topic="other"))
    found: list[str] = []
    asked = {"size": "2"}
    while True:
        page = (await client.get(PATH, params=asked)).json()
        found += [item["place"] for item in page["items"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert found[0] == "other/0/7@1700000000000"
    assert len(set(found)) == len(found) == 6
    for filters, count in (({"topic": "t"}, 5), ({"state": "discarded"}, 0), ({"reason": "too-large"}, 0)):
        assert len((await client.get(PATH, params=filters)).json()["items"]) == count, filters


async def test_only_an_administrator_reads_a_payload(
    client: httpx.AsyncClient, engine: AsyncEngine, bearer: Any
) -> None:
    await keep(engine, record(value=b"\xffprivate"))
    place = f"{PATH}/{await letter_id(engine)}"
    assert (await client.get(f"{place}/payload")).json() == {
        "encoding": "base64",
        "payload": base64.b64encode(b"\xffprivate").decode(),
        "kept": "whole",
    }
    operator, viewer = await bearer(Role.OPERATOR), await bearer(Role.VIEWER)
    assert (await client.get(f"{place}/payload", headers=operator)).status_code == 403
    for path in (PATH, place):
        answer = await client.get(path, headers=operator)
        assert answer.status_code == 200
        assert "private" not in answer.text
        assert (await client.get(path, headers=viewer)).status_code == 403


async def test_the_command_requeues_what_is_named_or_all_that_is_open(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    await keep(engine, *(record(offset=offset, value=b"{}") for offset in range(3)), record(offset=9))
    first = (await letters(engine))[0].id
    named = await requeue(api_settings, [UUID(str(first)), uuid4()])
    assert [(each.requeued, each.detail) for each in named] == [
        (True, "requeued"),
        (False, "there is no dead letter with this id"),
    ]
    assert await requeue(api_settings, [], reason="too-large") == []
    rest = await requeue(api_settings, [], reason="unreadable")
    assert sorted(each.requeued for each in rest) == [False, True, True]
    assert len(await in_outbox(engine)) == 3
    assert {entry.actor for entry in await entries(engine, "dead_letter.requeue")} == {"command:requeue"}


async def test_the_figure_counts_open_letters_only(
    engine: AsyncEngine, api_settings: Settings, client: httpx.AsyncClient
) -> None:
    await keep(engine, record(offset=1), record(offset=2))
    await client.post(f"{PATH}/{(await letters(engine))[0].id}/discard")
    connection = await connect(api_settings, application="test")
    try:
        await measure(connection)
    finally:
        await connection.close()
    assert DEAD_LETTERS._value.get() == 1
    async with transaction(engine) as connection_:
        assert await connection_.scalar(select(func.count()).select_from(dead_letters)) == 2

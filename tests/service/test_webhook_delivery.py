"""What becomes of a delivery: stored with the run's end, sent, tried again, given up."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.statements import FINISH
from service.platform.database import autocommit, transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, runs, webhook_deliveries
from service.platform.worker_loop import Pulse
from service.webhooks import deliveries
from service.webhooks.deliveries import MOST_ATTEMPTS, pause_after
from service.webhooks.loop import Sending, deliver_until
from service.webhooks.signing import shown, webhook_key
from tests.service.executor_support import Answer, Call, WebServer, add_run, add_workflow, json_answer, step, web_server
from tests.service.servers import eventually
from tests.service.test_executor_repository import claim, repository
from tests.service.webhook_support import (
    add_deliveries,
    add_webhook,
    is_signed,
    make_due,
    read_deliveries,
    read_webhook,
)

pytestmark = pytest.mark.ring("service")


async def _finished_run(engine: AsyncEngine, status: str = "completed", workflow_id: UUID | None = None) -> UUID:
    run_id = await add_run(engine, workflow_id or await add_workflow(engine, step("a")), {"private": "input"})
    (claimed,) = await claim(engine, run_id, message_id=str(run_id))
    error = {"code": "agent", "detail": "private"} if status == "failed" else None
    await repository(engine).finish(claimed, status, [], output={"private": "output"}, error=error)
    return run_id


async def test_the_end_of_a_run_is_noted_for_each_webhook_that_wants_to_know(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    wanted = {
        await add_webhook(engine, events=["run.failed"]),
        await add_webhook(engine, events=["run.completed", "run.failed"], workflow_id=workflow_id),
    }
    await add_webhook(engine, events=["run.completed"])
    await add_webhook(engine, events=["run.failed"], workflow_id=await add_workflow(engine, step("a")))
    await add_webhook(engine, events=["run.failed"], disabled_at=func.now())
    run_id = await _finished_run(engine, "failed", workflow_id)
    found = await read_deliveries(engine)
    assert {each.webhook_id for each in found} == wanted
    assert {(each.run_id, each.event, each.status, each.attempts) for each in found} == {
        (run_id, "run.failed", "pending", 0)
    }
    assert "private" not in str(found[0].payload), "what a run takes, gives and says is not told"
    assert found[0].payload["error_code"] == "agent"
    assert found[0].payload["id"] == str(run_id)
    assert found[0].payload["finished_at"] is not None


async def test_a_queued_run_that_is_cancelled_is_told(engine: AsyncEngine) -> None:
    webhook_id = await add_webhook(engine, events=["run.cancelled"])
    run_id = await add_run(engine, await add_workflow(engine, step("a")), cancel_requested_at=func.now())
    assert await repository(engine).cancel_queued(run_id)
    (found,) = await read_deliveries(engine)
    assert (found.webhook_id, found.run_id, found.event) == (webhook_id, run_id, "run.cancelled")


async def test_an_end_that_is_told_twice_to_the_database_is_noted_once(engine: AsyncEngine) -> None:
    await add_webhook(engine)
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    (claimed,) = await claim(engine, run_id)
    for _ in range(2):
        await repository(engine).finish(claimed, "completed", [], output={})
    assert len(await read_deliveries(engine)) == 1


async def test_without_webhooks_the_end_of_a_run_reads_one_empty_table_more(engine: AsyncEngine) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    (claimed,) = await claim(engine, run_id)
    values = {
        "run_ids": [claimed.id],
        "tokens": [claimed.token],
        "statuses": ["completed"],
        "outputs": ["{}"],
        "errors": [None],
        "steps": ["[]"],
        "audit": True,
        "actor": "test",
    }
    async with transaction(engine) as connection:
        # The parameters are bound by name, and EXPLAIN takes the same.
        plan = await connection.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {FINISH.text}"), values)
        (whole,) = plan.scalar_one()
    parts = {part.get("Subplan Name"): part for part in whole["Plan"]["Plans"]}
    part = parts["CTE noted"]
    assert part["Actual Rows"] == 0
    assert part["Actual Total Time"] < 2.0, "milliseconds"
    looked_up = [each for each in _nodes(part) if each.get("Relation Name") == "runs" and each["Actual Loops"] > 0]
    assert looked_up == [], "no run is looked up"


def _nodes(part: Any) -> Iterator[Any]:
    yield part
    for each in part.get("Plans", ()):
        yield from _nodes(each)


class Receiver:
    """Answers deliveries as told."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.server: WebServer

    async def __call__(self, _: Call) -> Answer:
        return self.answers.pop(0) if self.answers else json_answer({})


@pytest.fixture
async def receiver() -> Any:
    """A receiver of deliveries."""
    found = Receiver()
    async with web_server(found) as server:
        found.server = server
        yield found


@pytest.fixture
async def sending(engine: AsyncEngine, api_settings: Settings, receiver: Receiver) -> Any:
    """What sends, without its loop."""
    allowed = (f"127.0.0.1:{receiver.server.port}",)
    found = Sending(engine, api_settings.model_copy(update={"http_agent_allowed_hosts": allowed}))
    yield found
    await found.stop()


async def _send(sending: Sending) -> None:
    """One round of attempts, to its end."""
    await sending.begin()
    async with asyncio.timeout(20):
        while sending.under_way:
            await sending.progress(20)


def _secret(settings: Settings, webhook_id: UUID, number: int = 1) -> str:
    assert settings.webhook_secret is not None
    return shown(webhook_key(settings.webhook_secret.get_secret_value(), webhook_id, number))


async def test_a_delivery_is_posted_signed_and_says_what_happened(
    engine: AsyncEngine, api_settings: Settings, sending: Sending, receiver: Receiver
) -> None:
    webhook_id = await add_webhook(engine, receiver.server.url("/hook?x=1"))
    run_id = await _finished_run(engine)
    await _send(sending)
    (call,) = receiver.server.calls
    (row,) = await read_deliveries(engine)
    assert (call.method, call.path, call.headers["content-type"]) == ("POST", "/hook?x=1", "application/json")
    assert is_signed(call, _secret(api_settings, webhook_id))
    body = json.loads(call.body)
    assert (body["id"], body["type"]) == (call.headers["webhook-id"], "run.completed") == (f"msg_{row.id}", row.event)
    assert body["data"]["run"]["id"] == str(run_id)
    assert (row.status, row.attempts, row.last_status, row.last_error) == ("delivered", 1, 200, None)


async def test_a_failed_delivery_is_tried_again_later_under_the_same_id_with_the_same_body(
    engine: AsyncEngine, sending: Sending, receiver: Receiver
) -> None:
    webhook_id = await add_webhook(engine, receiver.server.url())
    await add_deliveries(engine, webhook_id)
    receiver.answers = [json_answer({}, status=500)]
    await _send(sending)
    (row,) = await read_deliveries(engine)
    assert (row.status, row.attempts, row.last_status) == ("pending", 1, 500)
    assert row.last_error == "answered with 500, no success"
    pause = (row.next_attempt_at - row.last_attempt_at).total_seconds()
    assert 5 <= pause < 20
    assert (await read_webhook(engine, webhook_id)).failing_since is not None
    await _send(sending)
    assert len(receiver.server.calls) == 1, "not before its time"
    await make_due(engine)
    await _send(sending)
    first, second = receiver.server.calls
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert (await read_deliveries(engine))[0].status == "delivered"
    assert (await read_webhook(engine, webhook_id)).failing_since is None


def test_the_attempts_go_on_for_about_a_day() -> None:
    pauses = [pause_after(attempt) for attempt in range(1, MOST_ATTEMPTS)]
    assert pauses[:4] == [5, 20, 80, 320]
    assert 24 <= sum(pauses) / 3600 <= 32


async def test_after_the_last_attempt_a_delivery_is_dead_and_kept(
    engine: AsyncEngine, sending: Sending, receiver: Receiver
) -> None:
    await add_deliveries(engine, await add_webhook(engine, receiver.server.url()), attempts=MOST_ATTEMPTS - 1)
    receiver.answers = [json_answer({}, status=500)]
    await _send(sending)
    (row,) = await read_deliveries(engine)
    assert (row.status, row.attempts) == ("dead", MOST_ATTEMPTS)
    await make_due(engine)
    await _send(sending)
    assert len(receiver.server.calls) == 1


@pytest.mark.parametrize(("asked", "least"), [("900", 900), ("999999", 6 * 3600), ("soon", 5)])
async def test_a_receiver_may_ask_for_a_longer_pause(
    engine: AsyncEngine, sending: Sending, receiver: Receiver, asked: str, least: int
) -> None:
    await add_deliveries(engine, await add_webhook(engine, receiver.server.url()))
    receiver.answers = [json_answer({}, status=503, **{"Retry-After": asked})]
    await _send(sending)
    (row,) = await read_deliveries(engine)
    assert least <= (row.next_attempt_at - row.last_attempt_at).total_seconds() < least + 60


async def test_a_redirect_is_not_followed(engine: AsyncEngine, sending: Sending, receiver: Receiver) -> None:
    await add_deliveries(engine, await add_webhook(engine, receiver.server.url()))
    receiver.answers = [json_answer({}, status=307, Location=receiver.server.url("/elsewhere"))]
    await _send(sending)
    assert [call.path for call in receiver.server.calls] == ["/"]
    assert (await read_deliveries(engine))[0].last_error == "answered with 307, a redirect, which is not followed"


async def test_an_answer_without_end_is_not_read(engine: AsyncEngine, sending: Sending, receiver: Receiver) -> None:
    await add_deliveries(engine, await add_webhook(engine, receiver.server.url()))
    receiver.answers = [(200, {}, b"x" * 20_000_000)]
    await _send(sending)
    assert (await read_deliveries(engine))[0].status == "delivered"


@pytest.mark.parametrize("host", ["localhost", "other.test"])
async def test_a_host_that_may_not_be_called_is_not_called(
    engine: AsyncEngine, sending: Sending, receiver: Receiver, host: str
) -> None:
    await add_deliveries(engine, await add_webhook(engine, receiver.server.url(host=host)))
    await _send(sending)
    assert receiver.server.calls == []
    assert "HTTP_AGENT_ALLOWED_HOSTS" in (await read_deliveries(engine))[0].last_error


async def test_a_receiver_that_is_gone_switches_its_webhook_off_with_an_audit_entry(
    engine: AsyncEngine, sending: Sending, receiver: Receiver
) -> None:
    webhook_id = await add_webhook(engine, receiver.server.url())
    await add_deliveries(engine, webhook_id)
    receiver.answers = [json_answer({}, status=410)]
    await _send(sending)
    row = await read_webhook(engine, webhook_id)
    assert row.disabled_at is not None
    assert row.disabled_reason == "the receiver answered that it is gone (410)"
    async with transaction(engine) as connection:
        entry = (await connection.execute(select(audit_log))).one()
    assert (entry.actor, entry.action, entry.subject_id) == ("relay", "webhook.disable", str(webhook_id))
    assert entry.detail == {"reason": row.disabled_reason}


@pytest.mark.parametrize(("hours", "is_off"), [(71, False), (73, True)])
async def test_a_webhook_that_fails_for_three_days_is_switched_off(
    engine: AsyncEngine, sending: Sending, receiver: Receiver, hours: int, is_off: bool
) -> None:
    since = func.now() - timedelta(hours=hours)
    webhook_id = await add_webhook(engine, receiver.server.url(), failing_since=since)
    await add_deliveries(engine, webhook_id, 2)
    receiver.answers = [json_answer({}, status=500)]
    await _send(sending)
    row = await read_webhook(engine, webhook_id)
    assert row.disabled_reason == ("no delivery succeeded for 72 hours" if is_off else None)
    assert (row.disabled_at is not None) == is_off
    await make_due(engine)
    await _send(sending)
    assert len(receiver.server.calls) == (1 if is_off else 2), "one that is off is sent nothing"


async def test_after_a_rotation_both_secrets_verify_for_a_day(
    engine: AsyncEngine, api_settings: Settings, sending: Sending, receiver: Receiver
) -> None:
    fresh = await add_webhook(engine, receiver.server.url("/fresh"), key_number=2, rotated_at=func.now())
    old = func.now() - timedelta(hours=25)
    settled = await add_webhook(engine, receiver.server.url("/settled"), key_number=2, rotated_at=old)
    for webhook_id in (fresh, settled):
        await add_deliveries(engine, webhook_id)
    await _send(sending)
    calls = {call.path: call for call in receiver.server.calls}
    secrets = {
        path: [is_signed(calls[path], _secret(api_settings, webhook_id, number)) for number in (1, 2)]
        for path, webhook_id in (("/fresh", fresh), ("/settled", settled))
    }
    assert secrets == {"/fresh": [True, True], "/settled": [False, True]}


async def test_no_two_processes_send_a_delivery_at_the_same_time(engine: AsyncEngine) -> None:
    webhook_ids = [await add_webhook(engine) for _ in range(4)]
    for webhook_id in webhook_ids:
        await add_deliveries(engine, webhook_id, 10)

    async def take() -> list[UUID]:
        async with autocommit(engine) as connection:
            return [each.id for each in await deliveries.claim(connection, most=20, each=5, busy=[])]

    found = [each for claimed in await asyncio.gather(*(take() for _ in range(6))) for each in claimed]
    assert len(found) == len(set(found)) > 0


async def test_a_webhook_that_fails_is_asked_one_at_a_time_and_holds_up_no_other(engine: AsyncEngine) -> None:
    failing = await add_webhook(engine, failing_since=func.now())
    busy, sound = await add_webhook(engine), await add_webhook(engine)
    for webhook_id in (failing, busy, sound):
        await add_deliveries(engine, webhook_id, 8)
    async with autocommit(engine) as connection:
        claimed = await deliveries.claim(connection, most=20, each=5, busy=[busy])
    assert sorted(each.webhook_id for each in claimed) == sorted([failing] + [sound] * 5)


async def test_who_was_too_slow_changes_nothing_any_more(engine: AsyncEngine) -> None:
    webhook_id = await add_webhook(engine)
    await add_deliveries(engine, webhook_id)
    async with autocommit(engine) as connection:
        (old,) = await deliveries.claim(connection, most=1, each=1, busy=[])
        assert await deliveries.claim(connection, most=1, each=1, busy=[]) == [], "it is leased"
        await make_due(engine)
        (new,) = await deliveries.claim(connection, most=1, each=1, busy=[])
        outcome = await deliveries.failed(connection, old, status=500, error="late", pause=1, is_gone=True, audit=True)
        assert outcome == (False, False)
        await deliveries.succeeded(connection, new, 204)
    (row,) = await read_deliveries(engine)
    assert (row.status, row.last_status, row.attempts) == ("delivered", 204, 2)
    assert (await read_webhook(engine, webhook_id)).disabled_at is None


async def test_old_deliveries_are_forgotten(engine: AsyncEngine) -> None:
    webhook_id = await add_webhook(engine)
    await add_deliveries(engine, webhook_id, created_at=func.now() - timedelta(days=31))
    (kept,) = await add_deliveries(engine, webhook_id, created_at=func.now() - timedelta(days=29))
    async with autocommit(engine) as connection:
        assert not await deliveries.forget(connection)
    assert [each.id for each in await read_deliveries(engine)] == [kept]


async def test_what_waits_is_measured(engine: AsyncEngine) -> None:
    sound, off = await add_webhook(engine), await add_webhook(engine, disabled_at=func.now())
    old = func.now() - timedelta(seconds=90)
    await add_deliveries(engine, sound, created_at=old)
    await add_deliveries(engine, sound, attempts=2, created_at=func.now() - timedelta(hours=1))
    await add_deliveries(engine, sound, status="dead")
    await add_deliveries(engine, off, created_at=func.now() - timedelta(days=2))
    async with autocommit(engine) as connection:
        count, oldest = await deliveries.waiting(connection)
    assert count == 2
    assert 90 <= oldest < 150


@contextmanager
def _failing_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Iterator[list[Exception]]:
    errors = [error]
    real = deliveries.claim

    async def claim_sometimes(*given: Any, **named: Any) -> Any:
        if errors:
            raise errors.pop()
        return await real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(deliveries, "claim", claim_sometimes)
        yield errors


@pytest.mark.parametrize("error", [ConnectionError("away"), ValueError("broken")])
async def test_the_loop_sends_whatever_went_wrong_before(
    engine: AsyncEngine,
    api_settings: Settings,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    await add_deliveries(engine, await add_webhook(engine, receiver.server.url()), 12)
    settings = api_settings.model_copy(update={"http_agent_allowed_hosts": (f"127.0.0.1:{receiver.server.port}",)})
    stopping, pulse = asyncio.Event(), Pulse()

    async def all_sent() -> bool:
        return {each.status for each in await read_deliveries(engine)} == {"delivered"}

    with _failing_once(monkeypatch, error) as errors:
        loop = asyncio.create_task(deliver_until(settings, stopping, pulse))
        await eventually(all_sent, "all to be sent")
        assert not errors
    stopping.set()
    await asyncio.wait_for(loop, 20)
    assert pulse.problems() == {}


async def test_without_a_key_nothing_is_sent(engine: AsyncEngine, api_settings: Settings) -> None:
    await add_deliveries(engine, await add_webhook(engine))
    stopping = asyncio.Event()
    settings = api_settings.model_copy(update={"webhook_secret": None})
    loop = asyncio.create_task(deliver_until(settings, stopping, Pulse()))
    stopping.set()
    await asyncio.wait_for(loop, 5)
    assert (await read_deliveries(engine))[0].claims == 0


async def test_a_delivery_outlives_its_run(engine: AsyncEngine, sending: Sending, receiver: Receiver) -> None:
    await add_webhook(engine, receiver.server.url())
    run_id = await _finished_run(engine)
    async with transaction(engine) as connection:
        await connection.execute(runs.delete().where(runs.c.id == run_id))
        assert await connection.scalar(select(func.count()).select_from(webhook_deliveries)) == 1
    await _send(sending)
    assert (await read_deliveries(engine))[0].status == "delivered"

"""Runs through relay, Kafka and executor, with the real things."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import metrics as executor_metrics
from service.platform import metrics
from service.platform.database import transaction
from service.platform.kafka import BoundedProducer, Record
from service.platform.settings import Settings
from service.platform.tables import audit_log, outbox, runs
from tests.service.executor_support import (
    Answer,
    Call,
    add_message,
    add_run,
    add_workflow,
    executing,
    finished,
    json_answer,
    message,
    read_run,
    read_steps,
    relaying,
    step,
    step_reached,
    submit,
    web_server,
)
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")


@pytest_asyncio.fixture
async def platform(settings: Settings) -> AsyncIterator[None]:
    """A relay and an executor at work."""
    async with relaying(settings), executing(settings, executor_id="worker"):
        yield


@pytest.mark.usefixtures("platform")
async def test_a_run_goes_from_queued_to_completed_through_kafka(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(
        engine,
        step("a", step_input={"name": {"$jmespath": "input.name"}}),
        step("b", "transform", needs=["a"], step_input={"n": {"$jmespath": "steps.a.name"}}, expression="n"),
        step("c", needs=["a"], step_input={"fixed": 1}),
    )
    completed_before = metrics.RUNS_COMPLETED._value.get()
    run_id = await submit(engine, settings, workflow_id, {"name": "Ada"})
    row = await finished(engine, run_id)
    assert (row.status, row.output, row.error) == ("completed", {"b": "Ada", "c": {"fixed": 1}}, None)
    assert row.created_at <= row.started_at <= row.finished_at
    assert (row.lease_owner, row.lease_expires_at) == (None, None)
    steps = await read_steps(engine, run_id)
    assert {name: (one.status, one.attempt) for name, one in steps.items()} == dict.fromkeys("abc", ("completed", 1))
    assert all(one.started_at <= one.finished_at for one in steps.values())
    assert metrics.RUNS_COMPLETED._value.get() == completed_before + 1
    async with transaction(engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(outbox))).scalar_one() == 0
        audit = (await connection.execute(select(audit_log))).one()
    assert (audit.actor, audit.action, audit.subject_id) == ("executor:worker", "run.completed", str(run_id))


@pytest.mark.usefixtures("platform")
async def test_a_message_that_comes_twice_is_executed_once(engine: AsyncEngine, settings: Settings) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    again = message(run_id)
    ignored = executor_metrics.DUPLICATES.labels(settings.kafka_execution_topic)
    for _ in range(3):
        await add_message(engine, settings.kafka_execution_topic, again, key=str(run_id))
    row = await finished(engine, run_id)

    async def all_seen() -> bool:
        return ignored._value.get() >= 2

    await eventually(all_seen, "the two repetitions to be passed over")
    after = await read_run(engine, run_id)
    assert (row.attempt, row.lease_token) == (1, 1)
    assert after == row


@pytest.mark.usefixtures("platform")
async def test_a_poison_message_is_passed_and_counted(engine: AsyncEngine, settings: Settings) -> None:
    counter = executor_metrics.UNDECODABLE.labels(settings.kafka_execution_topic)
    producer = BoundedProducer(settings, client_id="test")
    try:
        poison = [b"\xff\xfe", b"{}", b'{"message_id": "m", "run_id": 1}']
        await producer.send([Record(settings.kafka_execution_topic, "same key", value) for value in poison])
        run_id = await add_run(engine, await add_workflow(engine, step("a")))
        value = f'{{"message_id": "m", "run_id": "{run_id}"}}'.encode()
        await producer.send([Record(settings.kafka_execution_topic, "same key", value)])
    finally:
        await producer.stop()
    assert (await finished(engine, run_id)).status == "completed"
    assert counter._value.get() == 3


@pytest.mark.usefixtures("platform")
async def test_a_failed_run_tells_its_problem(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(
        engine,
        step("good"),
        step("bad", "http", needs=["good"], url="http://nowhere.invalid/"),
        step("never", needs=["bad"]),
    )
    failed_before = metrics.RUNS_FAILED._value.get()
    row = await finished(engine, await submit(engine, settings, workflow_id))
    assert row.status == "failed"
    assert row.output is None
    assert row.error["type"].endswith(":step-failed")
    assert {key: row.error[key] for key in ("step_id", "attempts", "code")} == {
        "step_id": "bad",
        "attempts": 1,
        "code": "http-host-not-allowed",
    }
    assert "HTTP_AGENT_ALLOWED_HOSTS" in row.error["detail"]
    statuses = {name: one.status for name, one in (await read_steps(engine, row.id)).items()}
    assert statuses == {"good": "completed", "bad": "failed", "never": "skipped"}
    assert metrics.RUNS_FAILED._value.get() == failed_before + 1


async def test_a_step_that_fails_at_first_is_retried_and_succeeds(engine: AsyncEngine, settings: Settings) -> None:
    async def flaky(_: Call) -> Answer:
        return json_answer({"ok": True}) if len(server.calls) == 3 else json_answer({}, 503)

    async with web_server(flaky) as server:
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with relaying(settings), executing(settings, **allowed):
            workflow_id = await add_workflow(engine, step("call", "http", url=server.url(), attempts=3))
            row = await finished(engine, await submit(engine, settings, workflow_id))
    assert (row.status, len(server.calls)) == ("completed", 3)
    journalled = (await read_steps(engine, row.id))["call"]
    assert (journalled.attempt, journalled.error) == (3, None)


async def test_a_step_that_fails_every_time_fails_the_run_after_its_attempts(
    engine: AsyncEngine, settings: Settings
) -> None:
    async def broken(_: Call) -> Answer:
        return json_answer({}, 500)

    async with web_server(broken) as server:
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with relaying(settings), executing(settings, **allowed):
            workflow_id = await add_workflow(engine, step("call", "http", url=server.url(), attempts=2))
            row = await finished(engine, await submit(engine, settings, workflow_id))
    assert (row.status, row.error["attempts"], row.error["code"], len(server.calls)) == (
        "failed",
        2,
        "http-status",
        2,
    )


@pytest.mark.usefixtures("platform")
async def test_a_step_that_takes_longer_than_its_timeout_fails(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(engine, step("slow", "delay", seconds=600, timeout=0.05, attempts=1))
    row = await finished(engine, await submit(engine, settings, workflow_id))
    assert (row.status, row.error["code"]) == ("failed", "timeout")


@pytest.mark.usefixtures("platform")
async def test_a_step_whose_condition_is_false_is_skipped_with_those_that_need_only_it(
    engine: AsyncEngine, settings: Settings
) -> None:
    workflow_id = await add_workflow(
        engine,
        step("check"),
        step("big", needs=["check"], when="input.amount > `100`", step_input={"size": "big"}),
        step("small", "delay", needs=["check"], when="input.amount <= `100`", step_input={"size": "small"}, seconds=0),
        step("after_big", needs=["big"]),
        step(
            "join",
            needs=["after_big", "small"],
            step_input={"big": {"$jmespath": "steps.big"}, "small": {"$jmespath": "steps.small.size"}},
        ),
    )
    row = await finished(engine, await submit(engine, settings, workflow_id, {"amount": 7}))
    assert (row.status, row.output) == ("completed", {"join": {"big": None, "small": "small"}})
    statuses = {name: one.status for name, one in (await read_steps(engine, row.id)).items()}
    assert statuses == {
        "check": "completed",
        "big": "skipped",
        "small": "completed",
        "after_big": "skipped",
        "join": "completed",
    }


@pytest.mark.usefixtures("platform")
async def test_a_condition_that_does_not_fit_the_data_fails_its_step(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(engine, step("a", when="length(input.n) > `1`"))
    row = await finished(engine, await submit(engine, settings, workflow_id, {"n": 5}))
    assert (row.status, row.error["step_id"], row.error["code"]) == ("failed", "a", "when")


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(("given", "status"), [({"a": {"n": 1}}, "completed"), ({"a": {"n": "one"}}, "failed")])
async def test_the_output_of_a_run_is_checked(
    engine: AsyncEngine, settings: Settings, given: dict[str, Any], status: str
) -> None:
    schema = {"properties": {"a": {"properties": {"n": {"type": "integer"}}}}}
    workflow_id = await add_workflow(engine, step("a", step_input=given["a"]), output_schema=schema)
    row = await finished(engine, await submit(engine, settings, workflow_id))
    assert row.status == status
    if status == "failed":
        assert (row.output, row.error["code"]) == (None, "output-schema")
        assert row.error["detail"] == 'a.n: the value is not of type "integer"'
    assert (await read_steps(engine, row.id))["a"].status == "completed"


@pytest.mark.usefixtures("platform")
async def test_a_run_that_takes_longer_than_its_timeout_fails_and_its_steps_stop(
    engine: AsyncEngine, settings: Settings
) -> None:
    workflow_id = await add_workflow(
        engine,
        step("quick"),
        step("slow", "delay", needs=["quick"], seconds=600, timeout=1200),
        step("never", needs=["slow"]),
        timeout_seconds=0.3,
    )
    row = await finished(engine, await submit(engine, settings, workflow_id))
    assert (row.status, row.output, row.error["code"]) == ("failed", None, "run-timeout")
    assert "0.3 s" in row.error["detail"]
    statuses = {name: one.status for name, one in (await read_steps(engine, row.id)).items()}
    assert statuses == {"quick": "completed", "slow": "cancelled", "never": "skipped"}


async def test_independent_steps_run_at_the_same_time(engine: AsyncEngine, settings: Settings) -> None:
    both = asyncio.Barrier(2)

    async def wait_for_each_other(_: Call) -> Answer:
        await both.wait()
        return json_answer({})

    async with web_server(wait_for_each_other) as server:
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with relaying(settings), executing(settings, **allowed):
            workflow_id = await add_workflow(
                engine,
                step("a", "http", url=server.url("/a"), attempts=1),
                step("b", "http", url=server.url("/b"), attempts=1),
                step("c", needs=["a", "b"]),
            )
            row = await finished(engine, await submit(engine, settings, workflow_id))
    assert row.status == "completed"


async def cancel(engine: AsyncEngine, settings: Settings, run_id: Any, *, tell: bool = True) -> None:
    """What the API does: the mark and the message in one transaction."""
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(cancel_requested_at=func.now()))
        if tell:
            row = {"topic": settings.kafka_cancellation_topic, "key": str(run_id), "payload": message(run_id)}
            await connection.execute(outbox.insert().values(row))


@pytest.mark.usefixtures("platform")
async def test_a_cancellation_interrupts_a_delay(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(
        engine, step("wait", "delay", seconds=3600, timeout=7200), step("never", needs=["wait"])
    )
    run_id = await submit(engine, settings, workflow_id)
    await step_reached(engine, run_id, "wait", "running")
    await cancel(engine, settings, run_id)
    # Sooner than the heartbeat of a 30 s lease could have found the mark.
    row = await finished(engine, run_id, seconds=8)
    assert (row.status, row.output, row.error) == ("cancelled", None, None)
    statuses = {name: one.status for name, one in (await read_steps(engine, run_id)).items()}
    assert statuses == {"wait": "cancelled", "never": "skipped"}


async def test_a_cancellation_whose_message_is_lost_is_found_by_the_heartbeat(
    engine: AsyncEngine, settings: Settings
) -> None:
    async with relaying(settings), executing(settings, executor_lease_seconds=3):
        workflow_id = await add_workflow(engine, step("wait", "delay", seconds=3600, timeout=7200))
        run_id = await submit(engine, settings, workflow_id)
        await step_reached(engine, run_id, "wait", "running")
        await cancel(engine, settings, run_id, tell=False)
        assert (await finished(engine, run_id)).status == "cancelled"


@pytest.mark.usefixtures("platform")
async def test_a_cancellation_that_comes_before_the_execution_wins(engine: AsyncEngine, settings: Settings) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    await cancel(engine, settings, run_id)
    await add_message(engine, settings.kafka_execution_topic, message(run_id))
    row = await finished(engine, run_id)
    assert (row.status, row.started_at) == ("cancelled", None)


async def test_a_queued_run_whose_message_is_lost_is_executed_all_the_same(
    engine: AsyncEngine, settings: Settings
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    async with executing(settings, executor_lease_seconds=3):
        assert (await finished(engine, run_id)).status == "completed"


async def test_no_more_runs_start_than_the_concurrency_allows(engine: AsyncEngine, settings: Settings) -> None:
    release = asyncio.Event()
    at_once: list[int] = []
    inside = 0

    async def hold(_: Call) -> Answer:
        nonlocal inside
        inside += 1
        at_once.append(inside)
        await release.wait()
        inside -= 1
        return json_answer({})

    async with web_server(hold) as server:
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with relaying(settings), executing(settings, executor_concurrency=2, **allowed):
            workflow_id = await add_workflow(engine, step("call", "http", url=server.url()))
            run_ids = [await submit(engine, settings, workflow_id) for _ in range(6)]

            async def full() -> bool:
                return inside == 2

            await eventually(full, "two runs to be under way")
            release.set()
            for run_id in run_ids:
                assert (await finished(engine, run_id)).status == "completed"
    assert max(at_once) == 2

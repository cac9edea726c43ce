"""Runs that only compute: done before they are claimed, with the same traces as if they had been."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import at_once as at_once_module
from service.executor.active import ActiveRun
from service.executor.at_once import AtOnce
from service.executor.conclusion import Conclusion
from service.executor.kinds.delay import DelayAgent
from service.executor.kinds.noop import NoopAgent
from service.executor.kinds.transform import TransformAgent
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.executor.runner import Runner
from service.platform import metrics
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, inbox, outbox, run_logs, runs
from tests.service.executor_support import (
    add_run,
    add_workflow,
    executing,
    finished,
    message,
    read_run,
    read_steps,
    relaying,
    step,
    step_reached,
    whole_message,
)
from tests.service.webhook_support import add_webhook, read_deliveries

pytestmark = pytest.mark.ring("service")

AGENTS: dict[str, Any] = {each.kind: each for each in (NoopAgent(), TransformAgent(), DelayAgent())}
PASSES_ON = {"$jmespath": "input"}


@pytest.fixture
def repository(engine: AsyncEngine) -> RunRepository:
    return RunRepository(engine, owner="one", lease_seconds=30, audit=True)


@pytest.fixture
def at_once(repository: RunRepository) -> AtOnce:
    return AtOnce(repository, AGENTS)


def request(run_id: UUID, workflow_id: UUID, run_input: Any = None) -> ExecutionRequest:
    return ExecutionRequest.model_validate(whole_message(run_id, workflow_id, run_input))


async def end(at_once: AtOnce, *requests: ExecutionRequest) -> set[UUID]:
    computed = await at_once.compute(requests)
    return await at_once.end([each for each in computed if each is not None])


async def change(engine: AsyncEngine, run_id: UUID, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


async def received(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        return int((await connection.execute(select(func.count()).select_from(inbox))).scalar_one())


async def traces(engine: AsyncEngine, run_id: UUID) -> Mapping[str, Any]:
    """What a run leaves behind, without its times and its own id."""
    row = await read_run(engine, run_id)
    assert row.created_at <= row.started_at <= row.finished_at
    steps = await read_steps(engine, run_id)
    for one in steps.values():
        assert one.started_at is None or one.finished_at is None or one.started_at <= one.finished_at
    async with transaction(engine) as connection:
        entries = (await connection.execute(select(audit_log).where(audit_log.c.subject_id == str(run_id)))).all()
        logged = select(run_logs).where(run_logs.c.run_id == run_id).order_by(run_logs.c.number)
        lines = (await connection.execute(logged)).all()
    deliveries = [each for each in await read_deliveries(engine) if each.run_id == run_id]
    for each in deliveries:
        assert all(each.payload[name] is not None for name in ("created_at", "started_at", "finished_at"))
    return {
        "run": {
            name: value
            for name, value in row._mapping.items()
            if name not in {"id", "created_at", "turn_at", "started_at", "finished_at"}
        },
        "steps": {
            name: (
                (one.status, one.attempt, one.output, one.error, one.waits, one.lease_token),
                (one.started_at is None, one.finished_at is None),
            )
            for name, one in steps.items()
        },
        "audit": [(one.actor, one.action, one.subject_type, one.correlation_id, one.detail) for one in entries],
        "log": [(one.number, one.step_id, one.attempt, one.level, one.message, one.fields) for one in lines],
        "webhooks": [
            (one.event, {k: v for k, v in one.payload.items() if not k.endswith("_at") and k != "id"})
            for one in deliveries
        ],
    }


CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "completed": (
        (step("a", step_input=PASSES_ON), step("b", "transform", needs=["a"], expression="@", step_input=PASSES_ON)),
        {},
        "completed",
    ),
    "skipped": ((step("a", when="input.never"), step("b", needs=["a"]), step("c")), {}, "completed"),
    "failed step": (
        (step("a"), step("b", "transform", needs=["a"], expression="abs('x')"), step("c", needs=["b"])),
        {},
        "failed",
    ),
    "failed input": ((step("a", step_input={"x": {"$jmespath": "abs(input.n)"}}),), {}, "failed"),
    "misfit": ((step("a"),), {"output_schema": {"required": ["b"]}}, "failed"),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_run_leaves_the_same_behind_as_one_that_is_claimed(
    engine: AsyncEngine, repository: RunRepository, at_once: AtOnce, case: str
) -> None:
    steps, whole, status = CASES[case]
    workflow_id, given = await add_workflow(engine, *steps, **whole), {"n": "Ada", "more": [1, 2.5, None]}
    await add_webhook(engine, events=["run.completed", "run.failed"])
    counter = {"completed": metrics.RUNS_COMPLETED, "failed": metrics.RUNS_FAILED}[status]

    usual, quick = [await add_run(engine, workflow_id, given) for _ in range(2)]
    (claimed,) = await repository.claim_received([ExecutionRequest.model_validate(message(usual))])
    await Runner(repository, AGENTS).execute(ActiveRun(claimed))
    before = counter._value.get()
    assert await end(at_once, request(quick, workflow_id, given)) == {quick}

    assert counter._value.get() == before + 1
    expected = await traces(engine, usual)
    assert expected["run"]["status"] == status
    assert await traces(engine, quick) == expected
    assert len(expected["audit"]) == len(expected["webhooks"]) == 1


async def test_a_message_that_comes_again_changes_nothing(
    engine: AsyncEngine, repository: RunRepository, at_once: AtOnce
) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    run_id = await add_run(engine, workflow_id)
    asked = request(run_id, workflow_id)
    assert await end(at_once, asked, asked) == {run_id}
    row = await read_run(engine, run_id)
    assert await end(at_once, asked) == set()
    assert await repository.claim_received([asked]) == []
    assert await read_run(engine, run_id) == row
    assert await received(engine) == 1


async def test_of_many_executors_one_ends_the_run(engine: AsyncEngine, at_once: AtOnce) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    run_ids = [await add_run(engine, workflow_id) for _ in range(20)]
    messages = [request(run_id, workflow_id) for run_id in run_ids]
    answers = await asyncio.gather(*(end(at_once, *messages[:: (-1) ** number]) for number in range(4)))
    assert sorted(run_id for answer in answers for run_id in answer) == sorted(run_ids)
    async with transaction(engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(audit_log))).scalar_one() == 20


@pytest.mark.parametrize(
    "changed",
    [
        {"cancel_requested_at": func.now()},
        {"pause_requested_at": func.now()},
        {"status": "cancelled"},
        {"status": "paused"},
        {"status": "running", "lease_token": 1, "attempt": 1},
        {"lease_token": 1},
        {"attempt": 1},
        {"origin_run_id": UUID(int=1)},
        {"input": {"other": 1}},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_run_that_is_not_as_its_message_says_is_left_as_it_is(
    engine: AsyncEngine, at_once: AtOnce, changed: dict[str, Any]
) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    run_id, neighbour = [await add_run(engine, workflow_id) for _ in range(2)]
    await change(engine, run_id, **changed)
    before = await read_run(engine, run_id)
    assert await end(at_once, request(run_id, workflow_id), request(neighbour, workflow_id)) == {neighbour}
    assert await read_run(engine, run_id) == before
    assert await read_steps(engine, run_id) == {}
    # Else the usual way would take its message for a repetition.
    assert await received(engine) == 1


async def test_a_message_about_another_workflow_than_the_runs_ends_nothing(
    engine: AsyncEngine, at_once: AtOnce
) -> None:
    right, wrong = [await add_workflow(engine, step("a", step_input={"x": x})) for x in (1, 2)]
    run_id = await add_run(engine, right)
    assert await end(at_once, request(run_id, wrong)) == set()
    assert (await read_run(engine, run_id)).status == "queued"


@pytest.mark.parametrize(
    ("steps", "whole"),
    [
        ([step("a"), step("b", "delay", seconds=1, needs=["a"])], {}),
        ([step("a", "unknown")], {}),
        ([step("a", for_each={"items": "input.list"})], {}),
        ([step("a")], {"on_failure": [step("b")]}),
        ([step("a", needs=["missing"])], {}),
        ([step(f"s{number}") for number in range(at_once_module.MOST_STEPS + 1)], {}),
        ([step("a", "transform", expression=f'`"{"x" * 9000}"`') for _ in "a"] * 1, {}),
    ],
    ids=["waits", "unknown kind", "items", "on failure", "unusable", "many steps", "large output"],
)
async def test_a_run_that_does_more_than_compute_a_little_goes_the_usual_way(
    engine: AsyncEngine, at_once: AtOnce, monkeypatch: pytest.MonkeyPatch, steps: list[Any], whole: dict[str, Any]
) -> None:
    monkeypatch.setattr(at_once_module, "MOST_CHARACTERS", 5000)
    workflow_id = await add_workflow(engine, *steps, **whole)
    assert await at_once.compute([request(UUID(int=1), workflow_id, {"list": [1]})]) == [None]


@pytest.mark.parametrize("missing", ["workflow_id", "workflow_version", "input"])
async def test_a_message_of_an_earlier_version_goes_the_usual_way(
    engine: AsyncEngine, at_once: AtOnce, missing: str
) -> None:
    whole = whole_message(UUID(int=1), await add_workflow(engine, step("a")), {"x": 1})
    asked = ExecutionRequest.model_validate({name: value for name, value in whole.items() if name != missing})
    assert await at_once.compute([asked]) == [None]


async def test_a_large_input_goes_the_usual_way(engine: AsyncEngine, at_once: AtOnce) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    large = {"x": "y" * at_once_module.MOST_CHARACTERS}
    assert await at_once.compute([request(UUID(int=1), workflow_id, large)]) == [None]


async def test_a_batch_that_takes_long_is_ended_without_its_last_runs(
    engine: AsyncEngine, at_once: AtOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    monkeypatch.setattr(at_once_module, "_BATCH_SECONDS", 0)
    found = await at_once.compute([request(UUID(int=number), workflow_id) for number in range(3)])
    assert [None if each is None else each.run_id for each in found] == [UUID(int=0)]


async def test_a_kind_that_waits_though_it_should_not_goes_the_usual_way(
    engine: AsyncEngine, repository: RunRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sleeper(DelayAgent):
        instant = True

    monkeypatch.setattr(at_once_module, "_RUN_SECONDS", 0.05)
    workflow_id = await add_workflow(engine, step("a", "delay", seconds=20))
    slow = AtOnce(repository, {"delay": Sleeper()})
    assert await slow.compute([request(UUID(int=1), workflow_id)]) == [None]


async def test_a_whole_batch_is_one_statement(engine: AsyncEngine, at_once: AtOnce) -> None:
    workflow_id = await add_workflow(engine, step("a"), step("b", needs=["a"]), step("c", needs=["b"]))
    run_ids = [await add_run(engine, workflow_id) for _ in range(30)]
    await at_once.compute([request(UUID(int=1), workflow_id)])  # the version is known from here on
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    try:
        ended = await end(at_once, *(request(run_id, workflow_id) for run_id in run_ids))
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", count)
    assert (ended, len(statements)) == (set(run_ids), 1)


async def test_a_batch_that_cannot_be_written_goes_the_usual_way(engine: AsyncEngine, at_once: AtOnce) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    run_id = await add_run(engine, workflow_id)
    (computed,) = await at_once.compute([request(run_id, workflow_id)])
    assert computed is not None
    values = {name: getattr(computed, name) for name in Conclusion.__dataclass_fields__}
    assert await at_once.end([Conclusion(**values | {"output": "no JSON"})]) == set()
    assert (await read_run(engine, run_id)).status == "queued"
    assert await received(engine) == 0


async def test_a_run_that_only_computes_needs_no_place_and_one_that_waits_for_its_place_is_not_forgotten(
    engine: AsyncEngine, settings: Settings
) -> None:
    long, short, instant = [
        await add_workflow(engine, each)
        for each in (step("a", "delay", seconds=60, timeout=90), step("a", "delay", seconds=0.01), step("a"))
    ]
    taking, waiting, computed = [await add_run(engine, each) for each in (long, short, instant)]

    async def send(**workflow_of: UUID) -> None:
        async with transaction(engine) as connection:
            for run_id, workflow_id in workflow_of.items():
                payload = whole_message(UUID(run_id), workflow_id)
                topic = settings.kafka_execution_topic
                await connection.execute(
                    outbox.insert().values(topic=topic, key="same partition", headers={}, payload=payload)
                )

    # So long a lease that no sweep helps out.
    given = {"executor_lease_seconds": 600, "executor_concurrency": 1}
    async with relaying(settings):
        async with executing(settings, **given):
            await send(**{str(taking): long})
            await step_reached(engine, taking, "a", "running")
            await send(**{str(waiting): short, str(computed): instant})
            assert (await finished(engine, computed)).status == "completed"
            assert (await read_run(engine, waiting)).status == "queued"
            await change(engine, taking, cancel_requested_at=func.now())
        async with executing(settings, **given | {"executor_concurrency": 2}):
            assert (await finished(engine, waiting)).status == "completed"

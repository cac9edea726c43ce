"""What the database writes of a run is what the model that the API's document shows would have written."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import DatabaseUnavailableError, autocommit, fetch, transaction
from service.platform.ids import new_id
from service.platform.tables import run_steps, runs, workflow_limits
from service.runs.schemas import RunAnswer, StepAnswer
from service.runs.written import write_many
from tests.service.executor_support import add_run, add_workflow, read_run, read_steps, step
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")

WHOLE = datetime(2026, 11, 23, 7, 30, 0, 0, UTC)
ROUGH = datetime(2026, 11, 23, 7, 30, 1, 120_000, UTC)
FINE = datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC)
ODD: dict[str, Any] = {
    "übersicht": 'a "quoted" \\ line\nbreak',
    "emoji": "🦉",
    "control": "\u001f\u007f\u2028",
    "": [None, True, {}],
}
NUMBERS = {
    "big": 2**70,
    "negative": -(2**63) - 1,
    "small": 1e-7,
    "wide": 1e300,
    "half": 0.5,
    "whole": 1.0,
    "zero": -0.0,
}

SHAPES: dict[str, dict[str, Any]] = {
    "queued": {},
    "queued with odd text": {"run_input": ODD, "priority": 9},
    "numbers": {"run_input": NUMBERS, "output": [NUMBERS, 2**70], "status": "completed", "finished_at": ROUGH},
    "running": {"status": "running", "attempt": 2, "started_at": WHOLE},
    "completed": {"status": "completed", "output": {"a": ["b", 1]}, "started_at": WHOLE, "finished_at": FINE},
    "completed with nothing": {"status": "completed", "output": None, "finished_at": FINE},
    "completed with text": {"status": "completed", "output": "done", "finished_at": FINE},
    "failed": {"status": "failed", "error": {"code": "boom", "message": "💥"}, "finished_at": ROUGH},
    "to be cancelled": {"status": "running", "cancel_requested_at": ROUGH},
    "paused": {"status": "paused", "pause_requested_at": WHOLE, "paused_at": ROUGH},
    "a child that does something again": {
        "parent_run_id": new_id(), "parent_step_id": "call[0]", "origin_run_id": new_id(), "depth": 1,
    },
}  # fmt: skip

STEPS = [
    {"step_id": "first", "status": "completed", "attempt": 1, "output": ODD, "started_at": WHOLE, "finished_at": FINE},
    {"step_id": "ask", "status": "waiting", "waits": {"prompt": "Gut so?", "until": None}, "started_at": ROUGH},
    {"step_id": "each", "status": "running", "attempt": 3, "output": None, "started_at": FINE},
    {"step_id": "each[0]", "status": "completed", "attempt": 1, "output": 7},
    {"step_id": "rescue", "status": "failed", "attempt": 2, "error": {"code": "x"}, "output": NUMBERS},
]
"""Journal entries in another order than the definition's, with an item of one of its steps."""


@pytest_asyncio.fixture
async def workflow(engine: AsyncEngine) -> UUID:
    """A stored workflow whose steps are not in their names' order."""
    steps = [step("ask"), step("unbegun"), step("first", needs=["ask"]), step("each", for_each={"items": "input.list"})]
    return await add_workflow(engine, *steps, on_failure=[step("rescue"), step("another")])


async def _journal(engine: AsyncEngine, run_id: UUID) -> None:
    async with transaction(engine) as connection:
        for entry in STEPS:
            await connection.execute(run_steps.insert().values(run_id=run_id, **entry))


async def _modelled(engine: AsyncEngine, run_id: UUID, waits_for: str | None = None) -> Any:
    """What the model writes, of rows that were read the plain way."""
    row = await read_run(engine, run_id)
    found = await read_steps(engine, run_id)
    steps = []
    for step_id in ("ask", "unbegun", "first", "each", "rescue", "another"):
        entry = found.get(step_id)
        steps.append(StepAnswer(id=step_id, **({} if entry is None else {
            name: entry._mapping[name] for name in StepAnswer.model_fields if name != "id"
        })))  # fmt: skip
    answer = RunAnswer.model_validate({**row._mapping, "waits_for": waits_for, "steps": steps})
    return json.loads(answer.model_dump_json())


async def _written(engine: AsyncEngine, run_id: UUID) -> Any:
    written = (await write_many(engine, [run_id]))[run_id]
    RunAnswer.model_validate_json(written.json)
    return json.loads(written.json)


@pytest.mark.parametrize("journalled", [False, True], ids=["nothing begun", "with a journal"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_run_of_each_shape_is_written_as_its_model_writes_it(
    shape: str, journalled: bool, engine: AsyncEngine, workflow: UUID
) -> None:
    columns = dict(SHAPES[shape])
    run_id = await add_run(engine, workflow, columns.pop("run_input", None), **columns)
    if journalled:
        await _journal(engine, run_id)
    assert await _written(engine, run_id) == await _modelled(engine, run_id)


async def test_the_fields_of_a_run_and_of_a_step_are_written_in_the_order_of_the_models(
    engine: AsyncEngine, workflow: UUID
) -> None:
    written = await _written(engine, await add_run(engine, workflow))
    assert list(written) == list(RunAnswer.model_fields)
    assert list(written["steps"][0]) == list(StepAnswer.model_fields)


async def test_a_run_that_a_limit_keeps_waiting_says_which(engine: AsyncEngine, workflow: UUID) -> None:
    async with transaction(engine) as connection:
        await connection.execute(workflow_limits.insert().values(workflow_id=workflow, max_running=1))
    await add_run(engine, workflow, status="running", started_at=WHOLE)
    held = await add_run(engine, workflow, held_at=WHOLE)
    assert await _written(engine, held) == await _modelled(engine, held, "concurrency")


async def test_a_number_that_no_float_holds_is_written_as_it_is_stored(engine: AsyncEngine, workflow: UUID) -> None:
    run_id = await add_run(engine, workflow)
    async with transaction(engine) as connection:
        await connection.execute(text("""UPDATE runs SET output = '{"exact": 0.12345678901234567890}'"""))
    assert b"0.12345678901234567890" in (await write_many(engine, [run_id]))[run_id].json


async def test_runs_are_found_together_and_those_that_there_are_not_are_left_out(
    engine: AsyncEngine, workflow: UUID
) -> None:
    known = [await add_run(engine, workflow, {"number": number}) for number in range(3)]
    found = await write_many(engine, [new_id(), *known, new_id()])
    assert {run_id: json.loads(run.json)["input"]["number"] for run_id, run in found.items()} == dict(
        zip(known, range(3), strict=True)
    )
    assert {run.workflow_id for run in found.values()} == {str(workflow)}


async def test_a_read_whose_connection_is_ended_says_so_and_the_next_one_succeeds(engine: AsyncEngine) -> None:
    with pytest.raises(DatabaseUnavailableError, match="was lost"):
        await fetch(engine, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert [tuple(row) for row in await fetch(engine, "SELECT $1::int", 7)] == [(7,)]
    assert engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]


async def test_a_read_that_is_refused_or_given_up_leaves_no_connection_behind(engine: AsyncEngine) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await fetch(engine, "SELECT * FROM nothing_of_this_name")
    asking = asyncio.create_task(fetch(engine, "SELECT pg_sleep(30)"))
    query = text("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(30)' AND state = 'active'")

    async def begun() -> bool:
        async with autocommit(engine) as connection:
            return await connection.scalar(query) == 1

    await eventually(begun, "the statement to be under way", seconds=8)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert engine.sync_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    async with transaction(engine) as connection:
        assert await connection.scalar(select(runs.c.id)) is None

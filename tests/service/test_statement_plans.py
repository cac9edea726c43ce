"""What is written of runs is found by their ids: no plan looks through all runs that wait or are under way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.at_once import AtOnce
from service.executor.kinds.noop import NoopAgent
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.platform.database import transaction
from tests.service.executor_support import add_run, add_workflow, message, step, whole_message

pytestmark = pytest.mark.ring("service")

_BY_STATUS = "ix_runs_unfinished"
GIVEN, WAITING = 100, 2000

_AS_IF_NOT_ENDED = (
    "UPDATE runs SET status = 'queued', lease_token = 0, attempt = 0, output = NULL, started_at = NULL,"
    " finished_at = NULL WHERE id = ANY(:ids)",
    "DELETE FROM run_steps",
    "DELETE FROM inbox",
    "INSERT INTO runs (id, workflow_id, workflow_version, status, input, correlation_id, requested_by)"
    " SELECT gen_random_uuid(), :workflow_id, 1, 'queued', '{}', 'test', 'test' FROM generate_series(1, :waiting)",
)


@contextmanager
def _caught(engine: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """The statements that change runs of given ids, with what they were given."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_others: Any) -> None:
        if "held AS" in statement or "received AS" in statement:
            found.append((statement, values))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def _indexes(engine: AsyncEngine, statement: str, values: Any) -> set[str]:
    """Those by which a plan of the statement looks for runs, which is made where hardly any run is unfinished."""
    async with transaction(engine) as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await driver.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *values)
    names = (node.get("Index Name", "") for node in _nodes(plan))
    return {name for name in names if name.endswith(("_runs", _BY_STATUS))}


def _nodes(plan: Any) -> Iterator[Any]:
    left = [each["Plan"] for each in plan]
    while left:
        yield (node := left.pop())
        left += node.get("Plans", [])


async def _many_that_ended(engine: AsyncEngine, workflow_id: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(
            text(
                "INSERT INTO runs"
                " (id, workflow_id, workflow_version, status, correlation_id, requested_by, finished_at)"
                " SELECT gen_random_uuid(), :id, 1, 'completed', 'test', 'test', now() FROM generate_series(1, 3000)"
            ),
            {"id": workflow_id},
        )
        await connection.execute(text("ANALYZE runs"))


async def test_runs_that_are_ended_from_their_messages_are_found_by_their_ids(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    await _many_that_ended(engine, workflow_id)
    run_id = await add_run(engine, workflow_id)
    at_once = AtOnce(RunRepository(engine, owner="one", lease_seconds=30, audit=True), {"noop": NoopAgent()})
    with _caught(engine) as statements:
        request = ExecutionRequest.model_validate(whole_message(run_id, workflow_id))
        computed = await at_once.compute([request])
        assert await at_once.end([each for each in computed if each is not None]) == {run_id}
    assert [await _indexes(engine, *each) for each in statements] == [{"pk_runs"}]


async def test_to_end_some_of_many_runs_that_wait_compares_no_run_with_all_others(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    await _many_that_ended(engine, workflow_id)
    run_ids = [await add_run(engine, workflow_id) for _ in range(GIVEN)]
    at_once = AtOnce(RunRepository(engine, owner="one", lease_seconds=30, audit=True), {"noop": NoopAgent()})
    requests = [ExecutionRequest.model_validate(whole_message(run_id, workflow_id)) for run_id in run_ids]
    with _caught(engine) as statements:
        computed = await at_once.compute(requests)
        assert len(await at_once.end([each for each in computed if each is not None])) == GIVEN
    ((statement, values),) = statements
    async with transaction(engine) as connection:
        values_again = {"ids": run_ids, "workflow_id": workflow_id, "waiting": WAITING}
        for again in _AS_IF_NOT_ENDED:
            await connection.execute(text(again), values_again)
    async with transaction(engine) as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await connection.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))
        plan = await driver.fetchval(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", *values)
        await connection.rollback()
    assert plan[0]["Plan"]["Actual Rows"] == GIVEN
    compared = sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Join Filter", 0))
        for node in _nodes(plan)
    )
    assert compared < 50 * (GIVEN + WAITING)


async def test_runs_that_are_claimed_journalled_and_finished_are_found_by_their_ids(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    await _many_that_ended(engine, workflow_id)
    run_id = await add_run(engine, workflow_id)
    repository = RunRepository(engine, owner="one", lease_seconds=30, audit=True)
    with _caught(engine) as statements:
        (claimed,) = await repository.claim_received([ExecutionRequest.model_validate(message(run_id))])
        await repository.journal(claimed, [])
        await repository.finish(claimed, "completed", [])
    assert len(statements) == 3
    for each in statements:
        assert await _indexes(engine, *each) == {"pk_runs"}, each[0]

"""A child's end also changes its parent, while heartbeats and journals lock several runs in the order of their ids."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.platform.database import transaction
from tests.service.executor_support import add_run, add_workflow, message, read_run, step
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")

_HOLD = text("SELECT FROM runs WHERE id = :id FOR NO KEY UPDATE NOWAIT")
_WAITERS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def _end(repository: RunRepository, run_id: UUID) -> None:
    [claimed] = await repository.claim_received([ExecutionRequest.model_validate(message(run_id))])
    await repository.finish(claimed, "completed", [], output={})


async def _somebody_waits(engine: AsyncEngine) -> bool:
    async with transaction(engine) as connection:
        return bool(await connection.scalar(_WAITERS))


async def test_a_child_that_ends_locks_no_run_before_one_with_a_smaller_id(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    # Ids grow with time, so the parent's is the smaller one.
    parent = await add_run(engine, workflow_id, status="running", lease_token=1)
    child = await add_run(engine, workflow_id, parent_run_id=parent, parent_step_id="a")
    repository = RunRepository(engine, owner="one", lease_seconds=30, audit=True)
    async with transaction(engine) as heartbeat:
        await heartbeat.execute(_HOLD, {"id": parent})
        ending = asyncio.ensure_future(_end(repository, child))
        await eventually(lambda: _somebody_waits(engine), "the child's end to wait for the parent")
        # What the heartbeat does next; it would wait for who waits for it.
        await heartbeat.execute(_HOLD, {"id": child})
    await ending
    assert ((await read_run(engine, child)).status, (await read_run(engine, parent)).signals) == ("completed", 1)

"""Runs that do not stop though they were asked to: ended by another executor, or by their own without their agents."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import work
from service.executor.active import ActiveRun, Interruption
from service.executor.claims import ClaimedRun, LeaseLostError
from service.executor.kinds.base import StepContext
from service.executor.kinds.delay import DelayAgent
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.executor.runner import Runner
from service.platform.database import transaction
from service.platform.tables import audit_log, run_steps, runs
from tests.service.executor_support import add_run, add_workflow, message, read_run, read_steps, step

pytestmark = pytest.mark.ring("service")

DEADLINE = 60


def repository(engine: AsyncEngine, owner: str = "one") -> RunRepository:
    return RunRepository(engine, owner=owner, lease_seconds=30, audit=True)


def ago(seconds: float) -> Any:
    return func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)


async def change(engine: AsyncEngine, run_id: UUID, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


async def claim(engine: AsyncEngine, run_id: UUID) -> ClaimedRun:
    asked = ExecutionRequest.model_validate(message(run_id))
    [claimed] = await repository(engine).claim_received([asked])
    return claimed


async def force(engine: AsyncEngine) -> list[UUID]:
    return [run.id for run in await repository(engine, "two").force_cancellations(10, after_seconds=DEADLINE)]


@pytest.fixture
async def held_run(engine: AsyncEngine) -> ClaimedRun:
    """A run whose executor says that it lives, and does nothing else."""
    claimed = await claim(engine, await add_run(engine, await add_workflow(engine, step("a"))))
    async with transaction(engine) as connection:
        await connection.execute(
            run_steps.insert().values(run_id=claimed.id, step_id="a", status="running", attempt=1, lease_token=1)
        )
    return claimed


async def test_a_run_that_does_not_stop_is_ended_after_the_deadline(engine: AsyncEngine, held_run: ClaimedRun) -> None:
    await change(engine, held_run.id, cancel_requested_at=ago(DEADLINE + 1))
    assert await force(engine) == [held_run.id]
    row = await read_run(engine, held_run.id)
    assert (row.status, row.error["code"], row.lease_owner) == ("cancelled", "cancel-forced", None)
    assert row.finished_at is not None
    assert (await read_steps(engine, held_run.id))["a"].status == "cancelled"
    async with transaction(engine) as connection:
        entry = (await connection.execute(select(audit_log).order_by(audit_log.c.id.desc()).limit(1))).one()
    assert (entry.actor, entry.action, entry.detail["error"]) == ("executor:two", "run.cancelled", "cancel-forced")
    assert await force(engine) == []


async def test_the_holder_of_a_run_that_was_ended_can_write_nothing_more(
    engine: AsyncEngine, held_run: ClaimedRun
) -> None:
    await change(engine, held_run.id, cancel_requested_at=ago(DEADLINE + 1))
    await force(engine)
    before = await read_run(engine, held_run.id)
    with pytest.raises(LeaseLostError):
        await repository(engine).journal(held_run, [])
    with pytest.raises(LeaseLostError):
        await repository(engine).finish(held_run, "completed", [], output={"a": 1})
    assert await repository(engine).renew([held_run]) == {}
    assert not await repository(engine).park(held_run, "paused", [])
    assert await read_run(engine, held_run.id) == before
    assert before.lease_token > held_run.token


async def test_an_executor_has_until_the_deadline_to_stop_its_run(engine: AsyncEngine, held_run: ClaimedRun) -> None:
    await change(engine, held_run.id, cancel_requested_at=ago(DEADLINE - 10))
    assert await force(engine) == []
    assert (await read_run(engine, held_run.id)).status == "running"


@pytest.mark.parametrize("status", ["queued", "paused", "waiting"])
async def test_a_run_that_no_executor_holds_is_ended_as_soon_as_it_is_seen(engine: AsyncEngine, status: str) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    run_id = await add_run(engine, workflow_id, status=status, cancel_requested_at=func.now())
    await add_run(engine, workflow_id, status=status)
    assert await force(engine) == [run_id]
    row = await read_run(engine, run_id)
    assert (row.status, row.error) == ("cancelled", None)


async def test_a_run_that_has_failed_already_keeps_its_error(engine: AsyncEngine, held_run: ClaimedRun) -> None:
    error = {"code": "step-failed"}
    await change(engine, held_run.id, cancel_requested_at=ago(DEADLINE + 1), error=error)
    await force(engine)
    row = await read_run(engine, held_run.id)
    assert (row.status, row.error) == ("failed", error)


class Stubborn(DelayAgent):
    """An agent that does not heed that it is interrupted."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.released = asyncio.Event()

    async def run(self, settings: Any, step_input: dict[str, Any], context: StepContext) -> Any:
        """Ends when it is let."""
        self.begun.set()
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue


async def test_an_agent_that_ignores_a_cancellation_does_not_hold_its_run(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_CANCEL_SECONDS", 0.2)
    agent = Stubborn()
    run_id = await add_run(engine, await add_workflow(engine, step("a", "delay", seconds=1)))
    active = ActiveRun(await claim(engine, run_id))
    executing = asyncio.create_task(Runner(repository(engine), {"delay": agent}).execute(active))
    try:
        async with asyncio.timeout(30):
            await agent.begun.wait()
            active.interrupt(Interruption.CANCELLED)
            await executing
        row = await read_run(engine, run_id)
        assert (row.status, row.error) == ("cancelled", None)
    finally:
        agent.released.set()

"""The executor's statements against a real database: who may claim, who may write."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.claims import ClaimedRun, LeaseLostError, Marks
from service.executor.definition import parse_definition
from service.executor.messages import ExecutionRequest
from service.executor.progress import COMPLETED, Progress, StepState
from service.executor.repository import RunRepository
from service.platform.database import transaction
from service.platform.tables import audit_log, inbox, runs
from tests.service.executor_support import add_run, add_workflow, message, read_run, read_steps, step

pytestmark = pytest.mark.ring("service")


def repository(engine: AsyncEngine, owner: str = "one") -> RunRepository:
    return RunRepository(engine, owner=owner, lease_seconds=30, audit=True)


def request(run_id: UUID, message_id: str = "m1") -> ExecutionRequest:
    return ExecutionRequest.model_validate(message(run_id, message_id))


async def change(engine: AsyncEngine, run_id: UUID, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


async def let_lease_expire(engine: AsyncEngine, run_id: UUID) -> None:
    await change(engine, run_id, lease_expires_at=func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 1))


def completed_step(output: Any) -> list[StepState]:
    state = Progress(parse_definition({"steps": [step("a")]}), {}).states["a"]
    state.status, state.output = COMPLETED, output
    return [state]


@pytest.fixture
async def run_id(engine: AsyncEngine) -> UUID:
    """A queued run of one step."""
    return await add_run(engine, await add_workflow(engine, step("a")), {"x": 1})


async def claim(engine: AsyncEngine, run_id: UUID, owner: str = "one", message_id: str = "m1") -> list[ClaimedRun]:
    return await repository(engine, owner).claim_received([request(run_id, message_id)])


async def test_a_claim_gives_the_definition_and_marks_the_run_with_owner_and_lease(
    engine: AsyncEngine, run_id: UUID
) -> None:
    (claimed,) = await claim(engine, run_id)
    assert list((await repository(engine).definition(claimed)).steps) == ["a"]
    assert claimed.input == {"x": 1}
    row = await read_run(engine, run_id)
    assert (row.status, row.lease_owner, row.lease_token, row.attempt) == ("running", "one", 1, 1)
    assert 25 < (row.lease_expires_at - row.started_at).total_seconds() <= 30


async def test_the_same_message_claims_only_once(engine: AsyncEngine, run_id: UUID) -> None:
    assert len(await claim(engine, run_id)) == 1
    assert await claim(engine, run_id, owner="two") == []
    async with transaction(engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(inbox))).scalar_one() == 1


async def test_a_second_message_for_a_claimed_run_claims_nothing(engine: AsyncEngine, run_id: UUID) -> None:
    await claim(engine, run_id)
    assert await claim(engine, run_id, message_id="m2") == []


async def test_of_many_executors_one_gets_the_run(engine: AsyncEngine, run_id: UUID) -> None:
    claims = await asyncio.gather(*(claim(engine, run_id, f"e{n}", f"m{n}") for n in range(8)))
    assert sum(map(len, claims)) == 1


async def test_a_batch_with_the_same_message_twice_and_an_unknown_run_claims_what_it_can(
    engine: AsyncEngine, run_id: UUID
) -> None:
    stranger = request(UUID(int=7), "m9")
    claimed = await repository(engine).claim_received([request(run_id), request(run_id), stranger])
    assert [one.id for one in claimed] == [run_id]


async def test_a_fenced_off_executor_cannot_journal_finish_or_renew(engine: AsyncEngine, run_id: UUID) -> None:
    (old,) = await claim(engine, run_id)
    await let_lease_expire(engine, run_id)
    (new,) = await repository(engine, "two").claim_expired(10)
    await repository(engine, "two").journal(new, completed_step("from two"))

    with pytest.raises(LeaseLostError):
        await repository(engine).journal(old, completed_step("from one"))
    with pytest.raises(LeaseLostError):
        await repository(engine).finish(old, "failed", completed_step("from one"), error={"code": "x"})
    assert await repository(engine).renew([old]) == {}
    await repository(engine).release(old)

    row = await read_run(engine, run_id)
    assert (row.status, row.lease_owner, row.lease_token, row.error) == ("running", "two", 2, None)
    assert (await read_steps(engine, run_id))["a"].output == "from two"


async def test_a_completed_step_is_never_overwritten(engine: AsyncEngine, run_id: UUID) -> None:
    (claimed,) = await claim(engine, run_id)
    await repository(engine).journal(claimed, completed_step("first"))
    await repository(engine).journal(claimed, completed_step("second"))
    assert (await read_steps(engine, run_id))["a"].output == "first"


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_final_state_never_changes(engine: AsyncEngine, run_id: UUID, status: str) -> None:
    (claimed,) = await claim(engine, run_id)
    await repository(engine).finish(claimed, status, [])
    before = await read_run(engine, run_id)
    for other in {"completed", "failed", "cancelled"} - {status}:
        with pytest.raises(LeaseLostError):
            await repository(engine).finish(claimed, other, [])
    assert await repository(engine).claim_expired(10) == []
    assert await claim(engine, run_id, message_id="m2") == []
    assert await read_run(engine, run_id) == before


async def test_a_repeated_finish_whose_first_answer_was_lost_succeeds_without_a_second_record(
    engine: AsyncEngine, run_id: UUID
) -> None:
    (claimed,) = await claim(engine, run_id)
    first = await repository(engine).finish(claimed, "completed", [], output={"a": 1})
    assert await repository(engine).finish(claimed, "completed", [], output={"a": 1}) == first
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(audit_log).where(audit_log.c.subject_id == str(run_id)))).all()
    assert [(row.actor, row.action, row.correlation_id) for row in rows] == [
        ("executor:one", "run.completed", "req-test")
    ]


async def test_a_run_with_a_living_lease_is_not_taken_over(engine: AsyncEngine, run_id: UUID) -> None:
    (claimed,) = await claim(engine, run_id)
    assert await repository(engine, "two").claim_expired(10) == []
    assert await repository(engine).renew([claimed]) == {run_id: Marks()}


async def test_a_queued_run_without_a_message_is_found_after_its_grace(engine: AsyncEngine, run_id: UUID) -> None:
    assert await repository(engine).claim_forgotten(10, older_than_seconds=60) == []
    (claimed,) = await repository(engine).claim_forgotten(10, older_than_seconds=0)
    assert claimed.id == run_id


async def test_a_released_run_can_be_claimed_at_once_and_does_not_count_as_an_attempt(
    engine: AsyncEngine, run_id: UUID
) -> None:
    (claimed,) = await claim(engine, run_id)
    await repository(engine).release(claimed)
    (again,) = await repository(engine, "two").claim_expired(10)
    assert (again.attempt, again.token) == (1, 2)


async def test_a_cancel_mark_is_seen_by_the_journal_and_by_the_heartbeat(engine: AsyncEngine, run_id: UUID) -> None:
    (claimed,) = await claim(engine, run_id)
    assert await repository(engine).journal(claimed, []) == Marks()
    await change(engine, run_id, cancel_requested_at=func.now())
    assert await repository(engine).journal(claimed, []) == Marks(cancel=True)
    assert await repository(engine).renew([claimed]) == {run_id: Marks(cancel=True)}


async def test_only_a_queued_and_marked_run_is_cancelled_without_a_claim(engine: AsyncEngine, run_id: UUID) -> None:
    assert await repository(engine).cancel_queued(run_id) is False
    await change(engine, run_id, cancel_requested_at=func.now())
    assert await repository(engine).cancel_queued(run_id) is True
    assert await repository(engine).cancel_queued(run_id) is False
    row = await read_run(engine, run_id)
    assert (row.status, row.started_at) == ("cancelled", None)
    assert row.finished_at is not None


async def test_old_messages_are_forgotten_and_young_ones_kept(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        await connection.execute(inbox.insert().values(message_id="young"))
        old = func.now() - func.make_interval(0, 0, 0, 15)
        await connection.execute(inbox.insert().values(message_id="old", received_at=old))
    await repository(engine).forget_messages(older_than_days=14, most=10)
    async with transaction(engine) as connection:
        assert (await connection.execute(select(inbox.c.message_id))).scalars().all() == ["young"]

"""Limits of a workflow at the executor's statements: how many of its runs go on at a time, and begin in a time."""

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.claims import ClaimedRun
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import runs, workflow_limits
from tests.service.executor_support import (
    Answer,
    Call,
    add_run,
    add_workflow,
    executing,
    finished,
    json_answer,
    message,
    read_run,
    relaying,
    step,
    submit,
    web_server,
)
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")


def repository(engine: AsyncEngine, owner: str = "one") -> RunRepository:
    return RunRepository(engine, owner=owner, lease_seconds=30, audit=True)


async def limit(engine: AsyncEngine, workflow_id: UUID, **limits: Any) -> None:
    """Set the limits as the API does: the row stays, and its revision moves on."""
    whole = {"max_running": None, "max_starts": None, "per_seconds": None} | limits
    async with transaction(engine) as connection:
        changed = await connection.execute(
            update(workflow_limits)
            .where(workflow_limits.c.workflow_id == workflow_id)
            .values(revision=workflow_limits.c.revision + 1, **whole)
        )
        if not changed.rowcount:
            await connection.execute(workflow_limits.insert().values(workflow_id=workflow_id, **whole))


async def limited(engine: AsyncEngine, **limits: Any) -> UUID:
    workflow_id = await add_workflow(engine, step("a"))
    await limit(engine, workflow_id, **limits)
    return workflow_id


async def receive(engine: AsyncEngine, *run_ids: UUID) -> list[ClaimedRun]:
    requests = [ExecutionRequest.model_validate(message(run_id)) for run_id in run_ids]
    return await repository(engine).claim_received(requests)


async def held(engine: AsyncEngine, workflow_id: UUID, number: int) -> list[UUID]:
    """So many runs whose messages have come."""
    run_ids = [await add_run(engine, workflow_id) for _ in range(number)]
    assert await receive(engine, *run_ids) == []
    return run_ids


async def claim(engine: AsyncEngine, workflow_id: UUID, most: int = 100) -> list[ClaimedRun]:
    claimed = await repository(engine).claim_held(workflow_id, most)
    assert claimed is not None
    return claimed


async def change(engine: AsyncEngine, run_id: UUID, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


def ago(seconds: float) -> Any:
    return func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)


async def number_running(engine: AsyncEngine, workflow_id: UUID) -> int:
    query = select(func.count()).where(runs.c.workflow_id == workflow_id, runs.c.status == "running")
    async with transaction(engine) as connection:
        return int(await connection.scalar(query) or 0)


async def test_the_message_of_a_run_under_limits_claims_nothing_and_is_remembered(engine: AsyncEngine) -> None:
    run_id = await add_run(engine, await limited(engine, max_running=1))
    one = repository(engine)
    assert await one.claim_received([ExecutionRequest.model_validate(message(run_id))]) == []
    row = await read_run(engine, run_id)
    assert (row.status, row.held_at is not None, row.lease_token, one.held_back) == ("queued", True, 0, 1)


async def test_no_more_runs_are_claimed_than_may_go_on_at_a_time(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=2)
    run_ids = await held(engine, workflow_id, 3)
    first = await claim(engine, workflow_id)
    assert [each.id for each in first] == run_ids[:2]
    assert await claim(engine, workflow_id) == []
    await repository(engine).finish(first[0], "completed", [])
    assert [each.id for each in await claim(engine, workflow_id)] == run_ids[2:]


async def test_many_executors_at_the_same_time_keep_the_limit(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=3)
    await held(engine, workflow_id, 40)
    repositories = [repository(engine, f"e{number}") for number in range(8)]
    for _ in range(5):
        claims = await asyncio.gather(*(each.claim_held(workflow_id, 2) for each in repositories))
        assert await number_running(engine, workflow_id) <= 3
        for found in claims:
            for one in found or []:
                await repository(engine).finish(one, "completed", [])


async def test_a_claim_that_another_one_overtook_says_so_and_claims_nothing(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=1)
    await held(engine, workflow_id, 2)
    async with transaction(engine) as connection:
        await connection.execute(
            update(workflow_limits)
            .where(workflow_limits.c.workflow_id == workflow_id)
            .values(revision=workflow_limits.c.revision + 1)
        )
        late = asyncio.create_task(repository(engine).claim_held(workflow_id, 1))
        await eventually(lambda: _somebody_waits(engine), "the claim to wait for the other one")
    assert await late is None
    assert await number_running(engine, workflow_id) == 0
    assert len(await claim(engine, workflow_id)) == 1


async def _somebody_waits(engine: AsyncEngine) -> bool:
    async with transaction(engine) as connection:
        return bool(await connection.scalar(text("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")))


async def test_no_more_runs_begin_in_a_time_than_the_limit_says(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_starts=2, per_seconds=60)
    await held(engine, workflow_id, 5)
    first = await claim(engine, workflow_id)
    for one in first:
        await repository(engine).finish(one, "completed", [])
    assert (len(first), await claim(engine, workflow_id)) == (2, [])

    await change(engine, first[0].id, started_at=ago(61))
    assert len(await claim(engine, workflow_id)) == 1


async def test_a_run_that_had_begun_before_is_no_new_start(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_starts=1, per_seconds=60)
    fresh, begun = await held(engine, workflow_id, 2)
    await change(engine, begun, started_at=ago(100))
    assert [each.id for each in await claim(engine, workflow_id)] == [begun, fresh]


async def test_a_limit_that_is_lowered_lets_nothing_in_until_enough_has_ended(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=3)
    await held(engine, workflow_id, 4)
    under_way = await claim(engine, workflow_id)
    await limit(engine, workflow_id, max_running=1)
    for one in under_way:
        assert await claim(engine, workflow_id) == []
        await repository(engine).finish(one, "completed", [])
    assert len(await claim(engine, workflow_id)) == 1


async def test_a_limit_that_is_taken_away_lets_in_all_that_it_held(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=1)
    run_ids = await held(engine, workflow_id, 5)
    assert len(await claim(engine, workflow_id)) == 1
    await limit(engine, workflow_id)
    assert await repository(engine).held_workflows() == {workflow_id: True}
    assert [each.id for each in await claim(engine, workflow_id)] == run_ids[1:]
    assert await repository(engine).held_workflows() == {}


async def test_without_limits_a_message_claims_its_run_at_once(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine)
    run_id = await add_run(engine, workflow_id)
    assert [each.id for each in await receive(engine, run_id)] == [run_id]


async def test_runs_that_began_before_the_limit_have_places_too(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    await receive(engine, await add_run(engine, workflow_id))
    await limit(engine, workflow_id, max_running=1)
    await held(engine, workflow_id, 1)
    assert await claim(engine, workflow_id) == []
    assert await repository(engine).held_workflows() == {workflow_id: False}


async def test_the_place_of_a_dead_executor_goes_with_its_run_to_whoever_takes_it_over(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=1)
    await held(engine, workflow_id, 2)
    (dead,) = await claim(engine, workflow_id)
    await change(engine, dead.id, lease_expires_at=ago(1))
    assert await claim(engine, workflow_id) == []
    (taken,) = await repository(engine, "two").claim_expired(10)
    assert taken.id == dead.id
    await repository(engine, "two").finish(taken, "completed", [])
    assert len(await claim(engine, workflow_id)) == 1


async def test_a_run_that_waits_gives_its_place_away_and_needs_one_to_go_on(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=1)
    first, second = await held(engine, workflow_id, 2)
    (waiting,) = await claim(engine, workflow_id)
    assert await repository(engine).park(waiting, "waiting", [], wake=-1)
    (other,) = await claim(engine, workflow_id)
    assert (waiting.id, other.id) == (first, second)

    assert await repository(engine).claim_woken(10) == []
    assert (await read_run(engine, first)).status == "queued"
    assert await claim(engine, workflow_id) == []
    await repository(engine).finish(other, "completed", [])
    assert [each.id for each in await claim(engine, workflow_id)] == [first]


async def test_a_run_whose_message_is_lost_is_held_like_others(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=1)
    run_id = await add_run(engine, workflow_id)
    assert await repository(engine).claim_forgotten(10, older_than_seconds=-1) == []
    assert (await read_run(engine, run_id)).held_at is not None
    assert await repository(engine).claim_forgotten(10, older_than_seconds=-1) == []
    assert [each.id for each in await claim(engine, workflow_id)] == [run_id]


async def test_urgent_runs_are_claimed_without_their_messages_in_the_order_of_their_turns(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    await add_run(engine, workflow_id)
    younger = await add_run(engine, workflow_id, priority=1, turn_at=ago(60))
    higher = await add_run(engine, workflow_id, priority=9, turn_at=ago(540))
    assert [each.id for each in await repository(engine).claim_urgent(1)] == [higher]
    assert [each.id for each in await repository(engine).claim_urgent(9)] == [younger]


async def test_an_urgent_run_waits_for_the_limits_of_its_workflow_before_the_others(engine: AsyncEngine) -> None:
    workflow_id = await limited(engine, max_running=1)
    await held(engine, workflow_id, 1)
    urgent = await add_run(engine, workflow_id, priority=9, turn_at=ago(540))
    assert await repository(engine).claim_urgent(10) == []
    assert [each.id for each in await claim(engine, workflow_id)] == [urgent]


async def test_executors_let_in_all_runs_of_a_workflow_and_never_more_at_a_time_than_the_limit(
    engine: AsyncEngine, settings: Settings
) -> None:
    under_way, most, crowded = 0, 0, asyncio.Event()

    async def count(_: Call) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way > 2:
            crowded.set()
        # Long enough for another executor to come in where it may.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                await crowded.wait()
        under_way -= 1
        return json_answer({})

    async with web_server(count) as server:
        workflow_id = await add_workflow(engine, step("a", "http", url=server.url(), attempts=1))
        await limit(engine, workflow_id, max_running=2)
        own = settings.model_copy(update={"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)})
        async with relaying(own), executing(own, executor_id="one"), executing(own, executor_id="two"):
            run_ids = [await submit(engine, own, workflow_id) for _ in range(8)]
            rows = [await finished(engine, run_id) for run_id in run_ids]
    assert ([row.status for row in rows], most) == (["completed"] * 8, 2)

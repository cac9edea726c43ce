"""Steps that wait for a decision: asked for, decided by the API once, and gone on with."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.executor.active import ActiveRun
from service.executor.claims import ClaimedRun, Marks
from service.executor.kinds.registry import create_agents
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.executor.runner import Runner
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, outbox, run_steps, runs, signals
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
    submit,
)
from tests.service.servers import eventually
from tests.service.support import make_settings, running

pytestmark = pytest.mark.ring("service")


def ask(step_id: str = "ask", **given: Any) -> dict[str, Any]:
    return step(step_id, "approval", **({"prompt": "Ship it?"} | given))


def repository(engine: AsyncEngine, owner: str = "one") -> RunRepository:
    return RunRepository(engine, owner=owner, lease_seconds=30, audit=True)


async def decide(client: httpx.AsyncClient, run_id: Any, step_id: str = "ask", **body: Any) -> httpx.Response:
    return await client.post(f"/api/v1/runs/{run_id}/steps/{step_id}/signal", json={"outcome": "approve"} | body)


async def execute(engine: AsyncEngine, claimed: ClaimedRun) -> Any:
    """Work on the run as an executor does, until it ends or is let go of."""
    async with asyncio.timeout(60):
        await Runner(repository(engine), create_agents(make_settings("postgresql://u@h/d"))).execute(ActiveRun(claimed))
    return await read_run(engine, claimed.id)


async def claim(engine: AsyncEngine, run_id: UUID) -> ClaimedRun:
    [claimed] = await repository(engine).claim_received([ExecutionRequest.model_validate(message(run_id))])
    return claimed


async def change(engine: AsyncEngine, run_id: UUID, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


async def sent(engine: AsyncEngine, topic: str) -> list[Any]:
    async with transaction(engine) as connection:
        query = select(outbox.c.payload).where(outbox.c.topic == topic).order_by(outbox.c.id)
        return list((await connection.execute(query)).scalars())


@pytest.fixture
async def waiting_run(engine: AsyncEngine) -> UUID:
    """A run that was let go of because it waits for a decision."""
    run_id = await add_run(engine, await add_workflow(engine, ask(), step("after", needs=["ask"])))
    row = await execute(engine, await claim(engine, run_id))
    assert (row.status, row.lease_owner, row.attempt, row.wake_at) == ("waiting", None, 0, None)
    return run_id


async def test_a_run_waits_for_a_decision_in_no_executor(
    client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID
) -> None:
    for claimed in (
        repository(engine).claim_expired(10),
        repository(engine).claim_woken(10),
        repository(engine).claim_forgotten(10, older_than_seconds=0),
    ):
        assert await claimed == []
    shown = (await client.get(f"/api/v1/runs/{waiting_run}")).json()
    assert shown["status"] == "waiting"
    [asked, after] = shown["steps"]
    assert (asked["status"], after["status"]) == ("waiting", "pending")
    assert asked["waits"]["shown"] == {"prompt": "Ship it?", "input": {}}


async def test_an_approval_queues_the_run_again_which_goes_on_with_the_decision(
    client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID, api_settings: Settings
) -> None:
    answer = await decide(client, waiting_run, comment="Looks right.", data={"limit": 5})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    [payload] = await sent(engine, api_settings.kafka_execution_topic)
    [claimed] = await repository(engine).claim_received([ExecutionRequest.model_validate(payload)])
    row = await execute(engine, claimed)
    assert (row.status, row.attempt) == ("completed", 1)
    output = (await read_steps(engine, waiting_run))["ask"].output
    async with transaction(engine) as connection:
        entry = (await connection.execute(select(audit_log).where(audit_log.c.action == "run.signal"))).one()
    assert output == {"approved": True, "by": entry.actor, "comment": "Looks right.", "data": {"limit": 5}}
    assert (entry.subject_id, entry.detail["step_id"]) == (str(waiting_run), "ask")


async def test_a_rejection_fails_the_step_and_with_it_the_run(
    client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID
) -> None:
    assert (await decide(client, waiting_run, outcome="reject", comment="Too dear.")).status_code == 202
    [claimed] = await repository(engine).claim_forgotten(10, older_than_seconds=-1)
    row = await execute(engine, claimed)
    assert (row.status, row.error["code"], row.error["step_id"]) == ("failed", "rejected", "ask")
    assert row.error["detail"].endswith("rejected it: Too dear.")


async def test_the_first_decision_counts(client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID) -> None:
    answers = await asyncio.gather(*(decide(client, waiting_run, outcome=each) for each in ("approve", "reject") * 2))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]
    refused = {answer.json()["type"].rpartition(":")[2] for answer in answers if answer.status_code == 409}
    assert refused == {"already-decided"}
    async with transaction(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(signals)) == 1
        assert await connection.scalar(select(func.count()).select_from(outbox)) == 1


async def test_what_does_not_wait_cannot_be_decided(
    client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID
) -> None:
    assert (await decide(client, waiting_run, "after")).status_code == 404
    assert (await decide(client, waiting_run, "unknown")).status_code == 404
    assert (await decide(client, waiting_run, outcome="maybe")).status_code == 422
    await decide(client, waiting_run)
    [claimed] = await repository(engine).claim_forgotten(10, older_than_seconds=-1)
    await execute(engine, claimed)
    answer = await decide(client, waiting_run)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "run-finished")


async def test_a_decision_that_comes_while_the_run_is_being_let_go_of_is_not_lost(
    client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID, api_settings: Settings
) -> None:
    await change(engine, waiting_run, status="queued")
    claimed = await claim(engine, waiting_run)
    assert (await decide(client, waiting_run)).json()["status"] == "running"
    [told] = await sent(engine, api_settings.kafka_cancellation_topic)
    assert (told["kind"], told["signals"]) == ("signal", 1)
    assert not await repository(engine).park(claimed, "waiting", [], signals=0), "it knows of no decision"
    assert await repository(engine).journal(claimed, []) == Marks(signals=1)
    assert await repository(engine).renew([claimed]) == {waiting_run: Marks(signals=1)}
    row = await execute(engine, claimed)
    assert (row.status, row.lease_owner) == ("running", None), "given back, for whoever claims it to read the decision"
    [again] = await repository(engine).claim_expired(10)
    assert (await execute(engine, again)).status == "completed"


async def test_a_paused_run_goes_on_with_a_decision_only_when_it_is_resumed(
    client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID
) -> None:
    assert (await client.post(f"/api/v1/runs/{waiting_run}/pause")).json()["status"] == "paused"
    assert (await decide(client, waiting_run)).json()["status"] == "paused"
    assert await repository(engine).claim_forgotten(10, older_than_seconds=-1) == []
    await client.post(f"/api/v1/runs/{waiting_run}/resume")
    [claimed] = await repository(engine).claim_forgotten(10, older_than_seconds=-1)
    assert (await execute(engine, claimed)).status == "completed"


async def test_a_waiting_run_is_woken_when_its_step_has_waited_long_enough(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, ask(timeout_seconds=3600, on_timeout="continue"))
    run_id = await add_run(engine, workflow_id)
    row = await execute(engine, await claim(engine, run_id))
    assert row.status == "waiting"
    assert await repository(engine).claim_woken(10) == []
    await change(engine, run_id, wake_at=func.now())
    async with transaction(engine) as connection:
        ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 3601)
        await connection.execute(update(run_steps).values(started_at=ago))
    [claimed] = await repository(engine).claim_woken(10)
    row = await execute(engine, claimed)
    assert (row.status, row.attempt) == ("completed", 1)
    assert row.output["ask"] == {"approved": None, "by": None, "comment": None, "data": None}


async def test_a_run_that_waits_is_still_held_to_its_timeout(engine: AsyncEngine) -> None:
    run_id = await add_run(engine, await add_workflow(engine, ask(), timeout_seconds=600))
    row = await execute(engine, await claim(engine, run_id))
    assert row.status == "waiting"
    assert 550 < (row.wake_at - row.started_at).total_seconds() < 650
    ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 601)
    await change(engine, run_id, wake_at=func.now(), started_at=ago)
    [claimed] = await repository(engine).claim_woken(10)
    row = await execute(engine, claimed)
    assert (row.status, row.error["code"]) == ("failed", "run-timeout")


async def test_a_waiting_run_that_is_cancelled_ends_without_being_claimed(
    client: httpx.AsyncClient, engine: AsyncEngine, waiting_run: UUID
) -> None:
    await client.post(f"/api/v1/runs/{waiting_run}/cancel")
    assert await repository(engine).cancel_queued(waiting_run)
    assert (await read_run(engine, waiting_run)).status == "cancelled"
    assert (await read_steps(engine, waiting_run))["ask"].status == "cancelled"


async def test_other_branches_go_on_while_a_step_waits_and_a_decision_meanwhile_is_heard(
    engine: AsyncEngine, settings: Settings, bearer: Any, api_settings: Settings
) -> None:
    workflow_id = await add_workflow(
        engine, ask(), step("after", needs=["ask"]), step("slow", "delay", seconds=6, timeout=30)
    )
    api = create_app(settings.model_copy(update={"jwt_secret": api_settings.jwt_secret}))
    async with (
        relaying(settings),
        executing(settings, executor_lease_seconds=3),
        running(api, **await bearer(Role.OPERATOR)) as client,
    ):
        run_id = await submit(engine, settings, workflow_id)
        await step_reached(engine, run_id, "ask", "waiting")
        assert (await read_run(engine, run_id)).status == "running"
        assert (await decide(client, run_id)).status_code == 202

        async def went_on() -> bool:
            return "after" in await read_steps(engine, run_id)

        await eventually(went_on, "the step after the decision")
        assert (await finished(engine, run_id)).status == "completed"

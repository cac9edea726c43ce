"""Accepting, following and cancelling runs against a real database."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.platform.database import connect, transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, outbox, runs
from tests.service.servers import eventually
from tests.service.support import running

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"


async def _execute(client: httpx.AsyncClient, workflow_id: str, **run_input: Any) -> httpx.Response:
    return await client.post(
        f"/api/v1/workflows/{workflow_id}/execute",
        json={"input": run_input},
        headers={"X-Correlation-ID": "req-abc123"},
    )


async def _count(engine: AsyncEngine, table: Any) -> int:
    async with transaction(engine) as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


@pytest.mark.item("api-publishes-execution-request")
async def test_an_accepted_run_has_its_row_and_exactly_one_message(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine, api_settings: Settings
) -> None:
    answer = await _execute(client, workflow_id, name="Ada")
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert accepted["status"] == "queued"
    assert answer.headers["Location"] == f"/api/v1/runs/{accepted['run_id']}"
    async with transaction(engine) as connection:
        run = (await connection.execute(select(runs))).one()
        message = (await connection.execute(select(outbox))).one()
        entry = (await connection.execute(select(audit_log).where(audit_log.c.action == "run.accept"))).one()
    assert (str(run.id), run.status, run.workflow_version) == (accepted["run_id"], "queued", 1)
    assert run.input == {"name": "Ada"}
    assert message.topic == api_settings.kafka_execution_topic
    assert message.key == accepted["run_id"]
    assert message.headers == {"correlation_id": "req-abc123"}
    assert set(message.payload) == {
        "message_id",
        "run_id",
        "workflow_id",
        "workflow_version",
        "correlation_id",
        "requested_by",
        "requested_at",
        "input",
    }
    assert message.payload["run_id"] == accepted["run_id"]
    assert (message.payload["workflow_id"], message.payload["workflow_version"]) == (workflow_id, 1)
    assert message.payload["correlation_id"] == run.correlation_id == "req-abc123"
    assert message.payload["requested_by"] == run.requested_by == entry.actor
    assert message.payload["requested_at"].endswith("Z")
    assert message.payload["input"] == {"name": "Ada"}
    assert entry.subject_id == accepted["run_id"]


@pytest.mark.parametrize("table", ["outbox", "audit_log"])
async def test_a_run_whose_message_or_audit_entry_cannot_be_written_is_not_accepted(
    table: str, client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    async with transaction(engine) as connection:
        await connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT refuse CHECK (false) NOT VALID"))
    answer = await _execute(client, workflow_id)
    assert answer.status_code == 409, "the constraint of this test refuses the row"
    assert await _count(engine, runs) == 0
    assert await _count(engine, outbox) == 0


async def test_a_workflow_that_does_not_exist_cannot_be_executed(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    answer = await _execute(client, ABSENT)
    assert answer.status_code == 404
    assert await _count(engine, outbox) == 0


async def test_many_runs_at_once_are_all_accepted_once(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    places = asyncio.Semaphore(8)

    async def execute(number: int) -> httpx.Response:
        async with places:
            return await _execute(client, workflow_id, number=number)

    answers = await asyncio.gather(*(execute(number) for number in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    async with transaction(engine) as connection:
        keys = set((await connection.execute(select(outbox.c.key))).scalars())
    assert keys == {answer.json()["run_id"] for answer in answers}
    assert await _count(engine, outbox) == await _count(engine, runs) == 100


async def test_without_audit_a_run_is_accepted_and_no_entry_is_written(
    api_settings: Settings, workflow_id: str, engine: AsyncEngine, bearer: Any
) -> None:
    before = await _count(engine, audit_log)
    quiet = create_app(api_settings.model_copy(update={"enable_audit_logging": False}))
    async with running(quiet, **await bearer(Role.OPERATOR)) as client:
        assert (await _execute(client, workflow_id)).status_code == 202
    assert await _count(engine, outbox) == 1
    assert await _count(engine, audit_log) == before


async def test_the_relay_is_woken_after_the_commit(
    client: httpx.AsyncClient, workflow_id: str, api_settings: Settings
) -> None:
    listener = await connect(api_settings, application="test")
    woken = asyncio.Event()

    def notice(*_args: object) -> None:
        woken.set()

    try:
        await listener.add_listener("outbox", notice)
        await _execute(client, workflow_id)
        await asyncio.wait_for(woken.wait(), 5)
        assert await listener.fetchval("SELECT count(*) FROM outbox") == 1
    finally:
        await listener.close()


async def test_a_run_shows_its_steps_also_those_not_begun(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    run_id = (await _execute(client, workflow_id)).json()["run_id"]
    async with transaction(engine) as connection:
        await connection.execute(
            text(
                "INSERT INTO run_steps (run_id, step_id, status, attempt, output)"
                " VALUES (:id, 'first', 'completed', 1, '3')"
            ),
            {"id": run_id},
        )
    run = (await client.get(f"/api/v1/runs/{run_id}")).json()
    assert [(step["id"], step["status"], step["output"]) for step in run["steps"]] == [
        ("first", "completed", 3),
        ("second", "pending", None),
    ]
    assert run["status"] == "queued"
    assert (await client.get(f"/api/v1/runs/{ABSENT}")).status_code == 404


async def test_a_run_keeps_the_version_that_it_was_accepted_with(client: httpx.AsyncClient, workflow_id: str) -> None:
    run_id = (await _execute(client, workflow_id)).json()["run_id"]
    steps = [{"id": "only", "agent": "nothing"}]
    await client.put(f"/api/v1/workflows/{workflow_id}", json={"name": "two steps", "steps": steps})
    run = (await client.get(f"/api/v1/runs/{run_id}")).json()
    assert run["workflow_version"] == 1
    assert [step["id"] for step in run["steps"]] == ["first", "second"]
    assert (await _execute(client, workflow_id)).json()["workflow_version"] == 2


async def test_a_cancelled_run_is_marked_and_the_executors_are_told_once(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine, api_settings: Settings
) -> None:
    run_id = (await _execute(client, workflow_id)).json()["run_id"]
    first = await client.post(f"/api/v1/runs/{run_id}/cancel")
    again = await client.post(f"/api/v1/runs/{run_id}/cancel")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    async with transaction(engine) as connection:
        query = select(outbox).where(outbox.c.topic == api_settings.kafka_cancellation_topic)
        message = (await connection.execute(query)).one()
        run = (await connection.execute(select(runs))).one()
    assert run.cancel_requested_at is not None
    assert message.key == run_id
    assert set(message.payload) == {"message_id", "run_id", "correlation_id", "requested_by", "requested_at"}
    assert (await client.post(f"/api/v1/runs/{ABSENT}/cancel")).status_code == 404


async def test_a_finished_run_cannot_be_cancelled(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    run_id = (await _execute(client, workflow_id)).json()["run_id"]
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE runs SET status = 'completed', finished_at = now()"))
    answer = await client.post(f"/api/v1/runs/{run_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":run-finished")
    assert await _count(engine, outbox) == 1


async def test_aborted_requests_lose_no_connection(client: httpx.AsyncClient, workflow_id: str, app: Any) -> None:
    pool = app.state.service.engine.sync_engine.pool
    for turns in range(0, 60, 6):
        tasks = [asyncio.create_task(_execute(client, workflow_id)) for _ in range(20)]
        # Each round lets the requests come further before they are aborted.
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def accepted_again() -> bool:
        return bool((await _execute(client, workflow_id)).status_code == 202)

    async def all_returned() -> bool:
        return bool(pool.checkedout() == 0)

    # Aborted requests end their connections; under load it takes a moment until the server has made new ones.
    await eventually(accepted_again, "a run to be accepted again", seconds=60)
    # The notice to the relay may be under way; nothing else may hold a connection.
    await eventually(all_returned, "all connections to be back in the pool")


async def test_a_database_error_inside_a_statement_tells_nothing_internal(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    async with transaction(engine) as connection:
        await connection.execute(text("ALTER TABLE run_steps RENAME COLUMN output TO renamed"))
    run_id = (await _execute(client, workflow_id)).json()["run_id"]
    answer = await client.get(f"/api/v1/runs/{run_id}")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    for internal in ("run_steps", "SELECT", "asyncpg", "Traceback"):
        assert internal not in answer.text


async def test_a_lost_connection_is_replaced_without_an_error(
    client: httpx.AsyncClient, workflow_id: str, api_settings: Settings
) -> None:
    await _execute(client, workflow_id)
    admin: asyncpg.Connection[Any] = await connect(api_settings, application="test")
    try:
        ours = "FROM pg_stat_activity WHERE application_name = 'workflow-api' AND datname = current_database()"
        assert await admin.fetch(f"SELECT pg_terminate_backend(pid, 5000) {ours}")
        assert await admin.fetchval(f"SELECT count(*) {ours}") == 0
    finally:
        await admin.close()
    assert (await _execute(client, workflow_id)).status_code == 202

"""What may get stuck is picked up, or at least shown."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.maintenance import metrics, progress
from service.platform.database import connect, transaction
from service.platform.settings import Settings
from tests.service.executor_support import add_message, add_run, add_workflow, message, read_run, step

pytestmark = pytest.mark.ring("service")


async def do(engine: AsyncEngine, sql: str, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(text(sql), values)


@pytest.fixture
async def run_id(engine: AsyncEngine) -> UUID:
    """A queued run of one step."""
    return await add_run(engine, await add_workflow(engine, step("a")))


def repository(engine: AsyncEngine) -> RunRepository:
    return RunRepository(engine, owner="one", lease_seconds=30, audit=True)


async def measured(settings: Settings) -> dict[str, float]:
    connection = await connect(settings, application="test")
    try:
        await progress.measure(connection)
    finally:
        await connection.close()
    shown = {status: metrics.WITHOUT_PROGRESS.labels(status)._value.get() for status in ("queued", "running")}
    return shown | {"outbox": metrics.OUTBOX_OLDEST._value.get()}


async def test_a_queued_run_whose_message_was_received_without_a_claim_is_found(
    engine: AsyncEngine, run_id: UUID
) -> None:
    await do(engine, "INSERT INTO inbox (message_id) VALUES ('m1')")
    await do(engine, "UPDATE runs SET created_at = now() - interval '1 minute'")
    request = ExecutionRequest.model_validate(message(run_id, "m1"))
    assert await repository(engine).claim_received([request]) == []
    claimed = await repository(engine).claim_forgotten(1, older_than_seconds=30)
    assert [run.id for run in claimed] == [run_id]


async def test_a_running_run_without_a_lease_is_found(engine: AsyncEngine, run_id: UUID) -> None:
    await do(engine, "UPDATE runs SET status = 'running', lease_expires_at = NULL")
    claimed = await repository(engine).claim_expired(1)
    assert [run.id for run in claimed] == [run_id]
    assert (await read_run(engine, run_id)).lease_expires_at is not None


async def test_a_queued_run_that_is_to_be_cancelled_is_found_without_any_message(
    engine: AsyncEngine, run_id: UUID
) -> None:
    await do(engine, "UPDATE runs SET created_at = now() - interval '1 minute', cancel_requested_at = now()")
    (claimed,) = await repository(engine).claim_forgotten(1, older_than_seconds=30)
    assert (claimed.id, claimed.cancel_requested) == (run_id, True)


async def test_where_nothing_waits_nothing_is_shown(api_settings: Settings) -> None:
    assert await measured(api_settings) == {"queued": 0, "running": 0, "outbox": 0}


async def test_the_oldest_queued_run_and_message_are_shown(
    engine: AsyncEngine, api_settings: Settings, run_id: UUID
) -> None:
    await add_message(engine, "t", {"run_id": str(run_id)})
    await do(engine, "UPDATE runs SET created_at = now() - interval '100 s'")
    await do(engine, "UPDATE outbox SET created_at = now() - interval '50 s'")
    shown = await measured(api_settings)
    assert (100 <= shown["queued"] < 130, shown["running"], 50 <= shown["outbox"] < 80) == (True, 0, True)


async def test_a_step_that_begins_or_ends_is_progress(
    engine: AsyncEngine, api_settings: Settings, run_id: UUID
) -> None:
    await do(engine, "UPDATE runs SET status = 'running', started_at = now() - interval '100 s'")
    assert 100 <= (await measured(api_settings))["running"] < 130
    await do(
        engine,
        "INSERT INTO run_steps (run_id, step_id, status, started_at) VALUES (:id, 'a', 'running', now() -"
        " interval '60 s')",
        id=run_id,
    )
    assert 60 <= (await measured(api_settings))["running"] < 90
    await do(engine, "UPDATE run_steps SET finished_at = now() - interval '20 s'")
    assert 20 <= (await measured(api_settings))["running"] < 50


async def test_old_messages_are_forgotten_a_part_at_a_time(engine: AsyncEngine) -> None:
    await do(
        engine,
        "INSERT INTO inbox (message_id, received_at) SELECT n::text, now() - interval '15 days'"
        " FROM generate_series(1, 5) AS n",
    )
    gone = [await repository(engine).forget_messages(older_than_days=14, most=2) for _ in range(4)]
    assert gone == [2, 2, 1, 0]

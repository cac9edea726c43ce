"""Old runs, audit entries and settled letters are forgotten; nothing else is, whoever asks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.maintenance import metrics, retention
from service.maintenance.retention import forget, limits
from service.platform.database import connect, transaction
from service.platform.settings import Settings
from service.platform.worker_loop import Pulse
from tests.service.executor_support import add_run, add_workflow, step

pytestmark = pytest.mark.ring("service")


async def ask(engine: AsyncEngine, sql: str, **values: Any) -> Any:
    async with transaction(engine) as connection:
        return await connection.scalar(text(sql), values)


async def do(engine: AsyncEngine, sql: str, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(text(sql), values)


async def run_of_age(engine: AsyncEngine, days: int, status: str = "completed") -> None:
    """A run with one step, accepted so long ago, and ended then if it has."""
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    await do(
        engine,
        "UPDATE runs SET status = :status, created_at = now() - make_interval(days => :days), finished_at ="
        " CASE WHEN :status IN ('queued', 'running') THEN NULL ELSE now() - make_interval(days => :days) END"
        " WHERE id = :id",
        status=status, days=days, id=run_id,
    )  # fmt: skip
    await do(engine, "INSERT INTO run_steps (run_id, step_id, status) VALUES (:id, 'a', 'completed')", id=run_id)


async def forgotten(settings: Settings, **changed: int) -> None:
    await forget(settings.model_copy(update=changed), asyncio.Event(), Pulse())


@pytest.fixture
async def connection(api_settings: Settings) -> AsyncIterator[Any]:
    """A plain connection."""
    found = await connect(api_settings, application="test")
    yield found
    await found.close()


async def test_runs_that_ended_long_ago_go_with_their_steps_and_all_others_stay(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    for days, status in ((91, "completed"), (91, "failed"), (91, "cancelled"), (89, "completed"), (200, "running")):
        await run_of_age(engine, days, status)
    await run_of_age(engine, 200, "queued")
    await forgotten(api_settings)
    assert await ask(engine, "SELECT array_agg(status ORDER BY status) FROM runs") == ["completed", "queued", "running"]
    assert await ask(engine, "SELECT count(*) FROM run_steps") == 3


async def test_a_run_that_took_long_is_kept_from_its_end_on(engine: AsyncEngine, api_settings: Settings) -> None:
    await run_of_age(engine, 200)
    await do(engine, "UPDATE runs SET finished_at = now()")
    await forgotten(api_settings)
    assert await ask(engine, "SELECT count(*) FROM runs") == 1


async def test_old_audit_entries_are_forgotten(engine: AsyncEngine, api_settings: Settings) -> None:
    for days in (366, 364):
        await do(
            engine,
            "INSERT INTO audit_log (at, actor, action, subject_type) VALUES"
            " (now() - make_interval(days => :days), 'a', 'b', 'c')",
            days=days,
        )
    await forgotten(api_settings)
    assert await ask(engine, "SELECT count(*) FROM audit_log") == 1


async def test_only_settled_letters_are_forgotten(engine: AsyncEngine, api_settings: Settings) -> None:
    for state in ("open", "requeued", "discarded"):
        await do(
            engine,
            "INSERT INTO dead_letters (id, source, place, topic, reason, detail, payload, payload_bytes, kept,"
            " first_seen_at, state, settled_at) VALUES (gen_random_uuid(), 'kafka', :state, 't', 'unreadable', 'd', '',"
            " 0, 'whole', now() - interval '200 days', :state,"
            " CASE WHEN :state = 'open' THEN NULL ELSE now() - interval '91 days' END)",
            state=state,
        )
    await forgotten(api_settings)
    assert await ask(engine, "SELECT array_agg(state) FROM dead_letters") == ["open"]


async def test_what_is_kept_for_ever_is_not_asked_for(engine: AsyncEngine, api_settings: Settings) -> None:
    await run_of_age(engine, 10_000)
    await forgotten(api_settings, retention_runs_days=0, retention_audit_days=0)
    assert await ask(engine, "SELECT count(*) FROM runs") == 1
    assert limits(api_settings.model_copy(update={"retention_runs_days": 0})) == {"forget_audit": 365}


async def test_more_than_a_batch_goes_in_several(
    engine: AsyncEngine, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await run_of_age(engine, 91)
    before = metrics.FORGOTTEN.labels("runs")._value.get()
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    await forgotten(api_settings)
    assert await ask(engine, "SELECT count(*) FROM runs") == 0
    assert metrics.FORGOTTEN.labels("runs")._value.get() == before + 5


async def test_a_run_that_somebody_holds_is_left_for_later_and_nobody_waits(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    await run_of_age(engine, 91)
    async with transaction(engine) as holder:
        await holder.execute(text("SELECT id FROM runs FOR UPDATE"))
        await forgotten(api_settings)
    assert await ask(engine, "SELECT count(*) FROM runs") == 1
    await forgotten(api_settings)
    assert await ask(engine, "SELECT count(*) FROM runs") == 0


async def test_while_one_process_forgets_another_does_nothing(
    engine: AsyncEngine, api_settings: Settings, connection: Any
) -> None:
    await run_of_age(engine, 91)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", retention._LOCK)
        await forgotten(api_settings)
    assert await ask(engine, "SELECT count(*) FROM runs") == 1


@pytest.mark.parametrize("function", ["forget_runs", "forget_dead_letters", "forget_audit"])
@pytest.mark.parametrize("days", [29, 0, -1, None])
async def test_the_database_refuses_to_forget_what_is_young(connection: Any, function: str, days: int | None) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="before 30 days"):
        await connection.fetchval(f"SELECT {function}($1, 10)", days)


async def test_the_scan_for_old_runs_follows_an_index(connection: Any) -> None:
    # An empty table is sorted as cheaply; what counts is that an index gives the order.
    await connection.execute("SET enable_seqscan = off; SET enable_sort = off")
    rows = await connection.fetch(
        "EXPLAIN SELECT id FROM runs WHERE created_at < now() - interval '90 days' AND finished_at < now() - interval"
        " '90 days' AND status IN ('completed', 'failed', 'cancelled') ORDER BY created_at, id LIMIT 500"
        " FOR UPDATE SKIP LOCKED"
    )
    plan = "\n".join(row[0] for row in rows)
    assert "ix_runs_created_at_id" in plan
    assert "Sort" not in plan

"""Firing against a real database: once, in one transaction, by any number of processes."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.platform.database import create_engine, transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, outbox, runs, schedules
from service.runs.insert import Outcome, RunRequest, insert_runs
from service.schedules import fire, metrics
from service.schedules.fire import BATCH_SCHEDULES, Firing
from service.schedules.loop import measure
from tests.service.executor_support import add_workflow, step
from tests.service.schedule_support import add_schedule, add_schedules, move_back, read_schedule, runs_of

pytestmark = pytest.mark.ring("service")

NOW, HOURS = timedelta(0), timedelta(hours=3, minutes=10)


async def count(engine: AsyncEngine, table: Any) -> int:
    async with transaction(engine) as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_a_due_schedule_begins_one_run_with_its_message_and_its_audit_entry(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    schedule_id = await add_schedule(engine, workflow_id, late=NOW, input={"name": "Ada"})
    planned = (await read_schedule(engine, schedule_id)).next_fire_at.astimezone(UTC)
    assert await Firing(engine, api_settings).once() is False
    (run,) = await runs_of(engine, schedule_id)
    mark = planned.strftime("%Y%m%dT%H%M%SZ")
    assert run.correlation_id == f"schedule-{schedule_id}-{mark}"
    assert run.input == {
        "name": "Ada",
        "schedule": {
            "id": str(schedule_id),
            "name": str(schedule_id),
            "planned_at": planned.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "planned_local": planned.isoformat(),
        },
    }
    assert (run.workflow_id, run.workflow_version, run.status) == (workflow_id, 1, "queued")
    async with transaction(engine) as connection:
        message = (await connection.execute(select(outbox))).one()
        entry = (await connection.execute(select(audit_log))).one()
    assert (message.topic, message.key) == (api_settings.kafka_execution_topic, str(run.id))
    assert message.headers == {"correlation_id": run.correlation_id}
    assert {key: message.payload[key] for key in ("run_id", "workflow_id", "requested_by", "input")} == {
        "run_id": str(run.id),
        "workflow_id": str(workflow_id),
        "requested_by": f"schedule:{schedule_id}",
        "input": run.input,
    }
    assert set(message.payload) == {
        "message_id", "run_id", "workflow_id", "workflow_version", "correlation_id", "requested_by", "requested_at",
        "input",
    }  # fmt: skip
    assert (entry.actor, entry.action, entry.subject_id) == (f"schedule:{schedule_id}", "run.accept", str(run.id))
    row = await read_schedule(engine, schedule_id)
    assert (row.last_planned_at, row.last_run_id) == (planned, run.id)
    assert row.next_fire_at == planned + timedelta(hours=1)
    assert row.last_skipped_at is None


async def test_what_is_not_due_or_paused_does_not_fire(engine: AsyncEngine, api_settings: Settings) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    await add_schedule(engine, workflow_id, late=-timedelta(minutes=2))
    await add_schedule(engine, workflow_id, late=NOW, next_fire_at=None)
    await Firing(engine, api_settings).once()
    assert await count(engine, runs) == 0


@pytest.mark.parametrize("table", ["outbox", "audit_log"])
async def test_without_its_message_or_its_audit_entry_no_run_begins_and_the_time_stays_due(
    table: str, engine: AsyncEngine, api_settings: Settings
) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    schedule_id = await add_schedule(engine, workflow_id, late=NOW)
    before = await read_schedule(engine, schedule_id)
    async with transaction(engine) as connection:
        await connection.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT refuse CHECK (false) NOT VALID"))
    await Firing(engine, api_settings).once()
    assert await count(engine, runs) == 0
    assert await read_schedule(engine, schedule_id) == before


async def test_without_audit_a_run_begins_and_no_entry_is_written(engine: AsyncEngine, api_settings: Settings) -> None:
    schedule_id = await add_schedule(engine, await add_workflow(engine, step("first")), late=NOW)
    await Firing(engine, api_settings.model_copy(update={"enable_audit_logging": False})).once()
    assert len(await runs_of(engine, schedule_id)) == 1
    assert await count(engine, audit_log) == 0


async def test_a_time_that_is_fired_again_begins_no_second_run(engine: AsyncEngine, api_settings: Settings) -> None:
    schedule_id = await add_schedule(engine, await add_workflow(engine, step("first")), late=NOW)
    planned = (await read_schedule(engine, schedule_id)).next_fire_at
    for _ in range(3):
        await move_back(engine, schedule_id, planned)
        await Firing(engine, api_settings).once()
    assert (await read_schedule(engine, schedule_id)).next_fire_at == planned + timedelta(hours=1)
    assert len(await runs_of(engine, schedule_id)) == await count(engine, outbox) == 1


@pytest.mark.parametrize(
    ("catch_up", "limit", "hours_ago", "skipped"),
    [("skip", 10, [], 4), ("latest", 10, [0], 3), ("all", 10, [3, 2, 1, 0], 0), ("all", 2, [1, 0], 2)],
)
async def test_after_an_outage_the_policy_decides_which_missed_times_begin_runs(
    engine: AsyncEngine, api_settings: Settings, catch_up: str, limit: int, hours_ago: Sequence[int], skipped: int
) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    schedule_id = await add_schedule(engine, workflow_id, late=HOURS, catch_up=catch_up, catch_up_limit=limit)
    first = (await read_schedule(engine, schedule_id)).next_fire_at
    before = metrics.SKIPPED.labels("missed")._value.get()
    await Firing(engine, api_settings).once()
    planned = [run.input["schedule"]["planned_at"] for run in await runs_of(engine, schedule_id)]
    times = [first + timedelta(hours=3 - each) for each in hours_ago]
    assert planned == [each.strftime("%Y-%m-%dT%H:%M:%SZ") for each in times]
    row = await read_schedule(engine, schedule_id)
    assert row.next_fire_at == first + timedelta(hours=4)
    assert row.last_planned_at == (times[-1] if times else None)
    assert row.last_skipped_at == (first + timedelta(hours=skipped - 1) if skipped else None)
    assert row.last_skip_reason == ("missed" if skipped else None)
    assert metrics.SKIPPED.labels("missed")._value.get() - before == skipped


async def test_a_schedule_without_overlap_waits_for_its_run_to_finish(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    schedule_id = await add_schedule(engine, workflow_id, late=timedelta(minutes=10), overlap="skip")
    other = await add_schedule(engine, workflow_id, late=timedelta(minutes=10), overlap="skip")
    firing = Firing(engine, api_settings)
    await firing.once()
    first = (await read_schedule(engine, schedule_id)).last_planned_at
    async with transaction(engine) as connection:
        await connection.execute(
            runs.update().where(runs.c.requested_by == f"schedule:{other}").values(status="completed")
        )
        await connection.execute(schedules.update().values(next_fire_at=first + timedelta(minutes=5)))
    await firing.once()
    blocked = await read_schedule(engine, schedule_id)
    assert len(await runs_of(engine, schedule_id)) == 1
    assert (blocked.last_skip_reason, blocked.last_planned_at) == ("overlap", first)
    assert len(await runs_of(engine, other)) == 2, "that one's first run is finished"


async def test_a_schedule_that_cannot_be_fired_holds_back_no_other(engine: AsyncEngine, api_settings: Settings) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    wrong = await add_schedule(engine, workflow_id, late=HOURS, time_zone="Gone/Away")
    right = await add_schedules(engine, workflow_id, BATCH_SCHEDULES, late=NOW)
    failures = metrics.FAILURES._value.get()
    firing = Firing(engine, api_settings)
    assert await firing.once() is True
    assert await firing.once() is False
    assert len(await runs_of(engine, *right)) == BATCH_SCHEDULES
    assert await runs_of(engine, wrong) == []
    assert metrics.FAILURES._value.get() == failures + 1


async def _until_none_is_due(settings: Settings) -> None:
    engine = create_engine(settings, application="firing")
    try:
        firing = Firing(engine, settings)
        while await firing.once():
            pass
    finally:
        await engine.dispose()


async def test_three_processes_at_once_fire_two_hundred_schedules_each_once(
    engine: AsyncEngine, api_settings: Settings
) -> None:
    ids = await add_schedules(engine, await add_workflow(engine, step("first")), 200, late=NOW)
    async with asyncio.timeout(60):
        await asyncio.gather(*(_until_none_is_due(api_settings) for _ in range(3)))
        # A batch that met the others' locks looks like the last one: what they left is taken up by the next tick.
        await _until_none_is_due(api_settings)
    found = await runs_of(engine, *ids)
    assert sorted(run.requested_by for run in found) == sorted(f"schedule:{each}" for each in ids)
    assert await count(engine, outbox) == await count(engine, audit_log) == 200


class Held:
    """Stands for the statement that stores runs: holds the first caller in the middle of its transaction."""

    def __init__(self) -> None:
        self.reached, self.release = asyncio.Event(), asyncio.Event()

    async def __call__(
        self, connection: AsyncConnection, new: Sequence[RunRequest], *, topic: str, audit: bool
    ) -> list[Outcome]:
        """Store, then wait if nobody did before."""
        stored = await insert_runs(connection, new, topic=topic, audit=audit)
        if not self.reached.is_set():
            self.reached.set()
            await self.release.wait()
        return stored


async def test_a_process_that_is_cut_off_in_the_middle_loses_and_doubles_nothing(
    engine: AsyncEngine, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(fire, "insert_runs", held)
    ids = await add_schedules(engine, await add_workflow(engine, step("first")), 3 * BATCH_SCHEDULES, late=NOW)
    async with asyncio.timeout(60):
        first = asyncio.create_task(_until_none_is_due(api_settings))
        await held.reached.wait()
        await _until_none_is_due(api_settings)
        assert len(await runs_of(engine, *ids)) == 2 * BATCH_SCHEDULES, "those that are held are left alone"
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await _until_none_is_due(api_settings)
    found = await runs_of(engine, *ids)
    assert sorted(run.requested_by for run in found) == sorted(f"schedule:{each}" for each in ids)
    assert await count(engine, outbox) == len(ids)


async def test_a_process_whose_connection_is_cut_in_the_middle_loses_and_doubles_nothing(
    engine: AsyncEngine, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(fire, "insert_runs", held)
    ids = await add_schedules(engine, await add_workflow(engine, step("first")), BATCH_SCHEDULES, late=NOW)
    async with asyncio.timeout(60):
        first = asyncio.create_task(_until_none_is_due(api_settings))
        await held.reached.wait()
        async with transaction(engine) as connection:
            cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'firing'"
            assert (await connection.execute(text(f"{cut} AND datname = current_database()"))).scalars().all() == [True]
        held.release.set()
        with pytest.raises(Exception, match=r"closed|terminat"):
            await first
        await _until_none_is_due(api_settings)
    assert len(await runs_of(engine, *ids)) == await count(engine, outbox) == len(ids)


async def test_the_lag_is_that_of_the_oldest_time_that_is_due(engine: AsyncEngine, api_settings: Settings) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    await measure(engine)
    assert metrics.LAG._value.get() == 0
    await add_schedule(engine, workflow_id, late=-timedelta(minutes=2))
    await add_schedule(engine, workflow_id, late=timedelta(minutes=5))
    await measure(engine)
    assert 300 <= metrics.LAG._value.get() < 420
    await Firing(engine, api_settings).once()
    await measure(engine)
    assert metrics.LAG._value.get() == 0


async def test_unfinished_runs_of_a_schedule_are_found_by_their_index(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        plan = "EXPLAIN SELECT DISTINCT requested_by FROM runs WHERE requested_by IN ('schedule:1', 'schedule:2')"
        condition = "status IN ('queued', 'running', 'paused', 'waiting') AND requested_by LIKE 'schedule:%'"
        lines = (await connection.execute(text(f"{plan} AND {condition}"))).scalars().all()
    assert any("ix_runs_open_of_schedules" in line for line in lines), lines

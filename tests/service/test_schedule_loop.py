"""The loop that fires schedules, in the relay's process."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import connect, transaction
from service.platform.settings import Settings
from service.platform.worker_loop import Pulse
from service.relay.leader import LOCK_KEY
from service.relay.main import relay_until
from service.schedules import loop, metrics
from service.schedules.fire import Firing
from service.schedules.loop import fire_until
from tests.service.executor_support import add_workflow, executing, finished, relaying, step
from tests.service.schedule_support import add_schedule, read_schedule, runs_of
from tests.service.servers import eventually, free_port

pytestmark = pytest.mark.ring("service")

NOW = timedelta(0)


async def fired(engine: AsyncEngine, schedule_id: UUID, count: int = 1) -> None:
    """Returns once the schedule has so many runs."""

    async def there() -> bool:
        return len(await runs_of(engine, schedule_id)) == count

    await eventually(there, f"{count} runs of the schedule")


async def test_a_schedule_runs_its_workflow_from_end_to_end(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(
        engine,
        step("tell", "transform", step_input={"at": {"$jmespath": "input.schedule.planned_at"}}, expression="at"),
    )
    async with relaying(settings), executing(settings):
        schedule_id = await add_schedule(engine, workflow_id, late=NOW)
        planned = (await read_schedule(engine, schedule_id)).next_fire_at
        await fired(engine, schedule_id)
        run = await finished(engine, (await read_schedule(engine, schedule_id)).last_run_id)
    assert run.status == "completed", run.error
    assert planned.strftime("%Y-%m-%dT%H:%M:%SZ") in str(run.output)


async def test_a_relay_that_stands_by_fires_as_well(engine: AsyncEngine, settings: Settings) -> None:
    leader = await connect(settings, application="test")
    try:
        assert await leader.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY)
        async with relaying(settings):
            schedule_id = await add_schedule(engine, await add_workflow(engine, step("first")), late=NOW)
            await fired(engine, schedule_id)
    finally:
        await leader.close(timeout=5)


async def test_the_relay_shows_the_figures_of_schedules(engine: AsyncEngine, settings: Settings) -> None:
    port = free_port()
    async with relaying(settings, worker_http_port=port), httpx.AsyncClient(timeout=10) as client:
        await fired(engine, await add_schedule(engine, await add_workflow(engine, step("first")), late=NOW))
        figures = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    for series in (
        "schedule_runs_total ",
        "schedule_lag_seconds ",
        "schedule_failures_total ",
        'schedule_times_skipped_total{reason="missed"} ',
        'schedule_times_skipped_total{reason="overlap"} ',
    ):
        assert f"\n{series}" in figures, series


async def test_a_cut_connection_is_replaced_and_firing_goes_on(engine: AsyncEngine, api_settings: Settings) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    stopping = asyncio.Event()
    task = asyncio.create_task(fire_until(api_settings, stopping, Pulse()))
    try:
        await fired(engine, await add_schedule(engine, workflow_id, late=NOW))
        async with transaction(engine) as connection:
            ours = "FROM pg_stat_activity WHERE application_name = 'workflow-schedules'"
            cut = text(f"SELECT pg_terminate_backend(pid, 5000) {ours} AND datname = current_database()")
            assert (await connection.execute(cut)).scalars().all() == [True], "one connection and no more"
        await fired(engine, await add_schedule(engine, workflow_id, late=NOW))
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)


async def test_an_outage_is_sat_out_and_what_was_missed_is_caught_up(
    engine: AsyncEngine, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule_id = await add_schedule(
        engine, await add_workflow(engine, step("first")), late=timedelta(minutes=130), catch_up="all"
    )
    tried = asyncio.Event()
    is_away = True
    connect_really = connect

    async def connect_or_not(*args: object, **options: object) -> object:
        if is_away:
            tried.set()
            raise ConnectionError("away")
        return await connect_really(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("service.platform.database.connect", connect_or_not)
    stopping = asyncio.Event()
    task = asyncio.create_task(fire_until(api_settings, stopping, Pulse()))
    try:
        await asyncio.wait_for(tried.wait(), 10)
        assert not task.done()
        is_away = False
        await fired(engine, schedule_id, 3)
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)


async def test_an_error_that_nobody_foresaw_does_not_end_the_loop(
    engine: AsyncEngine, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = Firing.once
    failed = asyncio.Event()

    async def fail_first(self: Firing) -> bool:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("unforeseen")
        return await once(self)

    monkeypatch.setattr(Firing, "once", fail_first)
    failures = metrics.FAILURES._value.get()
    stopping = asyncio.Event()
    task = asyncio.create_task(fire_until(api_settings, stopping, Pulse()))
    try:
        await fired(engine, await add_schedule(engine, await add_workflow(engine, step("first")), late=NOW))
        assert metrics.FAILURES._value.get() == failures + 1
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)


async def test_a_loop_that_hangs_makes_the_process_unhealthy(
    api_settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "PULSE_SECONDS", -1.0)
    pulse, stopping = Pulse(), asyncio.Event()
    task = asyncio.create_task(fire_until(api_settings, stopping, pulse))
    try:

        async def told() -> bool:
            return "schedules" in pulse.problems()

        await eventually(told, "the loop to be reported")
    finally:
        stopping.set()
        await asyncio.wait_for(task, 10)
    assert pulse.problems() == {}, "a loop that has ended as it should is no problem"


async def test_the_loop_stops_while_the_database_is_silent(
    engine: AsyncEngine, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def hang(self: Firing) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(Firing, "once", hang)
    task = asyncio.create_task(fire_until(api_settings, asyncio.Event(), Pulse()))
    await asyncio.wait_for(asked.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)

    async def none_left() -> bool:
        async with transaction(engine) as connection:
            ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'workflow-schedules'"
            return await connection.scalar(text(f"{ours} AND datname = current_database()")) == 0

    await eventually(none_left, "the connection to be closed")


async def test_the_relay_stops_in_time_though_firing_hangs(
    settings: Settings, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def hang(self: Firing) -> bool:
        asked.set()
        await asyncio.Event().wait()
        return False

    monkeypatch.setattr(Firing, "once", hang)
    own = settings.model_copy(update={"worker_http_port": free_port(), "graceful_shutdown_seconds": 2})
    stopping = asyncio.Event()
    task = asyncio.create_task(relay_until(own, stopping))
    try:
        await asyncio.wait_for(asked.wait(), 20)
        stopping.set()
        await asyncio.wait_for(asyncio.shield(task), own.graceful_shutdown_seconds)
    finally:
        task.cancel()
        await asyncio.wait({task})

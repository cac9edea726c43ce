"""What a run does after it has failed."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import run_steps, runs
from tests.service.executor_support import (
    add_run,
    add_workflow,
    executing,
    finished,
    json_answer,
    read_run,
    read_steps,
    step,
    step_reached,
    web_server,
)

pytestmark = pytest.mark.ring("service")

BAD = step("bad", "http", needs=["good"], url="http://nowhere.invalid/")
GOOD = step("good", step_input={"n": 1})
TOLD = {"code": {"$jmespath": "error.code"}, "step": {"$jmespath": "error.step_id"}, "n": {"$jmespath": "steps.good.n"}}
LEASE = {"executor_lease_seconds": 3}


async def run_to_end(engine: AsyncEngine, settings: Settings, *steps: Mapping[str, Any], **whole: Any) -> Any:
    run_id = await add_run(engine, await add_workflow(engine, *steps, **whole))
    async with executing(settings, **LEASE):
        return await finished(engine, run_id)


async def statuses(engine: AsyncEngine, run_id: UUID) -> dict[str, str]:
    return {name: one.status for name, one in (await read_steps(engine, run_id)).items()}


async def test_the_steps_after_a_failure_see_it_and_the_run_stays_failed(
    engine: AsyncEngine, settings: Settings
) -> None:
    after = [step("tell", "delay", step_input=TOLD, seconds=0), step("last", needs=["tell"])]
    row = await run_to_end(engine, settings, GOOD, BAD, on_failure=after)
    assert (row.status, row.output, row.error["code"]) == ("failed", None, "http-host-not-allowed")
    steps = await read_steps(engine, row.id)
    assert {name: one.status for name, one in steps.items()} == {
        "good": "completed",
        "bad": "failed",
        "tell": "completed",
        "last": "completed",
    }
    assert steps["tell"].output == {"code": "http-host-not-allowed", "step": "bad", "n": 1}


async def test_a_run_that_does_not_fail_leaves_them_out(engine: AsyncEngine, settings: Settings) -> None:
    row = await run_to_end(engine, settings, GOOD, on_failure=[step("tell")])
    assert (row.status, await statuses(engine, row.id)) == ("completed", {"good": "completed"})


async def test_their_failure_does_not_hide_the_first_and_stops_only_what_needs_them(
    engine: AsyncEngine, settings: Settings
) -> None:
    after = [
        step("worse", "http", url="http://nowhere.invalid/"),
        step("needs_worse", needs=["worse"]),
        step("other", "delay", seconds=0.1),
        step("last", needs=["other"], when="error.code == 'run-timeout'"),
    ]
    slow = step("slow", "delay", seconds=600, timeout=1200)
    row = await run_to_end(engine, settings, slow, on_failure=after, timeout_seconds=2)
    assert (row.status, row.error["code"]) == ("failed", "run-timeout")
    assert await statuses(engine, row.id) == {
        "slow": "cancelled",
        "worse": "failed",
        "needs_worse": "skipped",
        "other": "completed",
        "last": "completed",
    }


async def test_a_takeover_goes_on_with_them_and_repeats_nothing(engine: AsyncEngine, settings: Settings) -> None:
    calls: list[str] = []

    async def count(call: Any) -> Any:
        calls.append(call.path)
        return json_answer({})

    async with web_server(count) as server:
        workflow_id = await add_workflow(
            engine,
            step("main", "http", url=server.url("/main")),
            on_failure=[
                step("first", "http", url=server.url("/first")),
                step("second", "http", needs=["first"], url=server.url("/second")),
            ],
        )
        error = {"code": "timeout", "step_id": "main"}
        run_id = await add_run(engine, workflow_id, status="running", attempt=1, lease_token=1, error=error)
        async with transaction(engine) as connection:
            for name, status in (("main", "failed"), ("first", "completed")):
                row = {"run_id": run_id, "step_id": name, "status": status, "attempt": 1, "lease_token": 1}
                await connection.execute(run_steps.insert().values(row))
            ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 1)
            await connection.execute(
                update(runs).where(runs.c.id == run_id).values(started_at=ago, lease_expires_at=ago)
            )
        async with executing(settings, http_agent_allowed_hosts=(f"127.0.0.1:{server.port}",), **LEASE):
            finished_row = await finished(engine, run_id)
    assert (finished_row.status, finished_row.error) == ("failed", error)
    assert calls == ["/second"]


async def test_a_cancellation_stops_them_and_the_run_is_still_failed(engine: AsyncEngine, settings: Settings) -> None:
    after = [step("wait", "delay", seconds=600, timeout=1200), step("never", needs=["wait"])]
    run_id = await add_run(engine, await add_workflow(engine, GOOD, BAD, on_failure=after))
    async with executing(settings, **LEASE):
        await step_reached(engine, run_id, "wait", "running")
        under_way = await read_run(engine, run_id)
        assert (under_way.status, under_way.error["step_id"]) == ("running", "bad")
        async with transaction(engine) as connection:
            await connection.execute(update(runs).where(runs.c.id == run_id).values(cancel_requested_at=func.now()))
        row = await finished(engine, run_id)
    assert (row.status, row.error["step_id"]) == ("failed", "bad")
    found = await statuses(engine, run_id)
    assert (found["wait"], found["never"]) == ("cancelled", "skipped")


async def test_an_executor_told_to_stop_gives_back_a_run_that_does_them(
    engine: AsyncEngine, settings: Settings
) -> None:
    released = asyncio.Event()

    async def hold(_: Any) -> Any:
        await released.wait()
        return json_answer({})

    async with web_server(hold) as server:
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        run_id = await add_run(
            engine, await add_workflow(engine, GOOD, BAD, on_failure=[step("tell", "http", url=server.url())])
        )
        async with executing(settings, **LEASE, **allowed):
            await step_reached(engine, run_id, "tell", "running")
        assert (await read_run(engine, run_id)).status == "running"
        released.set()
        async with executing(settings, **LEASE, **allowed):
            row = await finished(engine, run_id)
    assert (row.status, row.error["step_id"]) == ("failed", "bad")
    assert (await statuses(engine, run_id))["tell"] == "completed"

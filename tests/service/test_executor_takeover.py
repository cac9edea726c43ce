"""What becomes of runs when their executor dies, stops, or must give up."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.runner import MAX_CLAIMS
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import runs
from tests.service.executor_support import (
    Answer,
    Call,
    add_run,
    add_workflow,
    executing,
    finished,
    json_answer,
    read_run,
    read_steps,
    relaying,
    step,
    step_reached,
    submit,
    web_server,
)
from tests.service.servers import eventually, free_port

pytestmark = pytest.mark.ring("service")


@asynccontextmanager
async def executor_process(
    settings: Settings, executor_id: str, allowed: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A real executor process; killed at the end where it still lives."""
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "KAFKA_BROKERS": ",".join(settings.kafka_brokers),
        "KAFKA_EXECUTION_TOPIC": settings.kafka_execution_topic,
        "KAFKA_CANCELLATION_TOPIC": settings.kafka_cancellation_topic,
        "EXECUTOR_ID": executor_id,
        "EXECUTOR_LEASE_SECONDS": "3",
        "WORKER_HTTP_PORT": str(free_port()),
        "HTTP_AGENT_ALLOWED_HOSTS": allowed,
        "GRACEFUL_SHUTDOWN_SECONDS": "2",
        "LOG_LEVEL": "WARNING",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "service", "executor", env=environment)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        async with asyncio.timeout(10):
            await process.wait()


class TwoSteps:
    """A workflow of two calls, the second of which does not answer the first time."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.second = 0

    async def __call__(self, call: Call) -> Answer:
        """Answer the first step, hold the second step's first call."""
        if call.path == "/second":
            self.second += 1
            if self.second == 1:
                await self.released.wait()
        return json_answer({"path": call.path})


async def test_the_run_of_a_killed_executor_goes_on_after_its_last_finished_step(
    engine: AsyncEngine, settings: Settings
) -> None:
    handler = TwoSteps()
    async with web_server(handler) as server, relaying(settings):
        allowed = f"127.0.0.1:{server.port}"
        workflow_id = await add_workflow(
            engine,
            step("first", "http", url=server.url("/first")),
            step("second", "http", needs=["first"], url=server.url("/second")),
        )
        async with executor_process(settings, "victim", allowed) as victim:
            run_id = await submit(engine, settings, workflow_id)
            await step_reached(engine, run_id, "second", "running")
            assert (await read_run(engine, run_id)).lease_owner == "victim"
            victim.kill()
            await victim.wait()
        async with executing(settings, executor_lease_seconds=3, http_agent_allowed_hosts=(allowed,)):
            row = await finished(engine, run_id)
        handler.released.set()
    assert (row.status, row.attempt, row.lease_token) == ("completed", 2, 2)
    assert row.output["second"]["json"] == {"path": "/second"}
    assert [call.path for call in server.calls] == ["/first", "/second", "/second"]


async def test_a_takeover_repeats_no_finished_item_of_a_step(engine: AsyncEngine, settings: Settings) -> None:
    released = asyncio.Event()
    keys: list[str] = []

    async def hold_the_second(call: Call) -> Answer:
        keys.append(call.headers["idempotency-key"].partition(":")[2])
        if len(keys) == 2:
            await released.wait()
        return json_answer(json.loads(call.body))

    async def second_called() -> bool:
        return len(keys) == 2

    async with web_server(hold_the_second) as server, relaying(settings):
        allowed = f"127.0.0.1:{server.port}"
        workflow_id = await add_workflow(
            engine,
            step(
                "call",
                "http",
                url=server.url(),
                method="POST",
                for_each={"items": "input.numbers", "max_parallel": 1},
                step_input={"number": {"$jmespath": "item"}},
            ),
        )
        async with executor_process(settings, "victim", allowed) as victim:
            run_id = await submit(engine, settings, workflow_id, {"numbers": [7, 8, 9]})
            await eventually(second_called, "the second item's call")
            victim.kill()
            await victim.wait()
        async with executing(settings, executor_lease_seconds=3, http_agent_allowed_hosts=(allowed,)):
            row = await finished(engine, run_id)
        released.set()
    assert row.status == "completed"
    assert [answer["json"]["number"] for answer in row.output["call"]] == [7, 8, 9]
    assert keys == ["call[0]", "call[1]", "call[1]", "call[2]"]
    steps = await read_steps(engine, run_id)
    assert {name: one.status for name, one in steps.items()} == dict.fromkeys(
        ("call", "call[0]", "call[1]", "call[2]"), "completed"
    )


async def test_an_executor_told_to_stop_gives_its_runs_back(engine: AsyncEngine, settings: Settings) -> None:
    handler = TwoSteps()
    async with web_server(handler) as server, relaying(settings):
        allowed = f"127.0.0.1:{server.port}"
        workflow_id = await add_workflow(
            engine,
            step("first", "http", url=server.url("/first")),
            step("second", "http", needs=["first"], url=server.url("/second")),
        )
        async with executor_process(settings, "leaver", allowed) as leaver:
            run_id = await submit(engine, settings, workflow_id)
            await step_reached(engine, run_id, "second", "running")
            leaver.terminate()
            async with asyncio.timeout(10):
                assert await leaver.wait() == 0
        row = await read_run(engine, run_id)
        assert (row.status, row.lease_owner, row.attempt) == ("running", None, 0)
        async with executing(settings, http_agent_allowed_hosts=(allowed,)):
            assert (await finished(engine, run_id)).status == "completed"
        handler.released.set()
    assert [call.path for call in server.calls] == ["/first", "/second", "/second"]


async def test_a_run_that_killed_its_executor_too_often_is_failed(engine: AsyncEngine, settings: Settings) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")), attempt=MAX_CLAIMS)
    async with executing(settings, executor_lease_seconds=3):
        row = await finished(engine, run_id)
    assert (row.status, row.error["code"]) == ("failed", "abandoned")


async def test_a_takeover_does_not_begin_the_timeout_of_a_run_anew(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(engine, step("wait", "delay", seconds=3600, timeout=7200), timeout_seconds=600)
    run_id = await add_run(engine, workflow_id, status="running", attempt=1, lease_token=1)
    async with transaction(engine) as connection:
        ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 601)
        await connection.execute(
            update(runs).where(runs.c.id == run_id).values(started_at=ago, lease_expires_at=ago, lease_owner="dead")
        )
    async with executing(settings, executor_lease_seconds=3):
        row = await finished(engine, run_id)
    assert (row.status, row.error["code"]) == ("failed", "run-timeout")
    assert (await read_steps(engine, run_id))["wait"].status == "skipped"


async def test_a_definition_that_cannot_be_executed_fails_its_run(engine: AsyncEngine, settings: Settings) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a", needs=["missing"])))
    async with executing(settings, executor_lease_seconds=3):
        row = await finished(engine, run_id)
    assert (row.status, row.error["code"]) == ("failed", "definition")


async def test_an_executor_whose_run_was_taken_over_stops_working_on_it(
    engine: AsyncEngine, settings: Settings
) -> None:
    called = asyncio.Event()

    async def hold(_: Call) -> Answer:
        called.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with web_server(hold) as server:
        allowed = (f"127.0.0.1:{server.port}",)
        workflow_id = await add_workflow(engine, step("call", "http", url=server.url()))
        run_id = await add_run(engine, workflow_id)
        async with executing(settings, executor_lease_seconds=3, http_agent_allowed_hosts=allowed) as stopping:
            async with asyncio.timeout(20):
                await called.wait()
            async with transaction(engine) as connection:
                await connection.execute(
                    update(runs).where(runs.c.id == run_id).values(lease_owner="other", lease_token=99)
                )
            stopping.set()
    row = await read_run(engine, run_id)
    assert (row.status, row.lease_owner, row.lease_token) == ("running", "other", 99)


async def test_an_executor_outlives_its_database_connections(engine: AsyncEngine, settings: Settings) -> None:
    workflow_id = await add_workflow(
        engine,
        *(step(f"s{n}", "delay", needs=[f"s{n - 1}"] if n else [], seconds=0.05) for n in range(10)),
    )
    async with executing(settings, executor_lease_seconds=3):
        run_ids = [await add_run(engine, workflow_id) for _ in range(5)]
        for run_id in run_ids:
            await step_reached(engine, run_id, "s1", "completed")
            async with transaction(engine) as connection:
                await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND application_name = 'workflow-executor'"
                    )
                )
        rows = [await finished(engine, run_id) for run_id in run_ids]
    assert {row.status for row in rows} == {"completed"}

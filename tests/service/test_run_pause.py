"""Pausing runs and letting them go on: by the API, by the executor that has the run, and after one that died."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.executor.claims import Marks
from service.executor.messages import ControlRequest, ExecutionRequest, decode
from service.executor.repository import RunRepository
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, outbox, run_steps, runs
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
    read_steps,
    relaying,
    step,
    submit,
    web_server,
)
from tests.service.servers import eventually
from tests.service.support import running

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"


@pytest.fixture
async def api(settings: Settings, bearer: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that has a Kafka, with an operator's token."""
    async with running(create_app(settings), **await bearer(Role.OPERATOR)) as found:
        yield found


@pytest.fixture
def api_settings(settings: Settings) -> Settings:
    """The settings with Kafka are also those of the tokens."""
    return settings


async def ask(client: httpx.AsyncClient, run_id: Any, verb: str) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/runs/{run_id}/{verb}")
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def status_reached(engine: AsyncEngine, run_id: Any, status: str, *, seconds: float = 40) -> Any:
    async def reached() -> bool:
        return bool((await read_run(engine, run_id)).status == status)

    await eventually(reached, f"run {run_id} to be {status}", seconds=seconds)
    return await read_run(engine, run_id)


async def change(engine: AsyncEngine, run_id: Any, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


async def entries(engine: AsyncEngine, run_id: Any) -> list[Any]:
    async with transaction(engine) as connection:
        query = select(audit_log).where(audit_log.c.subject_id == str(run_id)).order_by(audit_log.c.id)
        return list((await connection.execute(query)).all())


async def messages(engine: AsyncEngine, topic: str) -> list[Any]:
    async with transaction(engine) as connection:
        query = select(outbox.c.payload).where(outbox.c.topic == topic).order_by(outbox.c.id)
        return list((await connection.execute(query)).scalars())


def ago(seconds: float) -> Any:
    return func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def repository(engine: AsyncEngine, owner: str = "one") -> RunRepository:
    return RunRepository(engine, owner=owner, lease_seconds=30, audit=True)


def request(payload: Any) -> ExecutionRequest:
    return ExecutionRequest.model_validate(payload)


@asynccontextmanager
async def held_call() -> AsyncIterator[tuple[Any, asyncio.Event, asyncio.Event]]:
    """A web server whose answer is held back; yields it with what says that it was called and what lets it answer."""
    called, release = asyncio.Event(), asyncio.Event()

    async def hold(call: Call) -> Answer:
        called.set()
        if call.path == "/held":
            await release.wait()
        return json_answer({"path": call.path})

    async with web_server(hold) as server:
        try:
            yield server, called, release
        finally:
            release.set()


async def test_a_queued_run_is_paused_at_once_and_its_message_claims_nothing(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    told = await ask(api, run_id, "pause")
    assert (told["status"], told["pause_requested_at"] is None) == ("paused", False)
    assert await repository(engine).claim_received([request(message(run_id))]) == []
    assert await repository(engine).claim_forgotten(10, older_than_seconds=0) == []
    assert await repository(engine).claim_expired(10) == []
    shown = (await api.get(f"/api/v1/runs/{run_id}")).json()
    assert (shown["status"], shown["paused_at"] is None) == ("paused", False)
    assert [run["id"] for run in (await api.get("/api/v1/runs?status=paused")).json()["items"]] == [str(run_id)]


async def test_a_resumed_run_is_queued_with_a_message_of_its_own(
    api: httpx.AsyncClient, engine: AsyncEngine, settings: Settings
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")), {"x": 1})
    await ask(api, run_id, "pause")
    told = await ask(api, run_id, "resume")
    assert told == {"run_id": str(run_id), "status": "queued", "pause_requested_at": None}
    [payload] = await messages(engine, settings.kafka_execution_topic)
    assert (payload["run_id"], payload["input"]) == (str(run_id), {"x": 1})
    [claimed] = await repository(engine).claim_received([request(payload)])
    assert (claimed.id, claimed.attempt) == (run_id, 1)


async def test_pausing_and_resuming_is_audited_once_with_what_was_before_and_after(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    for verb in ("pause", "pause", "resume", "resume"):
        await ask(api, run_id, verb)
    found = await entries(engine, run_id)
    assert [entry.action for entry in found] == ["run.pause", "run.resume"]
    assert [(e.detail["before"]["status"], e.detail["after"]["status"]) for e in found] == [
        ("queued", "paused"),
        ("paused", "queued"),
    ]


async def test_a_run_that_was_resumed_a_moment_ago_is_not_taken_for_forgotten(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    await change(engine, run_id, created_at=ago(3600))
    await ask(api, run_id, "pause")
    await ask(api, run_id, "resume")
    assert await repository(engine).claim_forgotten(10, older_than_seconds=60) == []
    await change(engine, run_id, queued_at=ago(61))
    assert len(await repository(engine).claim_forgotten(10, older_than_seconds=60)) == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_finished_run_can_be_neither_paused_nor_resumed(
    api: httpx.AsyncClient, engine: AsyncEngine, verb: str, status: str
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")), status=status)
    before = await read_run(engine, run_id)
    answer = await api.post(f"/api/v1/runs/{run_id}/{verb}")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "run-finished")
    assert await read_run(engine, run_id) == before
    assert (await api.post(f"/api/v1/runs/{ABSENT}/{verb}")).status_code == 404


async def test_a_run_that_is_to_be_cancelled_is_not_paused(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    await api.post(f"/api/v1/runs/{run_id}/cancel")
    answer = await api.post(f"/api/v1/runs/{run_id}/pause")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "run-cancelled")


async def test_paused_time_is_not_part_of_the_runs_age(api: httpx.AsyncClient, engine: AsyncEngine) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    await repository(engine).claim_received([request(message(run_id))])
    await ask(api, run_id, "pause")
    claimed = await _claimed_again(engine, run_id)
    assert await repository(engine).park(claimed, "paused", [])
    await change(engine, run_id, started_at=ago(1000), paused_at=ago(900))
    await ask(api, run_id, "resume")
    [again] = await repository(engine).claim_forgotten(10, older_than_seconds=-1)
    assert 99 < again.running_seconds < 110
    assert again.attempt == 2, "one for the claim that was lost, one for this; none for the pause"


async def _claimed_again(engine: AsyncEngine, run_id: UUID) -> Any:
    await change(engine, run_id, lease_expires_at=ago(1))
    [claimed] = await repository(engine, "two").claim_expired(10)
    assert claimed.pause_requested
    return claimed


async def test_time_paused_before_the_start_is_not_taken_off_the_runs_age(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    await ask(api, run_id, "pause")
    await change(engine, run_id, paused_at=ago(900))
    await ask(api, run_id, "resume")
    [claimed] = await repository(engine).claim_forgotten(10, older_than_seconds=-1)
    assert claimed.running_seconds >= 0


async def test_a_pause_is_seen_by_the_journal_and_the_heartbeat_and_fences_nothing_off_before(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    [claimed] = await repository(engine).claim_received([request(message(run_id))])
    assert not await repository(engine).park(claimed, "paused", []), "nobody asked for it"
    assert (await ask(api, run_id, "pause"))["status"] == "running"
    assert await repository(engine).journal(claimed, []) == Marks(pause=True)
    assert await repository(engine).renew([claimed]) == {run_id: Marks(pause=True)}
    assert await repository(engine).park(claimed, "paused", [])
    assert await repository(engine).park(claimed, "paused", []), "the answer of the first may have been lost"
    row = await read_run(engine, run_id)
    assert (row.status, row.lease_owner, row.lease_expires_at, row.attempt) == ("paused", None, None, 0)


async def test_tries_under_way_end_before_the_pause_and_only_the_rest_is_done_after_it(
    api: httpx.AsyncClient, engine: AsyncEngine, settings: Settings
) -> None:
    async with held_call() as (server, called, release), relaying(settings):
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with executing(settings, **allowed):
            workflow_id = await add_workflow(
                engine,
                step("first", "http", url=server.url("/held")),
                step("second", "http", needs=["first"], url=server.url("/second")),
            )
            run_id = await submit(engine, settings, workflow_id)
            async with asyncio.timeout(30):
                await called.wait()
            assert (await ask(api, run_id, "pause"))["status"] == "running"
            assert (await read_run(engine, run_id)).status == "running"
            release.set()
            # Sooner than the heartbeat of a 30 s lease could have found the mark.
            await status_reached(engine, run_id, "paused", seconds=8)
            statuses = {name: one.status for name, one in (await read_steps(engine, run_id)).items()}
            # The second one is in the journal where its beginning was the occasion to see the pause.
            assert statuses | {"second": "pending"} == {"first": "completed", "second": "pending"}
            assert [call.path for call in server.calls] == ["/held"]
            await ask(api, run_id, "resume")
            row = await finished(engine, run_id, seconds=8)
    assert (row.status, row.attempt) == ("completed", 1)
    assert [call.path for call in server.calls] == ["/held", "/second"]


async def test_the_pause_before_another_try_is_not_waited_for(
    api: httpx.AsyncClient, engine: AsyncEngine, settings: Settings
) -> None:
    answers = [500, 200]

    async def fail_first(_: Call) -> Answer:
        return json_answer({}, answers.pop(0))

    async with web_server(fail_first) as server, relaying(settings):
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with executing(settings, **allowed):
            workflow_id = await add_workflow(engine, step("call", "http", url=server.url(), backoff=200))
            run_id = await submit(engine, settings, workflow_id)

            async def tried() -> bool:
                found = (await read_steps(engine, run_id)).get("call")
                return found is not None and found.attempt == 2

            await eventually(tried, "the first try to fail", seconds=30)
            await ask(api, run_id, "pause")
            await status_reached(engine, run_id, "paused", seconds=8)
            one = (await read_steps(engine, run_id))["call"]
            assert (one.status, one.attempt, one.error["code"]) == ("pending", 2, "http-status")
            await ask(api, run_id, "resume")
            row = await finished(engine, run_id, seconds=8)
    assert row.status == "completed"
    assert (await read_steps(engine, run_id))["call"].attempt == 2


async def test_a_run_whose_executor_died_after_the_pause_was_asked_for_is_paused_after_the_takeover(
    engine: AsyncEngine, settings: Settings
) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    run_id = await add_run(engine, workflow_id, status="running", attempt=1, lease_token=1)
    await change(engine, run_id, lease_owner="dead", lease_expires_at=ago(1), pause_requested_at=func.now())
    async with executing(settings, executor_lease_seconds=3):
        row = await status_reached(engine, run_id, "paused")
    assert (row.attempt, row.lease_owner) == (1, None)
    assert await read_steps(engine, run_id) == {}


async def test_a_pause_that_is_taken_back_in_time_does_not_keep_the_run(
    api: httpx.AsyncClient, engine: AsyncEngine, settings: Settings
) -> None:
    async with held_call() as (server, called, release), relaying(settings):
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with executing(settings, executor_lease_seconds=3, **allowed):
            workflow_id = await add_workflow(
                engine, step("first", "http", url=server.url("/held")), step("second", needs=["first"])
            )
            run_id = await submit(engine, settings, workflow_id)
            async with asyncio.timeout(30):
                await called.wait()
            await ask(api, run_id, "pause")
            assert (await ask(api, run_id, "resume"))["status"] == "running"
            release.set()
            assert (await finished(engine, run_id)).status == "completed"


async def test_a_paused_run_that_is_cancelled_ends_without_being_claimed(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    async with transaction(engine) as connection:
        await connection.execute(run_steps.insert().values(run_id=run_id, step_id="a", status="pending", attempt=2))
    await ask(api, run_id, "pause")
    assert (await api.post(f"/api/v1/runs/{run_id}/cancel")).status_code == 202
    assert await repository(engine).cancel_queued(run_id)
    assert (await read_run(engine, run_id)).status == "cancelled"
    assert (await read_steps(engine, run_id))["a"].status == "skipped"
    assert [entry.action for entry in await entries(engine, run_id)][-1] == "run.cancelled"


async def test_a_run_paused_while_it_follows_up_a_failure_stays_failed(
    api: httpx.AsyncClient, engine: AsyncEngine, settings: Settings
) -> None:
    async with held_call() as (server, called, release), relaying(settings):
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        async with executing(settings, **allowed):
            workflow_id = await add_workflow(
                engine,
                step("bad", "transform", expression="abs('x')"),
                on_failure=[
                    step("tell", "http", url=server.url("/held")),
                    step("after", "http", needs=["tell"], url=server.url("/after")),
                ],
            )
            run_id = await submit(engine, settings, workflow_id)
            async with asyncio.timeout(30):
                await called.wait()
            await ask(api, run_id, "pause")
            release.set()
            row = await status_reached(engine, run_id, "paused", seconds=8)
            assert row.error["code"] != ""
            await ask(api, run_id, "resume")
            row = await finished(engine, run_id, seconds=8)
    assert (row.status, row.error["step_id"]) == ("failed", "bad")
    assert [call.path for call in server.calls] == ["/held", "/after"]


async def test_a_message_without_a_kind_asks_for_a_cancellation() -> None:
    old = b'{"message_id": "m", "run_id": "01a20245-580a-721f-b174-27897f913689", "requested_by": "ada"}'
    assert decode(ControlRequest, old).kind == "cancel"

"""Runs that do again what others did: retried from where those failed, or replayed from the beginning."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.executor.messages import ExecutionRequest
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
SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


async def again(client: httpx.AsyncClient, run_id: Any, verb: str, key: str | None = None, **body: Any) -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(f"/api/v1/runs/{run_id}/{verb}", json=body or None, headers=headers)


async def journal(engine: AsyncEngine, run_id: UUID, **steps: str) -> None:
    """Steps in these statuses, each with its name as output; items are written ``each__1``."""
    rows = [
        {
            "run_id": run_id,
            "step_id": name.replace("__", "[") + "]" if "__" in name else name,
            "status": status,
            "attempt": 2,
            "output": name,
            "lease_token": 9,
        }
        for name, status in steps.items()
    ]
    async with transaction(engine) as connection:
        await connection.execute(run_steps.insert(), rows)


async def count(engine: AsyncEngine, table: Any) -> int:
    async with transaction(engine) as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


@pytest.fixture
async def failed_run(engine: AsyncEngine) -> UUID:
    """A run of which one main step, two items and a step after the failure are done."""
    workflow_id = await add_workflow(
        engine,
        step("a"),
        step("each", needs=["a"], for_each={"items": "input.list"}),
        step("c", needs=["each"]),
        on_failure=[step("tell")],
    )
    run_id = await add_run(engine, workflow_id, {"list": [1, 2, 3]}, status="failed", error={"code": "x"})
    await journal(
        engine,
        run_id,
        a="completed",
        each="failed",
        each__0="completed",
        each__1="failed",
        each__2="completed",
        c="skipped",
        tell="completed",
    )
    return run_id


async def test_a_retry_is_a_new_run_that_begins_with_what_its_origin_completed(
    client: httpx.AsyncClient, engine: AsyncEngine, failed_run: UUID
) -> None:
    before = await read_run(engine, failed_run)
    answer = await again(client, failed_run, "retry")
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (made["origin_run_id"], made["status"], made["workflow_version"]) == (str(failed_run), "queued", 1)
    assert answer.headers["Location"].endswith(made["run_id"])
    steps = await read_steps(engine, UUID(made["run_id"]))
    assert {name: (one.status, one.attempt, one.output) for name, one in steps.items()} == {
        "a": ("completed", 2, "a"),
        "each[0]": ("completed", 2, "each__0"),
        "each[2]": ("completed", 2, "each__2"),
    }
    shown = (await client.get(f"/api/v1/runs/{made['run_id']}")).json()
    assert (shown["origin_run_id"], shown["input"], shown["attempt"]) == (str(failed_run), {"list": [1, 2, 3]}, 0)
    assert await read_run(engine, failed_run) == before


@pytest.mark.parametrize("verb", ["retry", "replay"])
async def test_a_run_that_is_done_again_has_its_message_and_its_audit_entry(
    client: httpx.AsyncClient, engine: AsyncEngine, failed_run: UUID, api_settings: Settings, verb: str
) -> None:
    run_id = (await again(client, failed_run, verb)).json()["run_id"]
    async with transaction(engine) as connection:
        sent = (await connection.execute(select(outbox))).one()
        entry = (await connection.execute(select(audit_log).order_by(audit_log.c.id.desc()).limit(1))).one()
    assert (sent.topic, sent.key, sent.payload["run_id"]) == (api_settings.kafka_execution_topic, run_id, run_id)
    assert sent.payload["input"] == {"list": [1, 2, 3]}
    assert (entry.action, entry.subject_id) == (f"run.{verb}", run_id)
    assert entry.detail["origin_run_id"] == str(failed_run)
    repository = RunRepository(engine, owner="one", lease_seconds=30, audit=True)
    [claimed] = await repository.claim_received([ExecutionRequest.model_validate(sent.payload)])
    assert (claimed.attempt, claimed.token) == (1, 2 if verb == "retry" else 1), "a first claim reads no journal"


@pytest.mark.parametrize("verb", ["retry", "replay"])
async def test_the_same_key_does_a_run_again_once(
    client: httpx.AsyncClient, engine: AsyncEngine, failed_run: UUID, verb: str
) -> None:
    answers = await asyncio.gather(*(again(client, failed_run, verb, "k") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert sum(answer.headers.get("Idempotency-Replayed") == "true" for answer in answers) == 4
    assert (await count(engine, runs), await count(engine, outbox)) == (2, 1)


async def test_a_key_of_a_retry_is_refused_for_a_replay(client: httpx.AsyncClient, failed_run: UUID) -> None:
    await again(client, failed_run, "retry", "k")
    answer = await again(client, failed_run, "replay", "k")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "header.Idempotency-Key")


@pytest.mark.parametrize("status", ["queued", "running", "paused", "waiting", "completed"])
async def test_only_a_run_that_did_not_succeed_can_be_retried(
    client: httpx.AsyncClient, engine: AsyncEngine, failed_run: UUID, status: str
) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).values(status=status))
    answer = await again(client, failed_run, "retry")
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "run-not-failed")
    assert await count(engine, runs) == 1
    assert (await again(client, failed_run, "replay")).status_code == 202
    assert (await again(client, ABSENT, "retry")).status_code == 404


async def test_while_too_many_runs_wait_none_is_done_again(
    api_settings: Settings, engine: AsyncEngine, bearer: Any
) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    run_id = await add_run(engine, workflow_id, status="failed")
    await add_run(engine, workflow_id)
    few = create_app(api_settings.model_copy(update={"run_backlog_limit": 1}))
    async with running(few, **await bearer(Role.OPERATOR)) as client:

        async def counted() -> bool:
            return bool(few.state.service.backlog.is_full())

        await eventually(counted, "the queue to be counted")
        for verb in ("retry", "replay"):
            answer = await again(client, run_id, verb)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert await count(engine, runs) == 2


@pytest.fixture
async def run_of_the_version_before(client: httpx.AsyncClient) -> str:
    """A run of the first version of a workflow whose second one has an input schema."""
    await client.post("/api/v1/agents", json={"name": "nothing", "kind": "noop"})
    body = {"name": "w", "steps": [{"id": "a", "agent": "nothing"}]}
    workflow = (await client.post("/api/v1/workflows", json=body)).json()
    run = (await client.post(f"/api/v1/workflows/{workflow['id']}/execute", json={"input": {"old": 1}})).json()
    changed = await client.put(f"/api/v1/workflows/{workflow['id']}", json=body | {"input_schema": SCHEMA})
    assert changed.status_code == 200, changed.text
    return str(run["run_id"])


async def test_a_replay_has_the_version_and_the_input_of_its_origin(
    client: httpx.AsyncClient, run_of_the_version_before: str
) -> None:
    made = (await again(client, run_of_the_version_before, "replay")).json()
    assert made["workflow_version"] == 1
    assert (await client.get(f"/api/v1/runs/{made['run_id']}")).json()["input"] == {"old": 1}


async def test_a_replay_takes_another_input_and_the_current_version_where_they_are_asked_for(
    client: httpx.AsyncClient, run_of_the_version_before: str
) -> None:
    made = (await again(client, run_of_the_version_before, "replay", input={"name": "Ada"}, version="current")).json()
    assert made["workflow_version"] == 2
    assert (await client.get(f"/api/v1/runs/{made['run_id']}")).json()["input"] == {"name": "Ada"}


async def test_the_input_of_a_replay_must_fit_the_version_that_it_executes(
    client: httpx.AsyncClient, engine: AsyncEngine, run_of_the_version_before: str
) -> None:
    before = await count(engine, runs)
    answer = await again(client, run_of_the_version_before, "replay", version="current")
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["input"])
    assert await count(engine, runs) == before


@pytest.mark.parametrize("verb", ["retry", "replay"])
async def test_a_run_is_done_again_by_one_statement_that_writes(
    client: httpx.AsyncClient, app: Any, failed_run: UUID, verb: str
) -> None:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "INSERT" in statement:
            seen.append(statement)

    event.listen(app.state.service.engine.sync_engine, "before_cursor_execute", note)
    assert (await again(client, failed_run, verb, "k")).status_code == 202
    assert len(seen) == 1


async def test_a_retry_does_not_repeat_what_was_done(
    engine: AsyncEngine, settings: Settings, bearer: Any, api_settings: Settings
) -> None:
    broken = True

    async def fail_while_broken(call: Call) -> Answer:
        return json_answer({"path": call.path}, 400 if broken and call.path == "/second" else 200)

    async with web_server(fail_while_broken) as server, relaying(settings):
        allowed = {"http_agent_allowed_hosts": (f"127.0.0.1:{server.port}",)}
        api = create_app(settings.model_copy(update={"jwt_secret": api_settings.jwt_secret}))
        async with executing(settings, **allowed), running(api, **await bearer(Role.OPERATOR)) as client:
            workflow_id = await add_workflow(
                engine,
                step("first", "http", url=server.url("/first")),
                step("second", "http", needs=["first"], url=server.url("/second")),
            )
            run_id = await submit(engine, settings, workflow_id)
            assert (await finished(engine, run_id)).status == "failed"
            broken = False
            made = UUID((await again(client, run_id, "retry")).json()["run_id"])
            row = await finished(engine, made)
    assert (row.status, row.origin_run_id) == ("completed", run_id)
    assert [call.path for call in server.calls] == ["/first", "/second", "/second"]

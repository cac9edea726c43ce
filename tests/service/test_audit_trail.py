"""Every route writes the audit entry that it declares, and no other."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.audit.record import Actor, record
from service.auth.passwords import hash_password
from service.auth.roles import Role
from service.deadletters.letter import DeadLetter, as_json
from service.deadletters.store import KEEP
from service.openapi import document
from service.platform.database import AnyRow, transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, run_steps, runs, webhook_deliveries
from tests.service.support import add_user, make_settings

pytestmark = pytest.mark.ring("service")

Operation = tuple[str, str]

PREFIX = "/api/v1"
PASSWORD = "a good long password"
STEPS = [{"id": "only", "agent": "spare"}]

URL = "https://hooks.example.test/runs"
TIMES = {"expression": "0 7 * * *", "time_zone": "Europe/Berlin"}
SCHEDULES = {("post", "/schedules"): "new", ("put", "/schedules/{schedule_id}"): "changed"}
"""What needs a body that names a workflow, and the name to give."""

BODIES: dict[Operation, dict[str, Any]] = {
    ("post", "/auth/login"): {"username": "ada", "password": PASSWORD},
    ("post", "/auth/keys"): {"name": "another", "role": "viewer"},
    ("post", "/agents"): {"name": "new", "kind": "noop"},
    ("put", "/agents/{agent_id}"): {"name": "changed", "kind": "delay", "settings": {"seconds": 2}},
    ("post", "/workflows"): {"name": "new", "steps": STEPS},
    ("put", "/workflows/{workflow_id}"): {"name": "changed", "steps": STEPS},
    ("put", "/workflows/{workflow_id}/limits"): {"max_running": 2},
    ("post", "/workflows/{workflow_id}/execute"): {"input": {"x": 1}},
    ("post", "/workflows/{workflow_id}/execute-many"): {"runs": [{"input": {"x": 1}}]},
    ("post", "/runs/{run_id}/steps/{step_id}/signal"): {"outcome": "approve"},
    ("post", "/workflows/validate"): {"name": "new", "steps": STEPS},
    ("post", "/schedules/preview"): TIMES,
    ("post", "/webhooks"): {"name": "new", "url": URL, "events": ["run.failed"]},
    ("put", "/webhooks/{webhook_id}"): {"name": "changed", "url": URL, "events": ["run.completed"]},
}
"""What is sent to the routes that need a body."""


STREAMING = {("get", "/runs/{run_id}/events")}
"""Answers for as long as the run lasts, so it is not for a client who waits for the end."""


def _operations() -> dict[Operation, str | None]:
    """Every operation below the prefix with the action that it declares."""
    return {
        (method, path.removeprefix(PREFIX)): operation.get("x-audit-action")
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if path.startswith(PREFIX)
    }


CHANGING = {operation: action for operation, action in _operations().items() if action is not None}
READING = sorted(
    operation for operation, action in _operations().items() if action is None and operation not in STREAMING
)


@pytest.fixture
def api_settings(database: str) -> Settings:
    """Settings with a host that webhooks may name."""
    return make_settings(database, http_agent_allowed_hosts=("hooks.example.test",))


@pytest.fixture
async def things(client: httpx.AsyncClient, engine: AsyncEngine) -> dict[str, str]:
    """One thing of each kind, by the name that paths have for its id."""
    async with transaction(engine) as connection:
        await add_user(connection, Role.OPERATOR, name="ada", password_hash=hash_password(PASSWORD))

    async def made(path: str, **body: Any) -> Any:
        answer = await client.post(f"{PREFIX}{path}", json=body)
        assert answer.status_code in (201, 202), answer.text
        return answer.json()

    async def paused_run(workflow_id: str) -> str:
        run_id = str((await made(f"/workflows/{workflow_id}/execute"))["run_id"])
        assert (await client.post(f"{PREFIX}/runs/{run_id}/pause")).is_success
        return run_id

    async def failed_run(workflow_id: str) -> str:
        run_id = str((await made(f"/workflows/{workflow_id}/execute"))["run_id"])
        async with transaction(engine) as connection:
            await connection.execute(update(runs).where(runs.c.id == run_id).values(status="failed"))
        return run_id

    async def waiting_run(workflow_id: str) -> str:
        run_id = str((await made(f"/workflows/{workflow_id}/execute"))["run_id"])
        waits = {"run_id": run_id, "step_id": "only", "status": "waiting", "waits": {"kind": "approval"}}
        async with transaction(engine) as connection:
            await connection.execute(update(runs).where(runs.c.id == run_id).values(status="waiting"))
            await connection.execute(run_steps.insert().values(waits))
        return run_id

    agent = await made("/agents", name="spare", kind="noop")
    executed = await made("/workflows", name="executed", steps=STEPS)
    run = await made(f"/workflows/{executed['id']}/execute")
    schedules = [
        await made("/schedules", name=f"schedule {number}", workflow_id=executed["id"], **TIMES) for number in range(2)
    ]
    answer = await client.post(f"{PREFIX}/schedules/{schedules[1]['id']}/pause")
    assert answer.is_success, answer.text
    hooks = [await made("/webhooks", name=f"webhook {number}", url=URL, events=["run.failed"]) for number in range(2)]
    answer = await client.post(f"{PREFIX}/webhooks/{hooks[1]['id']}/disable")
    assert answer.is_success, answer.text
    async with transaction(engine) as connection:
        statement = webhook_deliveries.insert().values(
            webhook_id=hooks[0]["id"], run_id=run["run_id"], event="run.failed", payload={}
        )
        delivery_id = (await connection.execute(statement.returning(webhook_deliveries.c.id))).scalar_one()
    letter = DeadLetter.of_outbox(1, datetime.now(UTC), "topic", "key", (), b'{"message_id": "m"}')
    async with transaction(engine) as connection:
        await connection.execute(KEEP, {"letters": as_json([letter])})
    return {
        "letter_id": str(letter.id),
        "webhook_id": hooks[0]["id"],
        "disabled_id": hooks[1]["id"],
        "delivery_id": str(delivery_id),
        "agent_id": agent["id"],
        "workflow_id": (await made("/workflows", name="unused", steps=STEPS))["id"],
        "run_id": run["run_id"],
        "waiting_run_id": await waiting_run(executed["id"]),
        "step_id": "only",
        "failed_run_id": await failed_run(executed["id"]),
        "paused_run_id": await paused_run(executed["id"]),
        "key_id": (await made("/auth/keys", name="a key", role="viewer"))["id"],
        "version": "1",
        "executed_id": executed["id"],
        "schedule_id": schedules[0]["id"],
        "paused_id": schedules[1]["id"],
    }


Do = Callable[[Operation], Awaitable[httpx.Response]]


@pytest.fixture
def do(client: httpx.AsyncClient, things: dict[str, str]) -> Do:
    """Calls an operation with what there is."""

    async def call(operation: Operation) -> httpx.Response:
        method, path = operation
        body = BODIES.get(operation)
        if name := SCHEDULES.get(operation):
            body = {"name": name, "workflow_id": things["executed_id"], **TIMES}
        # Only what is paused can be resumed, what waits signalled, what failed gone on with, what is disabled enabled.
        states = {
            "/resume": {"schedule_id": things["paused_id"], "run_id": things["paused_run_id"]},
            "/signal": {"run_id": things["waiting_run_id"]},
            "/retry": {"run_id": things["failed_run_id"]},
            "/enable": {"webhook_id": things["disabled_id"]},
        }
        ids = things | next((state for end, state in states.items() if path.endswith(end)), {})
        return await client.request(method.upper(), PREFIX + path.format(**ids), json=body)

    return call


async def _entries(engine: AsyncEngine) -> list[AnyRow]:
    async with transaction(engine) as connection:
        return list((await connection.execute(select(audit_log).order_by(audit_log.c.id))).all())


@pytest.mark.item("audit-records-created")
@pytest.mark.parametrize("operation", CHANGING, ids=" ".join)
async def test_a_change_writes_exactly_the_entry_that_its_route_declares(
    operation: Operation, do: Do, engine: AsyncEngine
) -> None:
    before = len(await _entries(engine))
    answer = await do(operation)
    assert answer.is_success, answer.text
    assert [entry.action for entry in (await _entries(engine))[before:]] == [CHANGING[operation]]


@pytest.mark.parametrize("operation", CHANGING, ids=" ".join)
async def test_a_change_that_is_refused_writes_no_entry(
    operation: Operation, do: Do, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    before = len(await _entries(engine))
    client.headers["Authorization"] = "Bearer nonsense"
    answer = await do(operation) if operation[1] != "/auth/login" else await client.post("/api/v1/auth/login", json={})
    assert answer.is_client_error
    assert len(await _entries(engine)) == before


async def test_reading_writes_no_entry(do: Do, engine: AsyncEngine) -> None:
    before = len(await _entries(engine))
    assert {operation: (await do(operation)).status_code for operation in READING} == dict.fromkeys(READING, 200)
    assert len(await _entries(engine)) == before


async def _detail(engine: AsyncEngine) -> dict[str, Any]:
    detail: dict[str, Any] = (await _entries(engine))[-1].detail
    return detail


async def test_an_entry_shows_what_was_before_and_what_is_after(do: Do, engine: AsyncEngine) -> None:
    await do(("put", "/agents/{agent_id}"))
    assert await _detail(engine) == {
        "before": {"name": "spare", "kind": "noop", "settings": {}},
        "after": {"name": "changed", "kind": "delay", "settings": {"seconds": 2.0}},
    }


async def test_an_entry_of_a_workflow_names_the_versions(do: Do, engine: AsyncEngine) -> None:
    await do(("put", "/workflows/{workflow_id}"))
    assert await _detail(engine) == {
        "before": {"name": "unused", "description": "", "current_version": 1},
        "after": {"name": "changed", "description": "", "current_version": 2},
    }


async def test_an_entry_of_a_creation_has_no_before_and_one_of_a_deletion_no_after(do: Do, engine: AsyncEngine) -> None:
    await do(("post", "/agents"))
    assert await _detail(engine) == {"after": {"name": "new", "kind": "noop", "settings": {}}}
    await do(("delete", "/agents/{agent_id}"))
    assert await _detail(engine) == {"before": {"name": "spare", "kind": "noop", "settings": {}}}


async def test_what_is_named_like_a_secret_is_masked_in_an_entry(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    settings = {"topic": "told", "headers": {"dsn": "abcdefgh12345678"}}
    answer = await client.post("/api/v1/agents", json={"name": "caller", "kind": "kafka", "settings": settings})
    assert answer.status_code == 201, answer.text
    detail = await _detail(engine)
    assert detail["after"]["settings"]["headers"] == {"dsn": "***"}
    assert "abcdefgh12345678" not in str(detail)


async def test_the_entry_of_a_key_shows_no_key(do: Do, engine: AsyncEngine) -> None:
    made = (await do(("post", "/auth/keys"))).json()
    assert made["key"] not in str(await _detail(engine))
    assert (await _detail(engine))["after"]["prefix"] == made["prefix"]


async def test_revoking_a_key_again_changes_nothing_and_writes_nothing(do: Do, engine: AsyncEngine) -> None:
    revoke = ("delete", "/auth/keys/{key_id}")
    assert (await do(revoke)).status_code == 204
    detail = await _detail(engine)
    assert (detail["before"]["revoked_at"] is None, detail["after"]["revoked_at"] is None) == (True, False)
    before = len(await _entries(engine))
    assert (await do(revoke)).status_code == 204
    assert len(await _entries(engine)) == before


async def test_an_action_that_the_route_does_not_declare_cannot_be_written(engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        with pytest.raises(RuntimeError, match=r"declares that it audits agent\.create, not agent\.delete"):
            await record(connection, Actor("somebody", None, True, "agent.create"), "agent.delete", "agent")
    assert await _entries(engine) == []

"""What the tests of the console share: users, workflows, and runs as executors would have left them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.passwords import hash_password
from service.auth.roles import Role
from service.platform.database import transaction
from service.platform.ids import new_id
from service.platform.tables import agents, dead_letters, run_logs, run_steps, runs, workflow_versions, workflows
from service.schedules.store import create as create_schedule
from service.workflows.checks import AgentUse
from service.workflows.definition import content_hash, make_definition
from service.workflows.schemas import Flow
from tests.service.support import add_user, running

PASSWORD = "a good long password"
BEGIN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NASTY = "<script>alert(1)</script>"
HERE = {"Origin": "http://testserver"}

STEPS: list[dict[str, Any]] = [
    {"id": "read", "agent": "nothing"},
    {"id": "check", "agent": "nothing", "needs": ["read"]},
    {"id": "each", "agent": "nothing", "needs": ["read"], "for_each": {"items": "input.orders"}},
    {"id": "either", "agent": "nothing", "needs": ["check"], "when": "input.wanted"},
    {"id": "last", "agent": "nothing", "needs": ["either", "each", "read"]},
]
STATES = {"read": "completed", "check": "completed", "each": "failed", "either": "skipped", "last": "cancelled"}
SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


async def add_people(engine: AsyncEngine) -> None:
    """One user of each role, named like the role."""
    hashed = hash_password(PASSWORD)
    async with transaction(engine) as connection:
        for role in Role:
            await add_user(connection, role, name=role.value, password_hash=hashed)


async def add_agent(engine: AsyncEngine) -> None:
    """The agent of the steps."""
    async with transaction(engine) as connection:
        await connection.execute(agents.insert().values(id=new_id(), name="nothing", kind="noop", settings={}))


async def add_workflow(engine: AsyncEngine, name: str, steps: list[dict[str, Any]] | None = None, **more: Any) -> UUID:
    """A stored workflow, also with a name that the API would refuse."""
    flow = Flow.model_validate({"steps": steps or STEPS, **more})
    definition = make_definition(flow, {"nothing": AgentUse("nothing", "noop", {})})
    workflow_id = new_id()
    async with transaction(engine) as connection:
        values = {"id": workflow_id, "name": name, "description": f"{NASTY} in words", "current_version": 1}
        await connection.execute(workflows.insert().values(values))
        await connection.execute(
            workflow_versions.insert().values(
                workflow_id=workflow_id,
                version=1,
                definition=definition,
                content_hash=content_hash(definition),
                created_by="somebody",
            )
        )
    return workflow_id


async def add_run(engine: AsyncEngine, workflow_id: UUID, status: str = "queued", number: int = 0, **more: Any) -> UUID:
    """A run without steps; those with a higher number are later."""
    run_id, at = new_id(), BEGIN + timedelta(minutes=number)
    times = {} if status == "queued" else {"started_at": at + timedelta(seconds=1)}
    if status in ("completed", "failed", "cancelled"):
        times["finished_at"] = at + timedelta(seconds=9)
    values = {
        "id": run_id,
        "workflow_id": workflow_id,
        "workflow_version": 1,
        "status": status,
        "input": {"name": NASTY},
        "correlation_id": f"req-{number}",
        "requested_by": "somebody",
        "created_at": at,
        **times,
        **more,
    }
    async with transaction(engine) as connection:
        await connection.execute(runs.insert().values(values))
    return run_id


async def add_steps(engine: AsyncEngine, run_id: UUID, items: int = 3) -> None:
    """The journal of a run of STEPS: its items went wrong."""
    rows = [
        {"run_id": run_id, "step_id": name, "status": status, "attempt": 1, **_times(number)}
        for number, (name, status) in enumerate(STATES.items())
    ]
    rows += [
        {
            "run_id": run_id,
            "step_id": f"each[{place}]",
            "status": "failed" if place == items - 1 else "completed",
            "attempt": 1 + place,
            **_times(place),
        }
        for place in range(items)
    ]
    for row in rows:
        row["output"] = {"says": NASTY} if row["status"] == "completed" else None
        row["error"] = {"code": "broken", "detail": NASTY} if row["status"] == "failed" else None
    async with transaction(engine) as connection:
        await connection.execute(run_steps.insert(), rows)


async def add_log(engine: AsyncEngine, run_id: UUID) -> None:
    """Lines of each level in the run's log."""
    about = {"step_id": "each[2]", "attempt": 3}
    rows: list[dict[str, Any]] = [
        {"level": "debug", "message": "asked https://shop.example/orders", "fields": {"took_ms": 12}, **about},
        {"level": "info", "message": f"{NASTY} " + "a long line " * 30, "fields": {"order": {"id": 7}}, **about},
        {"level": "warning", "message": "The try failed, there will be another one: not now", "fields": {}, **about},
        {"level": "error", "message": "The run took too long", "fields": {}, "step_id": None, "attempt": None},
    ]
    async with transaction(engine) as connection:
        await connection.execute(
            run_logs.insert(), [{"run_id": run_id, "number": number, **row} for number, row in enumerate(rows)]
        )


def _times(number: int) -> dict[str, datetime]:
    return {
        "started_at": BEGIN + timedelta(seconds=1 + number),
        "finished_at": BEGIN + timedelta(seconds=3 + 1.4 * number),
    }


async def add_schedule(engine: AsyncEngine, workflow_id: UUID, name: str = "mornings") -> UUID:
    """A schedule of weekday mornings."""
    values = {
        "name": name,
        "workflow_id": workflow_id,
        "expression": "30 7 * * MON-FRI",
        "time_zone": "Europe/Berlin",
        "input": {"name": "Ada"},
        "catch_up": "skip",
        "catch_up_limit": 10,
        "overlap": "allow",
    }
    async with transaction(engine) as connection:
        row = await create_schedule(connection, values, next_fire_at=datetime(2100, 1, 1, tzinfo=UTC), author="ada")
    found: UUID = row.id
    return found


async def add_question(engine: AsyncEngine, run_id: UUID, step_id: str = "check") -> None:
    """A step that waits for a decision, as an executor leaves it."""
    waits = {
        "kind": "approval",
        "shown": {"prompt": f"Ship it? {NASTY}", "input": {"order": {"id": 7, "by": NASTY}}},
        "timeout_seconds": 86_400.0,
        "on_timeout": "fail",
        "otherwise": None,
    }
    values = {"run_id": run_id, "step_id": step_id, "status": "waiting", "attempt": 1, "waits": waits}
    async with transaction(engine) as connection:
        await connection.execute(run_steps.insert().values(started_at=BEGIN + timedelta(seconds=2), **values))


async def add_dead_letter(engine: AsyncEngine, payload: bytes = b'{"run_id": "r"}', topic: str = "runs") -> UUID:
    """A message that could not be read."""
    letter = new_id()
    values = {
        "id": letter,
        "source": "kafka",
        "place": f"{topic}/0/{letter}@1",
        "topic": topic,
        "key": "r",
        "headers": {"who": NASTY},
        "reason": "unreadable",
        "detail": f"it makes no sense: {NASTY}",
        "payload": payload,
        "payload_bytes": len(payload),
        "kept": "whole",
    }
    async with transaction(engine) as connection:
        await connection.execute(dead_letters.insert().values(**values))
    return letter


@asynccontextmanager
async def visiting(app: FastAPI, role: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without a screen: it keeps cookies, says where its forms come from, and is logged in with the role."""
    async with running(app, **HERE) as client:
        if role is not None:
            answer = await log_in(client, role)
            assert answer.status_code == 303, answer.text
        yield client


async def log_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    """Send the form."""
    return await client.post("/console/login", data={"username": name, "password": password, **more})

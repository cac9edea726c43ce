"""Limits and priorities as callers of the API set and see them."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.platform.database import transaction
from service.platform.tables import audit_log, workflow_limits
from tests.service.executor_support import message, read_run

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"
NONE = {"max_running": None, "max_starts": None, "per_seconds": None}


def _place(workflow_id: str) -> str:
    return f"/api/v1/workflows/{workflow_id}/limits"


async def _execute(client: httpx.AsyncClient, workflow_id: str, **body: Any) -> UUID:
    answer = await client.post(f"/api/v1/workflows/{workflow_id}/execute", json=body)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["run_id"])


async def _receive(engine: AsyncEngine, *run_ids: UUID) -> RunRepository:
    repository = RunRepository(engine, owner="one", lease_seconds=30, audit=True)
    await repository.claim_received([ExecutionRequest.model_validate(message(run_id)) for run_id in run_ids])
    return repository


async def _shown(client: httpx.AsyncClient, run_id: UUID) -> dict[str, Any]:
    answer = await client.get(f"/api/v1/runs/{run_id}")
    found: dict[str, Any] = answer.json()
    return found


async def test_a_workflow_has_no_limits_until_they_are_set(client: httpx.AsyncClient, workflow_id: str) -> None:
    answer = await client.get(_place(workflow_id))
    assert (answer.status_code, answer.json()) == (200, NONE)


async def test_limits_are_read_as_they_were_set_last(client: httpx.AsyncClient, workflow_id: str) -> None:
    first = {"max_running": 2, "max_starts": 10, "per_seconds": 60}
    for wanted, shown in ((first, first), ({"max_running": 3}, NONE | {"max_running": 3}), ({}, NONE)):
        answer = await client.put(_place(workflow_id), json=wanted)
        assert (answer.status_code, answer.json()) == (200, shown)
        assert (await client.get(_place(workflow_id))).json() == shown


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"max_running": 0}, "max_running"),
        ({"max_running": 1.5}, "max_running"),
        ({"max_running": 10**7}, "max_running"),
        ({"max_starts": 0, "per_seconds": 1}, "max_starts"),
        ({"max_starts": 5}, "per_seconds"),
        ({"per_seconds": 5}, "per_seconds"),
        ({"max_starts": 5, "per_seconds": 0}, "per_seconds"),
        ({"max_runing": 1}, "max_runing"),
    ],
)
async def test_limits_that_make_no_sense_are_refused_by_their_field_and_change_nothing(
    body: dict[str, Any], field: str, client: httpx.AsyncClient, workflow_id: str
) -> None:
    await client.put(_place(workflow_id), json={"max_running": 7})
    answer = await client.put(_place(workflow_id), json=body)
    assert answer.status_code == 422, answer.text
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert (await client.get(_place(workflow_id))).json() == NONE | {"max_running": 7}


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_limits_of_no_workflow_are_not_found(method: str, client: httpx.AsyncClient) -> None:
    answer = await client.request(method, _place(ABSENT), json={} if method == "PUT" else None)
    assert answer.status_code == 404


async def test_a_viewer_sees_limits_and_cannot_set_them(
    client: httpx.AsyncClient, workflow_id: str, bearer: Any
) -> None:
    client.headers.update(await bearer(Role.VIEWER))
    assert (await client.get(_place(workflow_id))).status_code == 200
    assert (await client.put(_place(workflow_id), json={"max_running": 1})).status_code == 403


async def test_the_audit_entry_shows_the_limits_before_and_after(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    await client.put(_place(workflow_id), json={"max_running": 2})
    await client.put(_place(workflow_id), json={"max_running": 1})
    async with transaction(engine) as connection:
        query = select(audit_log).where(audit_log.c.action == "workflow.limits").order_by(audit_log.c.id)
        first, second = (await connection.execute(query)).all()
    assert first.detail["before"] == NONE
    assert second.detail == {"before": NONE | {"max_running": 2}, "after": NONE | {"max_running": 1}}
    assert second.subject_id == workflow_id


async def test_a_workflow_with_limits_that_was_never_executed_can_be_deleted(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    await client.put(_place(workflow_id), json={"max_running": 1})
    assert (await client.delete(f"/api/v1/workflows/{workflow_id}")).status_code == 204
    async with transaction(engine) as connection:
        assert (await connection.execute(select(workflow_limits))).all() == []


@pytest.mark.parametrize(
    ("limits", "reason"), [({"max_running": 1}, "concurrency"), ({"max_starts": 1, "per_seconds": 60}, "rate")]
)
async def test_a_run_that_a_limit_holds_says_which(
    limits: dict[str, int], reason: str, client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    await client.put(_place(workflow_id), json=limits)
    first, second = await _execute(client, workflow_id), await _execute(client, workflow_id)
    repository = await _receive(engine, first, second)
    assert len(await repository.claim_held(UUID(workflow_id), 10) or []) == 1
    shown = await _shown(client, second)
    assert (shown["status"], shown["waits_for"]) == ("queued", reason)
    assert (await _shown(client, first))["waits_for"] is None


async def test_a_run_is_taken_up_once_limits_are_set_lower_and_taken_away(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    await client.put(_place(workflow_id), json={"max_running": 1})
    run_ids = [await _execute(client, workflow_id) for _ in range(3)]
    repository = await _receive(engine, *run_ids)
    assert len(await repository.claim_held(UUID(workflow_id), 10) or []) == 1
    await client.put(_place(workflow_id), json={})
    assert (await _shown(client, run_ids[2]))["waits_for"] is None
    assert len(await repository.claim_held(UUID(workflow_id), 10) or []) == 2


async def test_the_priority_of_a_run_is_stored_with_its_turn_and_shown(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    run_id = await _execute(client, workflow_id, priority=2)
    row = await read_run(engine, run_id)
    assert (row.created_at - row.turn_at).total_seconds() == 120
    assert (await _shown(client, run_id))["priority"] == 2
    assert (await client.get("/api/v1/runs")).json()["items"][0]["priority"] == 2


async def test_runs_that_are_asked_for_together_have_their_own_priorities(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    body = {"runs": [{"priority": 9}, {}]}
    answer = await client.post(f"/api/v1/workflows/{workflow_id}/execute-many", json=body)
    found = [(await read_run(engine, UUID(run_id))).priority for run_id in answer.json()["run_ids"]]
    assert found == [9, 0]


@pytest.mark.parametrize("priority", [-1, 10, "high", 1.5, None])
async def test_a_priority_outside_of_the_range_is_refused_by_its_field(
    priority: Any, client: httpx.AsyncClient, workflow_id: str
) -> None:
    answer = await client.post(f"/api/v1/workflows/{workflow_id}/execute", json={"priority": priority})
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["priority"]
    assert (await client.get("/api/v1/runs")).json()["items"] == []


async def test_a_key_stands_for_the_priority_too(client: httpx.AsyncClient, workflow_id: str) -> None:
    place, key = f"/api/v1/workflows/{workflow_id}/execute", {"Idempotency-Key": "k"}
    first = await client.post(place, json={"priority": 1}, headers=key)
    again = await client.post(place, json={"priority": 1}, headers=key)
    other = await client.post(place, json={"priority": 2}, headers=key)
    assert (again.json()["run_id"], other.status_code) == (first.json()["run_id"], 422)


async def test_a_replay_has_the_priority_of_its_origin(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    origin = await _execute(client, workflow_id, priority=3)
    answer = await client.post(f"/api/v1/runs/{origin}/replay", json={})
    row = await read_run(engine, UUID(answer.json()["run_id"]))
    assert (row.priority, (row.created_at - row.turn_at).total_seconds()) == (3, 180)

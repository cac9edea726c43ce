"""API keys that are narrowed to scopes, against a real database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.auth.scopes import Scope
from service.openapi import document
from service.platform.database import transaction
from tests.service.support import running

pytestmark = pytest.mark.ring("service")

KEYS = "/api/v1/auth/keys"
ABSENT = "01a20245-580a-721f-b174-27897f913689"

Bearer = Callable[[Role], Awaitable[dict[str, str]]]


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with running(app) as found:
        yield found


@pytest.fixture
async def admin(bearer: Bearer) -> dict[str, str]:
    """The headers of an administrator."""
    return await bearer(Role.ADMIN)


async def _make(client: httpx.AsyncClient, by: dict[str, str], **body: Any) -> httpx.Response:
    return await client.post(KEYS, json={"name": "k", **body}, headers=by)


async def _key(client: httpx.AsyncClient, by: dict[str, str], **body: Any) -> dict[str, str]:
    answer = await _make(client, by, **body)
    assert answer.status_code == 201, answer.text
    return {"X-API-Key": answer.json()["key"]}


async def test_a_key_tells_its_scopes_wherever_it_is_shown(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    scopes = ["runs:read", "runs:execute", "runs:read"]
    made = (await _make(client, admin, role="operator", scopes=scopes)).json()
    assert made["scopes"] == ["runs:execute", "runs:read"]
    [listed] = (await client.get(KEYS, headers=admin)).json()["items"]
    assert listed["scopes"] == made["scopes"]
    caller = await client.post("/api/v1/auth/test", headers={"X-API-Key": made["key"]})
    assert caller.json()["scopes"] == ["runs:execute", "runs:read", "self:read"]


async def test_a_key_without_scopes_may_do_all_that_its_role_may(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    key = await _key(client, admin, role="admin")
    assert (await client.get("/api/v1/audit", headers=key)).status_code == 200
    assert (await client.post("/api/v1/auth/test", headers=key)).json()["scopes"] is None


def _operations() -> list[tuple[str, str, str]]:
    return [
        (method, path, operation["security"][1]["apiKey"][0])
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        if operation["security"]
    ]


async def test_a_narrowed_key_passes_only_the_routes_of_its_scope(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    keys = {scope: await _key(client, admin, role="admin", scopes=[scope]) for scope in Scope}
    for method, path, needed in _operations():
        concrete = path.replace("{version}", "1")
        for name in ("workflow_id", "agent_id", "run_id", "key_id"):
            concrete = concrete.replace(f"{{{name}}}", ABSENT)
        passed = set()
        for scope, key in keys.items():
            answer = await client.request(method, concrete, headers=key)
            kind = answer.json().get("type", "") if answer.content else ""
            if not kind.endswith(":out-of-scope"):
                passed.add(scope.value)
        assert passed == ({needed} if needed != "self:read" else {scope.value for scope in Scope}), f"{method} {path}"


async def test_a_refusal_names_the_scope_that_is_needed(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    key = await _key(client, admin, role="operator", scopes=["runs:read"])
    answer = await client.get("/api/v1/agents", headers=key)
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(":out-of-scope")
    assert "agents:read" in answer.json()["detail"]


async def test_a_scope_does_not_widen_the_role(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    answer = await _make(client, admin, role="viewer", scopes=["runs:read", "runs:execute"])
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "scopes.1"
    assert "operator" in error["message"]
    assert (await client.get(KEYS, headers=admin)).json()["total"] == 0


@pytest.mark.parametrize(("scopes", "field"), [([], "scopes"), (["runs:everything"], "scopes.0")])
async def test_scopes_that_do_not_exist_are_refused(
    scopes: list[str], field: str, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    answer = await _make(client, admin, role="admin", scopes=scopes)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_only_an_administrator_makes_keys(role: Role, client: httpx.AsyncClient, bearer: Bearer) -> None:
    assert (await _make(client, await bearer(role), role="viewer")).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"role": "viewer"}, "scopes"),
        ({"role": "admin", "scopes": ["keys:manage", "audit:read"]}, "scopes.1"),
    ],
)
async def test_a_narrowed_key_cannot_make_a_wider_one(
    wanted: dict[str, Any], field: str, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    key = await _key(client, admin, role="admin", scopes=["keys:manage"])
    answer = await _make(client, key, **wanted)
    assert answer.status_code == 403
    assert answer.json()["type"].endswith(":more-than-own")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await client.get(KEYS, headers=admin)).json()["total"] == 1


async def test_a_narrowed_key_can_make_one_as_narrow(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    key = await _key(client, admin, role="admin", scopes=["keys:manage"])
    assert (await _make(client, key, role="admin", scopes=["keys:manage"])).status_code == 201


async def test_a_key_cannot_make_one_that_outlives_it(client: httpx.AsyncClient, admin: dict[str, str]) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    key = await _key(client, admin, role="admin", expires_at=end.isoformat())
    for later in (None, (end + timedelta(seconds=1)).isoformat()):
        answer = await _make(client, key, role="viewer", expires_at=later)
        assert answer.status_code == 403
        assert answer.json()["errors"][0]["field"] == "expires_at"
    assert (await _make(client, key, role="viewer", expires_at=end.isoformat())).status_code == 201


async def test_a_key_may_no_more_than_its_maker_may_since(
    client: httpx.AsyncClient, admin: dict[str, str], engine: AsyncEngine, app: FastAPI
) -> None:
    key = await _key(client, admin, role="operator")
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE users SET role = 'viewer'"))
    assert (await client.post("/api/v1/auth/test", headers=key)).json()["role"] == "viewer"
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE users SET role = 'admin'"))
    # As if the seconds had passed for which it is remembered.
    app.state.service.keys.forget()
    assert (await client.post("/api/v1/auth/test", headers=key)).json()["role"] == "operator"

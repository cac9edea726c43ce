"""Log-in, API keys and roles against a real database."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.passwords import hash_password
from service.auth.roles import Role
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import api_keys, audit_log
from tests.service.support import add_user, running

pytestmark = pytest.mark.ring("service")

PASSWORD = "a good long password"
Bearer = Callable[[Role], Awaitable[dict[str, str]]]


@pytest.fixture
async def stranger(app: FastAPI, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials; the user `ada`, an operator, exists."""
    async with transaction(engine) as connection:
        await add_user(connection, Role.OPERATOR, name="ada", password_hash=hash_password(PASSWORD))
    async with running(app) as client:
        yield client


def _failures(reason: str) -> float:
    return REGISTRY.get_sample_value("auth_failures_total", {"reason": reason}) or 0.0


@pytest.mark.item("authentication-works")
async def test_a_user_logs_in_and_uses_the_token(stranger: httpx.AsyncClient, engine: AsyncEngine) -> None:
    answer = await stranger.post("/api/v1/auth/login", json={"username": "ada", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    token = answer.json()
    assert (token["token_type"], token["expires_in"]) == ("bearer", 3600)
    caller = await stranger.post("/api/v1/auth/test", headers={"Authorization": f"Bearer {token['access_token']}"})
    assert caller.status_code == 200
    assert (caller.json()["role"], caller.json()["kind"]) == ("operator", "user")
    async with transaction(engine) as connection:
        entry = (await connection.execute(select(audit_log))).one()
    assert (entry.action, entry.actor, entry.address) == ("auth.login", caller.json()["subject"], "192.0.2.1")


@pytest.mark.item("auth-failures-logged")
@pytest.mark.parametrize(("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("ada\x00", PASSWORD)])
async def test_a_wrong_login_is_refused_and_counted(username: str, password: str, stranger: httpx.AsyncClient) -> None:
    before = _failures("bad_password")
    answer = await stranger.post("/api/v1/auth/login", json={"username": username, "password": password})
    if "\x00" in username:
        assert answer.status_code == 422
        return
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["detail"] == "Name or password is wrong."
    assert _failures("bad_password") == before + 1


async def test_a_caller_without_credentials_is_refused_everywhere(app: FastAPI, stranger: httpx.AsyncClient) -> None:
    guarded = [
        (method, path)
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        if operation["security"]
    ]
    assert len(guarded) > 15
    for method, path in guarded:
        concrete = path.replace("{version}", "1")
        for name in ("workflow_id", "agent_id", "run_id", "key_id"):
            concrete = concrete.replace(f"{{{name}}}", "01a20245-580a-721f-b174-27897f913689")
        answer = await stranger.request(method, concrete)
        assert answer.status_code == 401, f"{method} {concrete}"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "body"), [("agents", b'{"name":'), ("agents", b'{"name": 1}'), ("workflows/no-id/execute", b"")]
)
async def test_a_caller_without_credentials_is_not_told_what_is_wrong_with_the_request(
    path: str, body: bytes, stranger: httpx.AsyncClient
) -> None:
    answer = await stranger.post(f"/api/v1/{path}", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 401, answer.text


@pytest.mark.parametrize(
    ("header", "reason"),
    [({"Authorization": "Bearer nonsense"}, "bad_token"), ({"X-API-Key": "wfk_x"}, "bad_key"), ({}, "no_credentials")],
)
async def test_bad_credentials_are_counted_by_reason(
    header: dict[str, str], reason: str, stranger: httpx.AsyncClient
) -> None:
    before = _failures(reason)
    assert (await stranger.post("/api/v1/auth/test", headers=header)).status_code == 401
    assert _failures(reason) == before + 1


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        (Role.VIEWER, "GET", "/api/v1/agents", 200),
        (Role.VIEWER, "POST", "/api/v1/agents", 403),
        (Role.VIEWER, "GET", "/api/v1/audit", 403),
        (Role.OPERATOR, "POST", "/api/v1/agents", 201),
        (Role.OPERATOR, "GET", "/api/v1/auth/keys", 403),
        (Role.OPERATOR, "DELETE", "/api/v1/agents/01a20245-580a-721f-b174-27897f913689", 403),
        (Role.ADMIN, "GET", "/api/v1/audit", 200),
    ],
)
async def test_a_role_decides_what_is_allowed(
    role: Role, method: str, path: str, status: int, app: FastAPI, bearer: Bearer
) -> None:
    body = {"json": {"name": "n", "kind": "noop"}} if method == "POST" else {}
    async with running(app, **await bearer(role)) as client:
        answer = await client.request(method, path, **body)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    if status == 403:
        assert answer.json()["type"].endswith(":forbidden")
        assert role.value in answer.json()["detail"]


async def test_an_api_key_works_until_it_is_revoked(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    made = await client.post("/api/v1/auth/keys", json={"name": "ci", "role": "operator"})
    assert made.status_code == 201, made.text
    key, key_id = made.json()["key"], made.json()["id"]
    use = {"X-API-Key": key}
    caller = await stranger.post("/api/v1/auth/test", headers=use)
    assert (caller.status_code, caller.json()["kind"], caller.json()["role"]) == (200, "api_key", "operator")
    assert caller.json()["subject"] == f"key:{key_id}"

    listed = await client.get("/api/v1/auth/keys")
    assert key not in listed.text
    [item] = listed.json()["items"]
    assert item["prefix"] in key
    assert item["last_used_at"] is not None
    async with transaction(engine) as connection:
        stored = (await connection.execute(select(api_keys))).one()
    assert key not in str(stored)

    assert (await client.delete(f"/api/v1/auth/keys/{key_id}")).status_code == 204
    assert (await stranger.post("/api/v1/auth/test", headers=use)).status_code == 401
    assert (await client.delete("/api/v1/auth/keys/01a20245-580a-721f-b174-27897f913689")).status_code == 404


async def test_an_api_key_ends_when_it_should(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    ended = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    made = await client.post("/api/v1/auth/keys", json={"name": "old", "expires_at": ended})
    assert (await stranger.post("/api/v1/auth/test", headers={"X-API-Key": made.json()["key"]})).status_code == 401


@pytest.mark.item("api-key-header-setting")
async def test_the_header_of_the_key_can_be_chosen(api_settings: Settings, bearer: Bearer) -> None:
    app = create_app(api_settings.model_copy(update={"api_key_header": "X-Our-Key"}))
    async with running(app) as client:
        made = await client.post("/api/v1/auth/keys", json={"name": "k"}, headers=await bearer(Role.ADMIN))
        key = made.json()["key"]
        assert (await client.post("/api/v1/auth/test", headers={"X-Our-Key": key})).status_code == 200
        assert (await client.post("/api/v1/auth/test", headers={"X-API-Key": key})).status_code == 401


async def test_without_a_secret_everybody_may_do_everything(api_settings: Settings) -> None:
    async with running(create_app(api_settings.model_copy(update={"jwt_secret": None}))) as client:
        assert (await client.post("/api/v1/agents", json={"name": "n", "kind": "noop"})).status_code == 201
        assert (await client.post("/api/v1/auth/test")).json()["kind"] == "anonymous"
        login = await client.post("/api/v1/auth/login", json={"username": "a", "password": "b"})
    assert login.status_code == 409
    assert login.json()["type"].endswith(":authentication-off")

"""How much each caller may send, whatever addresses it comes from, against a real database."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.auth.roles import Role
from service.platform.settings import Settings
from tests.service.support import running

pytestmark = pytest.mark.ring("service")

Bearer = Callable[[Role], Awaitable[dict[str, str]]]


@pytest.fixture
def app(api_settings: Settings) -> FastAPI:
    """The API with a limit of four requests a minute."""
    return create_app(api_settings.model_copy(update={"rate_limit_requests": 4}))


async def _ask(app: FastAPI, address: str, headers: dict[str, str], path: str = "/api/v1/agents") -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
        return await client.get(path)


@pytest.mark.item("rate-limiting")
async def test_a_caller_is_limited_across_addresses(app: FastAPI, bearer: Bearer) -> None:
    ada, bob = await bearer(Role.VIEWER), await bearer(Role.VIEWER)
    async with running(app):
        answers = [await _ask(app, f"192.0.2.{number}", ada) for number in range(1, 6)]
        other = await _ask(app, "192.0.2.1", bob)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert answers[4].json()["type"].endswith(":too-many-requests")
    assert "each caller" in answers[4].json()["detail"]
    assert int(answers[4].headers["Retry-After"]) >= 1
    assert other.status_code == 200


@pytest.mark.item("rate-limiting")
async def test_an_address_is_limited_across_callers(app: FastAPI, bearer: Bearer) -> None:
    async with running(app):
        answers = [await _ask(app, "192.0.2.1", await bearer(Role.VIEWER)) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert "each address" in answers[4].json()["detail"]


async def test_an_answer_tells_of_both_limits(app: FastAPI, bearer: Bearer) -> None:
    ada = await bearer(Role.VIEWER)
    async with running(app):
        await _ask(app, "192.0.2.1", ada)
        answer = await _ask(app, "192.0.2.2", ada)
        stranger = await _ask(app, "192.0.2.3", {})
    assert answer.headers["RateLimit-Policy"] == '"address";q=4;w=60, "caller";q=4;w=60'
    assert answer.headers["RateLimit"].startswith('"address";r=3;t=')
    assert ', "caller";r=2;t=' in answer.headers["RateLimit"]
    assert stranger.status_code == 401
    assert stranger.headers["RateLimit-Policy"] == '"address";q=4;w=60'


async def test_without_authentication_only_addresses_are_limited(api_settings: Settings) -> None:
    app = create_app(api_settings.model_copy(update={"rate_limit_requests": 1, "jwt_secret": None}))
    async with running(app):
        answers = [await _ask(app, f"192.0.2.{number}", {}) for number in (1, 2, 1)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


async def test_probes_are_limited_for_nobody(app: FastAPI) -> None:
    async with running(app):
        answers = [await _ask(app, "192.0.2.1", {}, path) for path in ("/health", "/metrics") for _ in range(6)]
    assert {answer.status_code for answer in answers} == {200}


async def test_a_page_of_another_origin_may_read_the_limits(app: FastAPI) -> None:
    async with running(app):
        answer = await _ask(app, "192.0.2.1", {"Origin": "http://localhost:3000"})
    assert {"RateLimit", "RateLimit-Policy"} <= {
        name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")
    }

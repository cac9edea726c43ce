"""The HTTP layers around an application, without any other part of the service."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp

from service.platform import problems
from service.platform.middleware.body_limit import BodyLimitMiddleware
from service.platform.middleware.rate_limit import RateLimitMiddleware, network_of
from service.platform.middleware.request_context import RequestContextMiddleware
from service.platform.middleware.security_headers import SecurityHeadersMiddleware
from service.platform.middleware.trusted_hosts import TrustedHostsMiddleware
from service.platform.middleware.unhandled import UnhandledErrorMiddleware
from service.platform.problems import TYPE_PREFIX

pytestmark = pytest.mark.ring("unit")


class Order(BaseModel):
    """A body."""

    size: int


def _app() -> FastAPI:
    app = FastAPI()
    inner = APIRouter(prefix="/inner")

    @inner.post("/orders/{number}")
    async def order(number: int, body: Order) -> int:
        return number * body.size

    @inner.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret detail")

    @app.get("/health")
    async def health() -> str:
        return "ok"

    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    app.include_router(outer)
    problems.install(app)
    return app


def _client(app: ASGIApp, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 4000))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


def _wrapped(*layers: Callable[[ASGIApp], ASGIApp]) -> ASGIApp:
    app: ASGIApp = _app()
    for layer in layers:
        app = layer(app)
    return app


def _assert_problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == TYPE_PREFIX + kind
    assert document["status"] == status
    assert document["title"]
    return document


async def test_wrong_fields_are_named() -> None:
    async with _client(_app()) as client:
        answer = await client.post("/outer/inner/orders/x", json={"size": "big"})
    document = _assert_problem(answer, 422, "validation")
    assert {error["field"] for error in document["errors"]} == {"path.number", "size"}


async def test_a_body_that_is_no_json_is_told_so() -> None:
    async with _client(_app()) as client:
        answer = await client.post("/outer/inner/orders/1", content=b"{", headers={"Content-Type": "application/json"})
    _assert_problem(answer, 422, "malformed-json")


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/outer/inner/orders/1", 405, "method-not-allowed"),
    ],
)
async def test_the_routers_own_errors_are_problems_too(method: str, path: str, status: int, kind: str) -> None:
    async with _client(_app()) as client:
        _assert_problem(await client.request(method, path), status, kind)


async def test_an_unexpected_error_tells_nothing_internal() -> None:
    app = _app()
    app.add_middleware(UnhandledErrorMiddleware)
    app.add_middleware(RequestContextMiddleware)
    async with _client(app) as client:
        answer = await client.get("/outer/inner/broken")
    document = _assert_problem(answer, 500, "internal")
    assert document["correlation_id"] == answer.headers["X-Correlation-ID"]
    assert "secret detail" not in answer.text
    assert "RuntimeError" not in answer.text


@pytest.mark.parametrize("given", ["req-abc123", "0af7651916cd43dd8448eb211c80319c", "a.b:c_d-e"])
async def test_a_correlation_id_is_echoed(given: str) -> None:
    async with _client(_wrapped(RequestContextMiddleware)) as client:
        answer = await client.get("/health", headers={"X-Correlation-ID": given})
    assert answer.headers["X-Correlation-ID"] == given


@pytest.mark.parametrize("given", [None, "", "with blank", "x" * 129, 'quote"', "line\\nbreak{}"])
async def test_a_correlation_id_that_is_missing_or_unsafe_is_replaced(given: str | None) -> None:
    async with _client(_wrapped(RequestContextMiddleware)) as client:
        answer = await client.get("/health", headers={} if given is None else {"X-Correlation-ID": given})
    made = answer.headers["X-Correlation-ID"]
    assert made.startswith("req-")
    assert made != given


@pytest.fixture
async def limited() -> AsyncIterator[ASGIApp]:
    """An application that lets three requests a minute pass."""
    return _wrapped(lambda app: RateLimitMiddleware(app, requests=3, window=60))


@pytest.mark.item("rate-limiting")
async def test_a_client_that_sends_too_much_is_told_when_to_come_back(limited: ASGIApp) -> None:
    async with _client(limited) as client:
        answers = [await client.get("/nowhere") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429, 429]
    _assert_problem(answers[3], 429, "too-many-requests")
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 120


@pytest.mark.item("rate-limiting")
async def test_every_answer_tells_where_the_client_stands(limited: ASGIApp) -> None:
    async with _client(limited) as client:
        answers = [await client.get("/nowhere") for _ in range(4)]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"address";q=3;w=60'}
    told = [re.fullmatch(r'"address";r=(\d+);t=(\d+)', answer.headers["RateLimit"]) for answer in answers]
    assert [match and int(match[1]) for match in told] == [2, 1, 0, 0]
    assert all(match and 1 <= int(match[2]) <= 60 for match in told)


@pytest.mark.parametrize("path", ["/healthy", "/health/readyish", "/metrics/x"])
async def test_a_path_that_only_begins_like_a_probe_is_limited(path: str, limited: ASGIApp) -> None:
    async with _client(limited) as client:
        assert [(await client.get(path)).status_code for _ in range(4)] == [404, 404, 404, 429]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("testclient:x", "testclient:y", False),
        ("", "", True),
    ],
)
def test_a_network_of_ipv6_is_one_client(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


async def test_another_client_is_not_held_responsible(limited: ASGIApp) -> None:
    async with _client(limited) as client:
        for _ in range(4):
            await client.get("/nowhere")
    async with _client(limited, "192.0.2.2") as other:
        assert (await other.get("/nowhere")).status_code == 404


async def test_health_is_never_limited(limited: ASGIApp) -> None:
    async with _client(limited) as client:
        answers = [await client.get("/health") for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers


async def test_zero_switches_the_limit_off() -> None:
    async with _client(_wrapped(lambda app: RateLimitMiddleware(app, requests=0, window=60))) as client:
        assert {(await client.get("/nowhere")).status_code for _ in range(10)} == {404}


async def _in_pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 100


async def test_a_large_body_is_refused_by_its_announced_length() -> None:
    async with _client(_wrapped(lambda app: BodyLimitMiddleware(app, maximum=1000))) as client:
        answer = await client.post("/outer/inner/orders/1", content=b" " * 1001)
    _assert_problem(answer, 413, "too-large")


async def test_a_large_body_without_announced_length_is_refused_while_reading() -> None:
    async with _client(_wrapped()) as unlimited:
        assert (await unlimited.post("/outer/inner/orders/1", content=_in_pieces(11))).status_code == 422
    app = _app()
    app.add_middleware(BodyLimitMiddleware, maximum=1000)
    async with _client(app) as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.post("/outer/inner/orders/1", content=_in_pieces(11), headers=headers)
    _assert_problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("api.internal", 404),
        ("api.internal:8000", 404),
        ("x.example.test", 404),
        ("API.internal", 404),
        ("example.test", 400),
        ("evil.test", 400),
        ("api.internal.evil.test", 400),
        ("[::1]:8000", 400),
    ],
)
async def test_only_requests_for_our_names_are_answered(host: str, status: int) -> None:
    app = _wrapped(lambda inner: TrustedHostsMiddleware(inner, hosts=("api.internal", "*.example.test")))
    async with _client(app) as client:
        assert (await client.get("/nowhere", headers={"Host": host})).status_code == status
        assert (await client.get("/health", headers={"Host": host})).status_code == 200


async def test_every_answer_carries_the_careful_headers() -> None:
    async with _client(_wrapped(SecurityHeadersMiddleware)) as client:
        answer = await client.get("/nowhere")
        secure = await client.get("https://testserver/nowhere")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in answer.headers
    assert "max-age" in secure.headers["Strict-Transport-Security"]

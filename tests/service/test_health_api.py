"""Liveness, readiness, metrics and CORS of the API."""

import asyncio
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.platform.settings import Settings
from tests.service.servers import PostgresServer, eventually, free_port
from tests.service.support import make_settings, running

pytestmark = pytest.mark.ring("service")


def _dead_database() -> str:
    return f"postgresql://user:hidden-word@127.0.0.1:{free_port()}/none"


@pytest.mark.item("health-response-time")
async def test_liveness_does_not_ask_the_dependencies() -> None:
    async with running(create_app(make_settings(_dead_database()))) as client:
        await client.get("/nowhere")  # The first request of an application makes its routes.
        started = time.monotonic()
        answer = await client.get("/health")
        took = time.monotonic() - started
    assert took < 0.5
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "timestamp"}
    assert answer.json()["status"] == "healthy"
    assert answer.json()["timestamp"].endswith("Z")


async def test_readiness_tells_that_all_is_connected(settings: Settings) -> None:
    async with running(create_app(settings)) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "ready"
    assert answer.json()["checks"] == {"database": "connected", "kafka": "connected"}
    assert answer.json()["timestamp"].endswith("Z")


async def test_readiness_names_kafka_when_it_is_away(api_settings: Settings) -> None:
    async with running(create_app(api_settings)) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["status"] == "not_ready"
    assert answer.json()["checks"] == {"database": "connected", "kafka": "disconnected"}
    assert set(answer.json()) == {"status", "checks", "timestamp"}


async def test_readiness_names_the_database_when_it_is_away() -> None:
    async with running(create_app(make_settings(_dead_database()))) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"] == "disconnected"
    assert "hidden-word" not in answer.text


async def test_the_api_may_be_ready_without_kafka_where_the_settings_say_so(api_settings: Settings) -> None:
    relaxed = api_settings.model_copy(update={"readiness_requires_kafka": False})
    async with running(create_app(relaxed)) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.json()["checks"]["kafka"] == "disconnected"


async def test_a_check_ends_before_a_probe_gives_up() -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    released = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        mute = make_settings(f"postgresql://user:x@127.0.0.1:{port}/none?sslmode=disable", f"127.0.0.1:{port}")
        async with running(create_app(mute)) as client:
            started = time.monotonic()
            answer = await client.get("/health/ready")
            assert time.monotonic() - started < 5
        assert answer.json()["checks"] == {"database": "disconnected", "kafka": "disconnected"}
    finally:
        released.set()
        server.close()


async def test_without_a_database_a_request_is_to_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.platform.failover.PATIENCE_SECONDS", 0.2)
    settings = make_settings(_dead_database(), jwt_secret=None)
    async with running(create_app(settings)) as client:
        answer = await client.get("/api/v1/agents")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["type"].endswith(":unavailable")
    assert "hidden-word" not in answer.text


async def test_a_used_up_pool_answers_in_time(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.platform.database.POOL_WAIT_SECONDS", 0.2)
    settings = make_settings(database, jwt_secret=None, database_pool_size=1, database_max_overflow=0)
    app = create_app(settings)
    async with running(app) as client:
        async with app.state.service.engine.connect():
            assert (await client.get("/api/v1/agents")).status_code == 503
        assert (await client.get("/api/v1/agents")).status_code == 200


async def test_the_pool_is_divided_among_the_workers(database: str) -> None:
    settings = make_settings(database, api_workers=4, database_pool_size=20, database_max_overflow=40)
    app = create_app(settings)
    async with running(app):
        pool = app.state.service.engine.sync_engine.pool
        assert (pool.size(), pool._max_overflow) == (5, 10)


async def test_a_url_with_tls_that_the_server_does_not_offer_is_refused(
    postgres_server: PostgresServer, database: str
) -> None:
    settings = make_settings(database + "?sslmode=require")
    async with running(create_app(settings)) as client:
        assert (await client.get("/health/ready")).json()["checks"]["database"] == "disconnected"
    async with running(create_app(make_settings(database + "?sslmode=prefer"))) as client:
        assert (await client.get("/health/ready")).json()["checks"]["database"] == "connected"


def _samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.item(
    "metrics-endpoint",
    "metric-request-count",
    "metric-request-latency",
    "metric-active-requests",
    "metric-active-users",
    "metric-db-pool",
)
async def test_requests_are_counted_by_the_full_template_of_their_route(
    client: httpx.AsyncClient, workflow_id: str
) -> None:
    before = _samples((await client.get("/metrics")).text)
    await client.post(f"/api/v1/workflows/{workflow_id}/execute")
    await client.get(f"/api/v1/workflows/{workflow_id}")
    await client.get("/scanner/123")
    await client.get("/scanner/456")
    await client.request("BREW", "/health")
    page = await client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    after = _samples(page.text)

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after.get(key, 0.0) - before.get(key, 0.0)

    execute = "/api/v1/workflows/{workflow_id}/execute"
    assert grown("http_requests_total", method="POST", endpoint=execute, status="202") == 1
    assert grown("http_request_latency_seconds_count", method="POST", endpoint=execute) == 1
    one = "/api/v1/workflows/{workflow_id}"
    assert grown("http_requests_total", method="GET", endpoint=one, status="200") == 1
    assert grown("http_requests_total", method="GET", endpoint="unmatched", status="404") == 2
    assert grown("workflow_runs_submitted_total") == 1
    assert after["http_requests_active", frozenset()] == 1, "this very request"
    assert after["db_pool_size", frozenset()] == 10
    assert after["db_pool_overflow", frozenset()] == 0
    assert after["auth_active_subjects", frozenset()] >= 1
    for reason in ("bad_password", "bad_token", "expired_token", "bad_key", "no_credentials", "throttled"):
        assert ("auth_failures_total", frozenset({("reason", reason)})) in after

    async def all_returned() -> bool:
        return _samples((await client.get("/metrics")).text)["db_pool_checked_out", frozenset()] == 0

    await eventually(all_returned, "all connections to be back in the pool")
    endpoints = {dict(labels).get("endpoint") for _, labels in after} - {None}
    assert not any(workflow_id in str(endpoint) for endpoint in endpoints)


@pytest.mark.item("metrics-flag-on")
async def test_metrics_can_be_switched_off(api_settings: Settings) -> None:
    async with running(create_app(api_settings.model_copy(update={"enable_metrics": False}))) as client:
        assert (await client.get("/metrics")).status_code == 404


@pytest.mark.item("cors-live-behaviour")
async def test_only_the_configured_origins_may_call_from_a_browser(api_settings: Settings) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with running(create_app(api_settings)) as client:
        ours = await client.options("/api/v1/agents", headers={"Origin": "http://localhost:3000"} | preflight)
        theirs = await client.options("/api/v1/agents", headers={"Origin": "http://evil.test"} | preflight)
        refused = await client.get("/api/v1/agents", headers={"Origin": "http://localhost:3000"})
    assert ours.status_code == 200
    assert ours.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
    assert ours.headers["Access-Control-Allow-Credentials"] == "true"
    assert theirs.status_code == 400
    assert "Access-Control-Allow-Origin" not in theirs.headers
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == "http://localhost:3000", "errors are readable too"

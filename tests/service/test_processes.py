"""The commands as processes: the API with one worker and with several, checks, and wrong settings."""

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.passwords import hash_password
from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.platform.database import transaction
from service.platform.drain import DRAIN_SECONDS
from service.platform.settings import Settings
from tests.certificates import Authority
from tests.service.executor_support import add_run, add_workflow, step
from tests.service.servers import eventually, free_port
from tests.service.support import NOBODY, add_user

pytestmark = pytest.mark.ring("service")

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a password of ada's"


def _environment(settings: Settings, folder: Path, **given: str) -> dict[str, str]:
    """The settings as a deployment gives them: secrets by files."""
    assert settings.jwt_secret is not None
    for name, value in {"url": settings.database_url, "jwt": settings.jwt_secret}.items():
        (folder / name).write_text(value.get_secret_value() + "\n")
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL_FILE": str(folder / "url"),
        "JWT_SECRET_FILE": str(folder / "jwt"),
        "KAFKA_BROKERS": NOBODY,
        "API_HOST": "127.0.0.1",
        "RATE_LIMIT_REQUESTS": "0",
        **given,
    }


@contextmanager
def _process(environment: dict[str, str], output: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments], cwd=ROOT, env=environment, stdout=stream, stderr=stream
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@asynccontextmanager
async def _api(
    settings: Settings, folder: Path, *, authority: Path | None = None, **given: str
) -> AsyncIterator[tuple[httpx.AsyncClient, subprocess.Popen[bytes]]]:
    port = free_port()
    environment = _environment(settings, folder, API_PORT=str(port), **given)
    address = f"https://localhost:{port}" if authority else f"http://127.0.0.1:{port}"
    trust = ssl.create_default_context(cafile=authority) if authority else True
    with _process(environment, folder / "output", "api") as process:
        async with httpx.AsyncClient(base_url=address, timeout=20, verify=trust) as client:

            async def answers() -> bool:
                assert process.poll() is None, (folder / "output").read_text()
                try:
                    return (await client.get("/health")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, "the API to answer", seconds=60)
            yield client, process


async def _end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return await asyncio.to_thread(process.wait, 40)


@pytest.mark.item("no-secrets-in-logs", "access-logs-captured", "auth-failures-logged")
async def test_the_api_logs_every_request_as_json_and_no_secret(
    api_settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with transaction(engine) as connection:
        user_id = await add_user(connection, Role.ADMIN, name="ada", password_hash=hash_password(PASSWORD))
    async with _api(api_settings, tmp_path, LOG_LEVEL="DEBUG") as (client, process):
        login = {"username": "ada", "password": PASSWORD}
        answer = await client.post("/api/v1/auth/login", json=login)
        token = answer.json()["access_token"]
        assert "server" not in answer.headers
        bearer = {"Authorization": f"Bearer {token}", "X-Correlation-ID": "req-abc123"}
        key = (await client.post("/api/v1/auth/keys", json={"name": "k"}, headers=bearer)).json()["key"]
        await client.get("/api/v1/agents", headers={"X-API-Key": key})
        await client.post("/api/v1/auth/login", json=login | {"password": "guessed-word"})
        await client.get(f"/api/v1/agents?token={token}", headers={"Authorization": "Bearer not-a-token"})
        assert await _end(process) == 0
    output = (tmp_path / "output").read_text()
    records: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    access = [record for record in records if record["logger"] == "service.access"]
    assert [record["status"] for record in access if record["endpoint"].startswith("/api")] == [200, 201, 200, 401, 401]
    named = next(record for record in access if record["correlation_id"] == "req-abc123")
    assert (named["user_id"], named["endpoint"]) == (str(user_id), "/api/v1/auth/keys")
    assert any(record["message"] == "Log-in refused" for record in records)
    assert api_settings.jwt_secret is not None
    database_password = re.search(r":([^:@/]+)@", api_settings.database_url.get_secret_value())
    assert database_password is not None
    secrets = [PASSWORD, token, key, "guessed-word", api_settings.jwt_secret.get_secret_value(), database_password[1]]
    for secret in secrets:
        assert secret not in output
    assert records[-1]["level"] == "INFO"


async def test_several_workers_answer_with_one_set_of_metrics(api_settings: Settings, tmp_path: Path) -> None:
    async with _api(api_settings, tmp_path, API_WORKERS="2", DATABASE_POOL_SIZE="8") as (client, process):

        async def both_count() -> bool:
            # A new connection each time, so that both workers get some.
            async with httpx.AsyncClient(base_url=client.base_url, timeout=20) as fresh:
                text = (await fresh.get("/metrics")).text
            return re.search(r"^db_pool_size 8\.0$", text, re.MULTILINE) is not None

        await eventually(both_count, "the pools of both workers to be counted", seconds=60)

        async def counted() -> float:
            text = (await client.get("/metrics")).text
            pattern = r'^http_requests_total\{endpoint="/api/v1/agents",method="GET",status="401"\} ([\d.e+]+)$'
            found = re.search(pattern, text, re.MULTILINE)
            return float(found[1]) if found else 0.0

        for _ in range(12):
            async with httpx.AsyncClient(base_url=client.base_url, timeout=20) as fresh:
                assert (await fresh.get("/api/v1/agents")).status_code == 401
        assert await counted() == 12, "whichever worker is asked, all requests are there"
        assert await _end(process) == 0


@pytest.mark.item("tls-public-endpoints")
@pytest.mark.parametrize("workers", ["1", "2"])
async def test_with_a_certificate_the_api_speaks_https_only(
    api_settings: Settings, tmp_path: Path, workers: str
) -> None:
    authority = Authority()
    (tmp_path / "ca.crt").write_text(authority.certificate)
    certificate, key = authority.issue("api", "localhost").write(tmp_path)
    files = {"TLS_CERT_FILE": str(certificate), "TLS_KEY_FILE": str(key), "API_WORKERS": workers}
    async with _api(api_settings, tmp_path, authority=tmp_path / "ca.crt", **files) as (client, process):
        assert (await client.get("/health")).status_code == 200
        async with httpx.AsyncClient(base_url=str(client.base_url).replace("https", "http")) as plain:
            with pytest.raises(httpx.TransportError):
                await plain.get("/health")
        assert await _end(process) == 0


async def test_a_certificate_that_cannot_be_used_stops_the_api_with_the_reason(
    api_settings: Settings, tmp_path: Path
) -> None:
    files = {"TLS_CERT_FILE": str(tmp_path / "absent.crt"), "TLS_KEY_FILE": str(tmp_path / "absent.key")}
    refused = await asyncio.to_thread(_run, _environment(api_settings, tmp_path, **files), "api")
    assert refused.returncode == 2
    assert "cannot be used: No such file" in refused.stdout + refused.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_an_api_that_is_asked_to_stop_answers_on_and_closes_each_connection(
    api_settings: Settings, tmp_path: Path, workers: str
) -> None:
    async with _api(api_settings, tmp_path, API_WORKERS=workers) as (client, process):
        assert "connection" not in (await client.get("/health")).headers
        process.send_signal(signal.SIGTERM)

        async def told_to_close() -> bool:
            # Each of these must succeed: on the kept connection and, after it was closed, on new ones.
            answer = await client.get("/health")
            assert answer.status_code == 200
            return answer.headers.get("connection") == "close"

        await eventually(told_to_close, "answers that close the connection")
        assert (await client.get("/health")).headers["connection"] == "close", "new connections are taken, and told too"
        assert await asyncio.to_thread(process.wait, 40) == 0


async def test_a_request_under_way_when_the_api_is_asked_to_stop_is_answered(
    api_settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with transaction(engine) as connection:
        await add_user(connection, Role.ADMIN, name="ada", password_hash=hash_password(PASSWORD))
    async with _api(api_settings, tmp_path) as (client, process):
        async with transaction(engine) as connection:
            # Log-in waits here until long after the listener is closed.
            await connection.execute(text("LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE"))
            login = {"username": "ada", "password": PASSWORD}
            answer = asyncio.create_task(client.post("/api/v1/auth/login", json=login))
            query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

            async def waits() -> bool:
                async with engine.connect() as other:
                    return bool(await other.scalar(query))

            await eventually(waits, "the log-in to be under way")
            process.send_signal(signal.SIGTERM)

            async def refuses() -> bool:
                try:
                    async with httpx.AsyncClient(base_url=client.base_url) as fresh:
                        await fresh.get("/health")
                except httpx.TransportError:
                    return True
                return False

            await eventually(refuses, "the listener to be closed")
        assert (await answer).status_code == 200
        assert await asyncio.to_thread(process.wait, 40) == 0


def _run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_check_tells_whether_a_part_is_reachable(api_settings: Settings, tmp_path: Path) -> None:
    environment = _environment(api_settings, tmp_path)
    good = await asyncio.to_thread(_run, environment, "check", "database")
    assert (good.returncode, good.stdout) == (0, "database: connected\n")
    bad = await asyncio.to_thread(_run, environment, "check", "kafka")
    assert bad.returncode == 1
    assert "kafka: not reachable" in bad.stderr


async def test_wrong_settings_stop_every_command_with_the_reason() -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql://u:hidden-word@h/d", "API_PORT": "x"}
    for command in ("api", "relay", "executor", "migrate"):
        refused = await asyncio.to_thread(_run, environment, command)
        assert refused.returncode == 2
        assert "API_PORT" in refused.stderr
        assert "KAFKA_BROKERS is not set" in refused.stderr
        assert "hidden-word" not in refused.stderr


async def test_an_event_stream_does_not_hold_up_a_stop(
    api_settings: Settings, engine: AsyncEngine, tmp_path: Path
) -> None:
    async with transaction(engine) as connection:
        user_id = await add_user(connection, Role.VIEWER)
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    token = issue_token(api_settings, user_id, Role.VIEWER)
    async with (
        _api(api_settings, tmp_path) as (client, process),
        client.stream("GET", f"/api/v1/runs/{run_id}/events", headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        lines = answer.aiter_lines()
        while "event: run" not in await anext(lines):
            pass
        began = asyncio.get_running_loop().time()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in lines:
                pass
        assert await asyncio.to_thread(process.wait, 40) == 0
        assert asyncio.get_running_loop().time() - began < DRAIN_SECONDS + 10

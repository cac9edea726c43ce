"""A package's kind in real processes: saved through the API, executed by an executor, with a secret."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.platform.database import create_engine, transaction
from service.platform.settings import Settings
from tests.service.example_support import install_example
from tests.service.servers import eventually, free_port
from tests.service.support import add_user

pytestmark = pytest.mark.ring("service")

ROOT = Path(__file__).resolve().parents[2]
KEY = "a key that signs greetings"


@contextmanager
def process(environment: dict[str, str], output: Path, command: str) -> Iterator[None]:
    """A program of the service while the block runs."""
    with output.open("wb") as stream:
        started = subprocess.Popen(
            [sys.executable, "-m", "service", command], cwd=ROOT, env=environment, stdout=stream, stderr=stream
        )
    try:
        yield
        assert started.poll() is None, output.read_text()
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(40)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait(10)


async def test_a_packages_kind_is_saved_and_executed_and_its_secret_stays_where_it_is(
    settings: Settings, tmp_path: Path
) -> None:
    installed = install_example(tmp_path)
    agent_secrets = tmp_path / "agents"
    agent_secrets.mkdir()
    (agent_secrets / "greeting-key").write_text(KEY + "\n")
    port = free_port()
    assert settings.jwt_secret is not None
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(installed),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "KAFKA_BROKERS": ",".join(settings.kafka_brokers),
        "KAFKA_EXECUTION_TOPIC": settings.kafka_execution_topic,
        "KAFKA_CANCELLATION_TOPIC": settings.kafka_cancellation_topic,
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "API_HOST": "127.0.0.1",
        "API_PORT": str(port),
        "RATE_LIMIT_REQUESTS": "0",
        "AGENT_SECRETS_DIR": str(agent_secrets),
        "GRACEFUL_SHUTDOWN_SECONDS": "5",
    }
    outputs = {command: tmp_path / command for command in ("api", "relay", "executor")}
    with ExitStack() as stack:
        for command, output in outputs.items():
            own = {**environment, "WORKER_HTTP_PORT": str(free_port())}
            stack.enter_context(process(own, output, command))
        headers = {"Authorization": f"Bearer {await _token(settings)}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", headers=headers, timeout=20) as client:
            await eventually(lambda: _answers(client), "the API to answer", seconds=90)
            kinds = (await client.get("/agents/kinds")).json()["items"]
            assert ("greet", "greeting-agent 1.0.0") in [(each["kind"], each["package"]) for each in kinds]
            agent = {"name": "hello", "kind": "greet", "settings": {"key": {"secret": "greeting-key"}}}
            assert (await client.post("/agents", json=agent)).status_code == 201
            step = {"id": "greet", "agent": "hello", "input": {"name": {"$jmespath": "input.name"}}}
            made = await client.post("/workflows", json={"name": "greeting", "steps": [step]})
            assert made.status_code == 201, made.text
            accepted = await client.post(f"/workflows/{made.json()['id']}/execute", json={"input": {"name": "Ada"}})
            run_id = accepted.json()["run_id"]

            async def ended() -> bool:
                return (await client.get(f"/runs/{run_id}")).json()["status"] in ("completed", "failed")

            await eventually(ended, "the run to end", seconds=90)
            run = await client.get(f"/runs/{run_id}")
    signature = hmac.new(KEY.encode(), b"Hello, Ada!", hashlib.sha256).hexdigest()
    assert run.json()["status"] == "completed", run.text
    assert run.json()["output"] == {"greet": {"text": "Hello, Ada!", "signature": signature}}
    told = "".join(output.read_text() for output in outputs.values()) + run.text
    assert KEY not in told
    assert json.dumps(KEY)[1:-1] not in told


async def _token(settings: Settings) -> str:
    engine = create_engine(settings, application="test")
    try:
        async with transaction(engine) as connection:
            return issue_token(settings, await add_user(connection, Role.ADMIN), Role.ADMIN)
    finally:
        await engine.dispose()


async def _answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/agents/kinds")).status_code == 200
    except httpx.TransportError:
        return False

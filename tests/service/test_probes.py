"""The containers' health check, and the small server that relay and executor answer it with."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from service.platform.settings import Settings
from service.platform.worker_http import serve_health
from tests.service.servers import free_port
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def settings() -> Settings:
    """Settings that listen on the loopback interface."""
    return make_settings("postgresql://u@h/d", api_host="127.0.0.1")


@pytest.fixture
def problems() -> dict[str, str]:
    """What the process finds wrong with itself."""
    return {}


@pytest.fixture
async def port(settings: Settings, problems: dict[str, str]) -> AsyncIterator[int]:
    """A running server's port."""
    async with serve_health(settings, lambda: problems, port=0) as found:
        yield found


async def _get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        return await client.get(path)


async def test_a_worker_without_problems_is_healthy(port: int) -> None:
    answer = await _get(port, "/health")
    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert answer.json()["timestamp"].endswith("Z")


async def test_a_worker_with_a_problem_names_it(port: int, problems: dict[str, str]) -> None:
    problems["kafka"] = "no answer for 40 s"
    answer = await _get(port, "/health")
    assert answer.status_code == 503
    assert answer.json()["problems"] == {"kafka": "no answer for 40 s"}


async def test_a_worker_shows_its_metrics(port: int) -> None:
    answer = await _get(port, "/metrics")
    assert answer.status_code == 200
    assert "workflow_runs_completed_total" in answer.text


async def test_a_worker_shows_no_metrics_where_they_are_off(settings: Settings) -> None:
    quiet = settings.model_copy(update={"enable_metrics": False})
    async with serve_health(quiet, dict, port=0) as port:
        assert (await _get(port, "/metrics")).status_code == 404


async def test_other_paths_and_methods_are_refused(port: int) -> None:
    assert (await _get(port, "/etc/passwd")).status_code == 404
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        assert (await client.post("/health")).status_code == 405


async def _probe(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service.healthcheck", url]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.item("docker-healthcheck-fails-truly")
async def test_the_health_check_succeeds_only_on_200(port: int, problems: dict[str, str]) -> None:
    assert (await _probe(f"http://127.0.0.1:{port}/health")).returncode == 0
    problems["database"] = "away"
    failed = await _probe(f"http://127.0.0.1:{port}/health")
    assert failed.returncode == 1
    assert "answered 503, expected 200" in failed.stderr
    assert (await _probe(f"http://127.0.0.1:{port}/absent")).returncode == 1


async def test_the_health_check_fails_where_nobody_answers() -> None:
    failed = await _probe(f"http://127.0.0.1:{free_port()}/health")
    assert failed.returncode == 1
    assert "no answer" in failed.stderr


async def test_the_health_check_wants_one_url() -> None:
    failed = await _probe("localhost")
    assert failed.returncode == 1
    assert "usage" in failed.stderr

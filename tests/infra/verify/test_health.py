"""Health as the API tells it and as the engine sees it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.infra.support.live import Live
from tests.infra.support.log_records import parse_time
from tests.infra.support.stack_outputs import StackOutputs

pytestmark = pytest.mark.ring("verify")

SLOWEST_HEALTH = 0.5  # seconds
SAMPLES = 10
LONGEST_START = 90.0  # seconds; start period, one interval and the probe's own time


def _fresh(timestamp: str) -> bool:
    instant = parse_time(timestamp)
    return instant is not None and abs(datetime.now(UTC) - instant) < timedelta(minutes=2)


@pytest.mark.item("liveness-endpoint", "external-access")
def test_health_tells_that_the_process_is_alive(root: httpx.Client) -> None:
    response = root.get("/health")
    assert response.status_code == httpx.codes.OK
    assert response.json()["status"] == "healthy"
    assert _fresh(response.json()["timestamp"]), response.json()


@pytest.mark.item("readiness-endpoint", "dependencies-connected")
def test_readiness_names_database_and_kafka_as_connected(inner: httpx.Client) -> None:
    response = inner.get("/health/ready")
    assert response.status_code == httpx.codes.OK, response.text
    body = response.json()
    assert body["status"] == "ready"
    assert body["checks"] == {"database": "connected", "kafka": "connected"}
    assert _fresh(body["timestamp"]), body


@pytest.mark.item("health-response-time")
@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_health_answers_fast(inner: httpx.Client, path: str) -> None:
    times = [inner.get(path).elapsed.total_seconds() for _ in range(SAMPLES)]
    assert max(times) < SLOWEST_HEALTH, f"{path} took up to {max(times):.3f} s"


@pytest.mark.item("docker-health-status", "health-checks-all-services")
def test_the_engine_finds_every_container_healthy(
    outputs: StackOutputs, live: Live, eventually: Callable[..., Any]
) -> None:
    for part in outputs.running:
        eventually(
            lambda part=part: live.health_faults(part) == [],
            timeout=LONGEST_START,
            what=f"the health of {part}",
            interval=0.5,
        )

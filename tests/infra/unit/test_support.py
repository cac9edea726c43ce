"""Waiting is bounded, outputs are refused when incomplete, metrics are read with their labels."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.infra.support import exposition, stack_outputs
from tests.infra.support.waiting import NotYet, eventually

pytestmark = pytest.mark.ring("unit")

OUTPUTS: dict[str, Any] = {
    "urls": {"api": "http://127.0.0.1:8000"},
    "network": "orchestrator-network",
    "missing": {"grafana": "its image can't be had here"},
    "adminUsername": "admin",
    "adminPassword": "a-password-nobody-knows",
    "inventory": {
        "api": {"container": "workflow-management-api", "image": "workflow-api:1", "kind": "service", "uid": 10001},
        "executor": {"container": "workflow-executor", "image": "workflow-api:1", "kind": "service", "uid": 10001},
        "migrate": {"container": "workflow-migrate", "image": "workflow-api:1", "kind": "job", "uid": 10001},
        "kafka": {"container": "workflow-kafka", "image": "workflow-kafka:1", "kind": "stateful", "uid": 10001},
    },
}

METRICS = """\
# TYPE http_requests_total counter
http_requests_total{endpoint="/health",status="200"} 3.0
http_requests_total{endpoint="/health",status="500"} 1.0
# TYPE http_request_latency_seconds histogram
http_request_latency_seconds_bucket{le="+Inf"} 4.0
http_request_latency_seconds_count 4.0
http_request_latency_seconds_sum 0.1
"""


def test_eventually_answers_as_soon_as_the_check_holds() -> None:
    answers = iter([None, "", "done"])
    assert eventually(lambda: next(answers), timeout=5, interval=0) == "done"


def test_eventually_is_bounded_and_tells_what_it_saw() -> None:
    begun = time.monotonic()
    with pytest.raises(AssertionError, match=r"the run did not come true within 0\.05 s; last seen: it is queued"):
        eventually(lambda: NotYet("it is queued"), timeout=0.05, what="the run")
    assert time.monotonic() - begun < 2


def test_eventually_takes_tolerated_errors_as_not_yet() -> None:
    with pytest.raises(AssertionError, match="refused"):
        eventually(_refuse, timeout=0.02, interval=0.01, tolerate=(ConnectionError,))
    with pytest.raises(ConnectionError):
        eventually(_refuse, timeout=0.02)


def _refuse() -> None:
    raise ConnectionError("refused")


def test_the_parts_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(OUTPUTS))
    outputs = stack_outputs.read(path)
    assert set(outputs.running) == {"api", "executor", "kafka"}
    assert set(outputs.programs) == {"api", "executor"}
    assert set(outputs.executors) == {"executor"}


def test_the_password_is_not_in_the_repr_of_the_outputs() -> None:
    assert "a-password-nobody-knows" not in repr(stack_outputs.parse(OUTPUTS))


@pytest.mark.parametrize("absent", ["urls", "inventory", "network", "adminUsername", "adminPassword"])
def test_incomplete_outputs_are_refused_by_name(absent: str) -> None:
    with pytest.raises(stack_outputs.OutputsError, match=absent):
        stack_outputs.parse({name: value for name, value in OUTPUTS.items() if name != absent})


def test_without_outputs_the_message_says_how_to_start_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(stack_outputs.VARIABLE, raising=False)
    with pytest.raises(stack_outputs.OutputsError, match=r"deploy-api\.sh verify"):
        stack_outputs.read_from_environment()


def test_metrics_are_summed_over_matching_labels() -> None:
    metrics = exposition.parse(METRICS)
    assert metrics.total("http_requests_total", endpoint="/health") == 4
    assert metrics.total("http_requests_total", status="500") == 1
    assert metrics.total("http_requests_total", status="404") == 0
    assert metrics.kind("http_requests_total") == "counter"
    assert metrics.kind("http_request_latency_seconds") == "histogram"
    assert metrics.kind("unknown") is None


@pytest.mark.parametrize("text", ["", "<html>not metrics</html>"])
def test_a_text_that_is_no_exposition_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        exposition.parse(text)

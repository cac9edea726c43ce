"""Runs that do not simply succeed: slow ones, cancelled ones, failing ones, ones started beside one another."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.infra.support.workflow_api import WorkflowApi, step, told

pytestmark = pytest.mark.ring("verify")

SLOW = 60.0  # seconds; far longer than any check waits
AT_ONCE = 1.0  # seconds
LONGEST_CANCELLATION = 20.0  # seconds


@pytest.fixture(scope="module")
def cancelled(admin: WorkflowApi, eventually: Callable[..., Any]) -> dict[str, Any]:
    """A run that would take a minute, seen running, then cancelled and followed to its end."""
    workflow = admin.workflow({**step("wait", admin.agent("delay", {"seconds": SLOW})), "timeout_seconds": SLOW * 2})
    begun = time.monotonic()
    run_id = admin.execute(workflow)
    accepted = time.monotonic() - begun
    eventually(lambda: admin.run(run_id)["status"] == "running", timeout=15, what="the slow run being worked on")
    response = admin.post(f"/runs/{run_id}/cancel")
    final = admin.finished(run_id, LONGEST_CANCELLATION)
    return {"id": run_id, "accepted": accepted, "response": response, "final": final}


@pytest.mark.item("heavy-work-off-request-path")
def test_a_slow_workflow_is_accepted_at_once(cancelled: dict[str, Any]) -> None:
    assert cancelled["accepted"] < AT_ONCE


@pytest.mark.item("run-cancellation")
def test_a_running_workflow_is_cancelled(cancelled: dict[str, Any]) -> None:
    assert cancelled["response"].status_code == httpx.codes.ACCEPTED, told(cancelled["response"])
    assert cancelled["final"]["status"] == "cancelled"


@pytest.mark.item("run-cancellation")
def test_the_cancellation_went_over_kafka(
    cancelled: dict[str, Any], ask_kafka: Callable[..., Any], environment: Callable[[str], dict[str, str]]
) -> None:
    topic = environment("api").get("KAFKA_CANCELLATION_TOPIC", "workflow.cancellation.requests")
    messages = ask_kafka("find", topic, cancelled["id"], "10")
    assert messages, f"no message about the run on {topic}"
    assert messages[0]["key"] == cancelled["id"]


@pytest.mark.item("metric-workflow-execution")
def test_a_run_whose_step_fails_ends_as_failed_with_its_reason_and_is_counted(
    admin: WorkflowApi, program_metrics: Callable[..., float]
) -> None:
    before = program_metrics("workflow_runs_failed_total")
    elsewhere = admin.agent("http", {"method": "GET", "url": "http://not-on-the-list.invalid/"})
    failing = {**step("call", elsewhere), "retry": {"max_attempts": 1, "backoff_seconds": 0}}
    final = admin.finished(admin.execute(admin.workflow(failing, step("after", admin.agent(), "call"))))
    assert final["status"] == "failed"
    assert final["error"], "a failed run does not say why"
    assert program_metrics("workflow_runs_failed_total") >= before + 1


@pytest.mark.item("critical-endpoints-respond")
def test_an_http_agent_calls_a_host_from_the_executor_exactly_when_it_is_allowed(
    admin: WorkflowApi, environment: Callable[[str], dict[str, str]]
) -> None:
    allowed = environment("executor").get("HTTP_AGENT_ALLOWED_HOSTS", "").split(",")
    own = f"api:{environment('api').get('API_PORT', '8000')}"
    agent = admin.agent("http", {"method": "GET", "url": f"http://{own}/health"})
    once = {**step("call", agent), "retry": {"max_attempts": 1, "backoff_seconds": 0}}
    final = admin.finished(admin.execute(admin.workflow(once)))
    if own not in allowed:
        assert final["status"] == "failed", f"{own} was called, though only {allowed} may be"
        assert "HTTP_AGENT_ALLOWED_HOSTS" in json.dumps(final), f"it failed for another reason: {final['error']}"
        return
    assert final["status"] == "completed", final["error"]
    (only,) = final["steps"]
    assert (only["output"]["status"], only["output"]["json"]["status"]) == (200, "healthy")


@pytest.mark.item("execute-workflow")
def test_steps_without_needs_run_side_by_side(admin: WorkflowApi) -> None:
    pause = admin.agent("delay", {"seconds": 1})
    join = step("join", admin.agent(), "left", "right")
    workflow = admin.workflow(step("left", pause), step("right", pause), join)
    begun = time.monotonic()
    final = admin.finished(admin.execute(workflow))
    assert final["status"] == "completed", final["error"]
    assert time.monotonic() - begun < 1.9, "two steps of a second each were run one after the other"


@pytest.mark.item("audit-records-created")
def test_the_audit_lists_what_was_changed(admin: WorkflowApi) -> None:
    agent = admin.agent()
    changed = {"name": agent["name"], "kind": "delay", "settings": {"seconds": 0}}
    assert admin.request("PUT", f"/agents/{agent['id']}", json=changed).status_code == httpx.codes.OK
    listed = admin.get("/audit").json()["items"]
    actions = [entry["action"] for entry in listed if entry["subject_id"] == agent["id"]]
    assert sorted(actions) == ["agent.create", "agent.update"]
    assert all(entry["actor"] and entry["at"] for entry in listed)

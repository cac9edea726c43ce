"""What `wfm workflows apply` takes for the same, and what it shows of a difference."""

from typing import Any

import pytest

from wfm.cli import diff
from wfm.models import WorkflowAnswer, WorkflowRequest

pytestmark = pytest.mark.ring("unit")

WRITTEN: dict[str, Any] = {"name": "w", "steps": [{"id": "a", "agent": "x"}]}
STORED = WorkflowAnswer.model_validate(
    {
        **WRITTEN,
        "id": "01a20245-580a-721f-b174-27897f913689",
        "description": "",
        "version": 3,
        "created_at": "2030-01-01T00:00:00Z",
        "updated_at": "2030-01-01T00:00:00Z",
        "steps": [
            {"id": "a", "agent": "x", "needs": [], "when": None, "retry": {"jitter": True}, "timeout_seconds": 30}
        ],
        "newer": "than this client",
    }
)


def _before() -> dict[str, Any]:
    found = diff.complete(WorkflowRequest, diff.fields_of(WorkflowRequest, STORED))
    assert found is not None
    return found


def test_what_is_left_out_is_no_difference() -> None:
    assert diff.complete(WorkflowRequest, WRITTEN) == _before()


def test_only_what_is_meant_shows() -> None:
    wanted = diff.complete(WorkflowRequest, {**WRITTEN, "steps": [{"timeout_seconds": 5, "agent": "x", "id": "a"}]})
    assert wanted is not None
    changed = [
        line for line in diff.lines(_before(), wanted, "w") if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert changed == ["-  timeout_seconds: 30.0", "+  timeout_seconds: 5.0"]


def test_what_is_left_out_is_shown_as_the_server_stores_it() -> None:
    changed = diff.lines(_before(), {**_before(), "name": "v"}, "w")
    assert not [line for line in changed if "timeout" in line and line[:1] in "+-"]
    wanted = diff.complete(WorkflowRequest, WRITTEN)
    assert wanted is not None
    assert "+  timeout_seconds: 30.0" in diff.lines(None, wanted, "w")


def test_what_does_not_fit_the_client_is_left_to_the_server() -> None:
    assert diff.complete(WorkflowRequest, {"name": "w", "steps": [], "brand_new": 1}) is None

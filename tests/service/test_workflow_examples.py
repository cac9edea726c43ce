"""What docs/workflows.md shows can be saved."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.workflows.checks import AgentUse, find_problems
from service.workflows.schemas import Flow, WorkflowRequest

pytestmark = pytest.mark.ring("unit")

PAGE = Path(__file__).parents[2] / "docs/workflows.md"
EXAMPLES = [found.strip() for found in re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)]


def _workflow(example: str) -> dict[str, Any]:
    """The example, completed to a workflow where it is a part of one."""
    if example.startswith('"on_failure"'):
        pay = {"id": "pay", "agent": "payments"}
        return {"name": "example", "steps": [pay], **json.loads(f"{{{example}}}")}
    found: dict[str, Any] = json.loads(example)
    if "steps" in found:
        return found
    return {"name": "example", "steps": [found, *({"id": need, "agent": "payments"} for need in found["needs"])]}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_saved(example: str) -> None:
    flow: Flow = WorkflowRequest.model_validate(_workflow(example))
    agents = {
        step.agent: AgentUse(step.agent, "http", {"url": "http://x/"}) for step in (*flow.steps, *flow.on_failure)
    }
    assert find_problems(flow, agents) == []


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 5

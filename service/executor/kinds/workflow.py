"""The kind that executes another workflow."""

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid5

from pydantic import Field

from service.executor.json_schema import value_problems
from service.executor.kinds.base import Agent, AgentSettings, StepContext, StepFailedError
from service.executor.waiting import Child, OnTimeout, Waiting

WORKFLOW = "workflow"
MAX_DEPTH = 8
"""Runs one below another, the first one not counted; so workflows that execute one another in a circle end."""

MAX_WAIT_SECONDS = 86_400.0 * 30
_CHILDREN = UUID("b1f0a0b4-6d0e-4c1e-8a55-1f1d3f0c9f27")
_TOLD_PROBLEMS = 5


class WorkflowSettings(AgentSettings):
    """Which workflow is executed, and how long its end is waited for."""

    workflow: str = Field(min_length=1, max_length=200, description="Its name, or its id")
    version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="null: the version that is current when the step is done"
    )
    timeout_seconds: float | None = Field(
        None, gt=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False, description="null: as long as the run may take"
    )
    on_timeout: OnTimeout = Field("fail", description="`continue`: the step completes with the output null")


@dataclass(frozen=True, slots=True)
class Callee:
    """What a step finds of the workflow that it is to execute; without a version there is none."""

    workflow_id: UUID | None
    name: str | None
    version: int | None
    input_schema: Any
    depth: int
    """How deep the run lies that the step is of: 0 for one that no step began."""


class Callees(Protocol):
    """Finds workflows."""

    async def find(self, run_id: UUID, workflow: str, version: int | None) -> Callee:
        """The workflow by its id or else its name, in this version or else the current one; waits out outages."""


class WorkflowAgent(Agent[WorkflowSettings]):
    """Executes a workflow with the step's input as a run of its own, and waits for its end without holding a place.

    The step's output is that of the run. One that fails or is cancelled fails the step with the code ``child-failed``.
    """

    kind = WORKFLOW
    settings_model = WorkflowSettings

    def __init__(self) -> None:
        self.callees: Callees | None = None
        """Set by the executor."""

    async def run(self, settings: WorkflowSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """The run to be stored, and that it is waited for."""
        if self.callees is None:
            raise StepFailedError("child-workflow", "this process executes no workflows", retryable=False)
        found = await self.callees.find(UUID(context.run_id), settings.workflow, settings.version)
        if found.workflow_id is None or found.version is None:
            raise StepFailedError("child-workflow", _missing(settings, found), retryable=False)
        if found.depth >= MAX_DEPTH:
            detail = f"runs may lie {MAX_DEPTH} deep below one another, and this one lies as deep already"
            raise StepFailedError("child-depth", detail, retryable=False)
        if found.input_schema is not None:
            problems = value_problems(found.input_schema, step_input)
            if problems:
                told = "; ".join(f"{path or 'the input'}: {message}" for path, message in problems[:_TOLD_PROBLEMS])
                detail = f"the step's input does not fit the input schema of {found.name!r}: {told}"
                raise StepFailedError("child-input", detail, retryable=False)
        child = Child(child_id(context.run_id, context.step_id), found.workflow_id, found.version, step_input)
        shown = {
            "run_id": str(child.run_id),
            "workflow_id": str(child.workflow_id),
            "workflow": found.name,
            "version": child.version,
        }
        return Waiting(WORKFLOW, shown, settings.timeout_seconds, settings.on_timeout, None, child)


def child_id(run_id: str, step_id: str) -> UUID:
    """The id of the run that a step begins: always the same."""
    return uuid5(_CHILDREN, f"{run_id}/{step_id}")


def _missing(settings: WorkflowSettings, found: Callee) -> str:
    if found.workflow_id is None:
        return f"there is no workflow {settings.workflow!r}"
    return f"the workflow {found.name!r} has no version {settings.version}"

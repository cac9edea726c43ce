"""Workflows: defined, tried out, executed."""

from typing import Any

from wfm.calls import Body, Call, Everything, Id, Procedure, new_key, operation
from wfm.models import (
    AcceptedRun,
    AcceptedRuns,
    BulkRequest,
    Limits,
    PageOfWorkflowSummary,
    PlanAnswer,
    ValidationAnswer,
    VersionAnswer,
    WorkflowAnswer,
    WorkflowRequest,
    WorkflowSummary,
)
from wfm.operations import bulk


@operation("GET /api/v1/workflows")
def list_workflows(*, page: int = 1, size: int | None = None) -> Call[PageOfWorkflowSummary]:
    """A page of the workflows, by name."""
    return Call(PageOfWorkflowSummary, query={"page": page, "size": size})


@operation("POST /api/v1/workflows")
def create_workflow(body: WorkflowRequest | Body) -> Call[WorkflowAnswer]:
    """Create a workflow with its first version."""
    return Call(WorkflowAnswer, body=body)


@operation("POST /api/v1/workflows/validate")
def validate_workflow(body: WorkflowRequest | Body) -> Call[ValidationAnswer]:
    """Everything that is wrong with a workflow; nothing is stored."""
    return Call(ValidationAnswer, body=body, changes_nothing=True)


@operation("GET /api/v1/workflows/{workflow_id}")
def get_workflow(workflow_id: Id) -> Call[WorkflowAnswer]:
    """Read a workflow with the steps of its current version."""
    return Call(WorkflowAnswer, path={"workflow_id": workflow_id})


@operation("GET /api/v1/workflows/{workflow_id}/versions/{version}")
def get_version(workflow_id: Id, version: int) -> Call[VersionAnswer]:
    """Read one version of a workflow."""
    return Call(VersionAnswer, path={"workflow_id": workflow_id, "version": version})


@operation("PUT /api/v1/workflows/{workflow_id}")
def replace_workflow(workflow_id: Id, body: WorkflowRequest | Body) -> Call[WorkflowAnswer]:
    """Give a workflow a new version."""
    return Call(WorkflowAnswer, path={"workflow_id": workflow_id}, body=body)


@operation("DELETE /api/v1/workflows/{workflow_id}")
def delete_workflow(workflow_id: Id) -> Call[None]:
    """Delete a workflow that was never executed."""
    return Call(None, path={"workflow_id": workflow_id})


@operation("POST /api/v1/workflows/{workflow_id}/plan")
def plan_workflow(workflow_id: Id, run_input: dict[str, Any] | None = None) -> Call[PlanAnswer]:
    """What a run of the current version would do with an input; nothing is executed."""
    body = {"input": run_input or {}}
    return Call(PlanAnswer, path={"workflow_id": workflow_id}, body=body, changes_nothing=True)


@operation("GET /api/v1/workflows/{workflow_id}/limits")
def get_limits(workflow_id: Id) -> Call[Limits]:
    """How many runs of a workflow go on at a time and begin in a time at most."""
    return Call(Limits, path={"workflow_id": workflow_id})


@operation("PUT /api/v1/workflows/{workflow_id}/limits")
def set_limits(workflow_id: Id, body: Limits | Body) -> Call[Limits]:
    """Set all limits of a workflow; what is left out is not limited any more."""
    return Call(Limits, path={"workflow_id": workflow_id}, body=body)


@operation("POST /api/v1/workflows/{workflow_id}/execute")
def execute(
    workflow_id: Id,
    run_input: dict[str, Any] | None = None,
    *,
    priority: int = 0,
    idempotency_key: str | None = None,
) -> Call[AcceptedRun]:
    """Execute the current version. Without a key it gets one of its own, so that it can be tried again."""
    body = {"input": run_input or {}} | ({"priority": priority} if priority else {})
    return Call(AcceptedRun, path={"workflow_id": workflow_id}, body=body, headers=new_key(idempotency_key))


@operation("POST /api/v1/workflows/{workflow_id}/execute-many")
def execute_at_once(
    workflow_id: Id, body: BulkRequest | Body, *, idempotency_key: str | None = None
) -> Call[AcceptedRuns]:
    """Execute up to 1,000 times with one request: all are accepted, or none."""
    return Call(AcceptedRuns, path={"workflow_id": workflow_id}, body=body, headers=new_key(idempotency_key))


class WorkflowOperations:
    """Workflows: defined, tried out, executed."""

    list = list_workflows
    all = Everything(list_workflows, WorkflowSummary)
    create = create_workflow
    validate = validate_workflow
    get = get_workflow
    version = get_version
    replace = replace_workflow
    delete = delete_workflow
    plan = plan_workflow
    limits = get_limits
    set_limits = set_limits
    execute = execute
    execute_at_once = execute_at_once
    execute_many = Procedure(bulk.execute_many)

"""Create, read, change and delete workflows."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Path, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from service.agents import store as agents
from service.audit.change import WORKFLOW, change, locked
from service.audit.record import Actor, record
from service.auth.access import CHANGES_NOTHING, GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import AnyRow, autocommit, transaction
from service.platform.logging import bind_contextvars
from service.platform.paging import Page, Paging
from service.platform.problems import documented, invalid, not_found
from service.platform.tables import workflows
from service.state import State
from service.workflows import store
from service.workflows.called import missing_workflows
from service.workflows.checks import AgentUse, find_problems, read_request
from service.workflows.definition import flow_of, make_definition
from service.workflows.inputs import input_problems
from service.workflows.plan import make_plan
from service.workflows.schemas import (
    Flow,
    PlanAnswer,
    PlanRequest,
    ValidationAnswer,
    VersionAnswer,
    WorkflowAnswer,
    WorkflowRequest,
    WorkflowSummary,
)

router = GuardedRouter(prefix="/workflows", tags=["workflows"])


async def _agents_of(connection: AsyncConnection, flow: Flow) -> dict[str, AgentUse]:
    rows = await agents.named(connection, [step.agent for step in (*flow.steps, *flow.on_failure)])
    return {name: AgentUse(row.name, row.kind, row.settings) for name, row in rows.items()}


async def _definition(connection: AsyncConnection, flow: WorkflowRequest) -> dict[str, Any]:
    used = await _agents_of(connection, flow)
    problems = [
        *find_problems(flow, used),
        *await missing_workflows(connection, flow, used, own_name=flow.name),
    ]
    if problems:
        raise invalid(problems, "The steps do not make a workflow.")
    return make_definition(flow, used)


def _answer(row: AnyRow, definition: dict[str, Any]) -> WorkflowAnswer:
    return WorkflowAnswer(**WorkflowSummary.model_validate(row).model_dump(), **dict(flow_of(definition)))


@router.post(
    "",
    status_code=201,
    dependencies=[requires(Role.OPERATOR, Scope.WORKFLOWS_WRITE, audit="workflow.create")],
    responses=documented(409),
)
async def create_workflow(
    body: WorkflowRequest, request: Request, response: Response, caller: Caller, state: State
) -> WorkflowAnswer:
    """Create a workflow with its first version."""
    async with transaction(state.engine) as connection:
        definition = await _definition(connection, body)
        row = await store.create(
            connection, name=body.name, description=body.description, definition=definition, author=caller.subject
        )
        detail = change(WORKFLOW, after=await locked(connection, workflows, row.id))
        await record(connection, Actor.of(request, caller), "workflow.create", "workflow", row.id, detail)
    bind_contextvars(workflow_id=str(row.id))
    response.headers["Location"] = f"{request.url.path}/{row.id}"
    return _answer(row, definition)


@router.post(
    "/validate",
    dependencies=[requires(Role.VIEWER, Scope.WORKFLOWS_READ, audit=CHANGES_NOTHING)],
    responses=documented(),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/WorkflowRequest"}}},
        }
    },
)
async def validate_workflow(body: Annotated[dict[str, Any], Body()], state: State) -> ValidationAnswer:
    """Say everything that is wrong with a workflow, each with its place. Nothing is stored."""
    flow, problems = read_request(body)
    if flow is not None:
        async with autocommit(state.engine) as connection:
            used = await _agents_of(connection, flow)
            missing = await missing_workflows(connection, flow, used, own_name=flow.name)
            problems = [*find_problems(flow, used), *missing]
    return ValidationAnswer(valid=not problems, problems=problems)


@router.get("", dependencies=[requires(Role.VIEWER, Scope.WORKFLOWS_READ)], responses=documented())
async def list_workflows(paging: Paging, state: State) -> Page[WorkflowSummary]:
    """List the workflows by name."""
    async with autocommit(state.engine) as connection:
        rows, total = await store.page(connection, limit=paging.size, offset=paging.offset)
    items = [WorkflowSummary.model_validate(row) for row in rows]
    return Page(items=items, total=total, page=paging.page, size=paging.size)


@router.get("/{workflow_id}", dependencies=[requires(Role.VIEWER, Scope.WORKFLOWS_READ)], responses=documented(404))
async def get_workflow(workflow_id: UUID, state: State) -> WorkflowAnswer:
    """Read a workflow with the steps of its current version."""
    bind_contextvars(workflow_id=str(workflow_id))
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, workflow_id)
    if row is None:
        raise not_found("workflow")
    return _answer(row, row.definition)


@router.get(
    "/{workflow_id}/versions/{version}",
    dependencies=[requires(Role.VIEWER, Scope.WORKFLOWS_READ)],
    responses=documented(404),
)
async def get_workflow_version(
    workflow_id: UUID, version: Annotated[int, Path(ge=1, le=2**31 - 1)], state: State
) -> VersionAnswer:
    """Read one version of a workflow, also one that is no longer executed."""
    bind_contextvars(workflow_id=str(workflow_id))
    async with autocommit(state.engine) as connection:
        row = await store.find_version(connection, workflow_id, version)
    if row is None:
        raise not_found("version of the workflow")
    return VersionAnswer(
        workflow_id=row.workflow_id,
        version=row.version,
        content_hash=row.content_hash,
        created_at=row.created_at,
        created_by=row.created_by,
        **dict(flow_of(row.definition)),
    )


@router.put(
    "/{workflow_id}",
    dependencies=[requires(Role.OPERATOR, Scope.WORKFLOWS_WRITE, audit="workflow.update")],
    responses=documented(404, 409),
)
async def replace_workflow(
    workflow_id: UUID, body: WorkflowRequest, request: Request, caller: Caller, state: State
) -> WorkflowAnswer:
    """Give a workflow a new version. Runs that were accepted before keep the version they were accepted with."""
    bind_contextvars(workflow_id=str(workflow_id))
    async with transaction(state.engine) as connection:
        definition = await _definition(connection, body)
        before = await locked(connection, workflows, workflow_id)
        row = await store.replace(
            connection,
            workflow_id,
            name=body.name,
            description=body.description,
            definition=definition,
            author=caller.subject,
        )
        if row is None:
            raise not_found("workflow")
        detail = change(WORKFLOW, before, await locked(connection, workflows, workflow_id))
        await record(connection, Actor.of(request, caller), "workflow.update", "workflow", workflow_id, detail)
    return _answer(row, definition)


@router.post(
    "/{workflow_id}/plan",
    dependencies=[requires(Role.VIEWER, Scope.WORKFLOWS_READ, audit=CHANGES_NOTHING)],
    responses=documented(404),
)
async def plan_workflow(workflow_id: UUID, state: State, body: PlanRequest | None = None) -> PlanAnswer:
    """Say what a run of the current version would do with an input. Nothing is executed or stored."""
    bind_contextvars(workflow_id=str(workflow_id))
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, workflow_id)
    if row is None:
        raise not_found("workflow")
    run_input = body.input if body else {}
    problems = input_problems(row.definition, run_input)
    if problems:
        raise invalid(problems, "The input does not fit the workflow's input schema.")
    waves, on_failure = make_plan(row.definition, run_input)
    return PlanAnswer(
        workflow_id=row.id,
        version=row.version,
        timeout_seconds=row.definition.get("timeout_seconds"),
        waves=waves,
        on_failure=on_failure,
    )


@router.delete(
    "/{workflow_id}",
    status_code=204,
    dependencies=[requires(Role.ADMIN, Scope.WORKFLOWS_DELETE, audit="workflow.delete")],
    responses=documented(404, 409),
)
async def delete_workflow(workflow_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Delete a workflow that was never executed; one with runs is kept, because they tell what was done."""
    bind_contextvars(workflow_id=str(workflow_id))
    async with transaction(state.engine) as connection:
        before = await locked(connection, workflows, workflow_id)
        if not await store.delete(connection, workflow_id):
            raise not_found("workflow")
        detail = change(WORKFLOW, before)
        await record(connection, Actor.of(request, caller), "workflow.delete", "workflow", workflow_id, detail)
    return Response(status_code=204)

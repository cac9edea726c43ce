"""Workflows, their versions, and the form that executes one."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request
from starlette.responses import Response

from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.diagram import diagrams
from service.console.forms import key_of, read_form
from service.console.input_form import Typed, form_page, read_input
from service.console.pages import go_to, page
from service.console.router import console_router
from service.platform.paging import Paging
from service.platform.problems import ProblemError, documented
from service.runs.execute import Execution, execute_workflow
from service.runs.schemas import ExecuteRequest
from service.state import ServiceState, State
from service.workflows.limits_routes import get_workflow_limits
from service.workflows.routes import get_workflow, get_workflow_version, list_workflows
from service.workflows.schemas import Flow

_MOST_VERSIONS = 50

router = console_router()


@router.get("/workflows", dependencies=[guarded(Scope.WORKFLOWS_READ)], responses=documented())
async def workflows_page(request: Request, paging: Paging, state: State) -> Response:
    """The list of workflows by name."""
    return page(request, "workflows.html", found=await list_workflows(paging, state))


@router.get("/workflows/{workflow_id}", dependencies=[guarded(Scope.WORKFLOWS_READ)], responses=documented(404))
async def workflow_page(workflow_id: UUID, request: Request, state: State) -> Response:
    """A workflow as it is executed now."""
    return await _version_page(request, state, workflow_id, None)


@router.get(
    "/workflows/{workflow_id}/versions/{version}",
    dependencies=[guarded(Scope.WORKFLOWS_READ)],
    responses=documented(404),
)
async def version_page(
    workflow_id: UUID, version: Annotated[int, Path(ge=1, le=2**31 - 1)], request: Request, state: State
) -> Response:
    """One version of a workflow."""
    return await _version_page(request, state, workflow_id, version)


async def _version_page(request: Request, state: ServiceState, workflow_id: UUID, version: int | None) -> Response:
    workflow = await get_workflow(workflow_id, state)
    shown = await get_workflow_version(workflow_id, version or workflow.version, state)
    # What is as it is by default was left out by whoever wrote it.
    definition = shown.model_dump(mode="json", include=set(Flow.model_fields), exclude_defaults=True)
    return page(
        request,
        "workflow.html",
        workflow=workflow,
        shown=shown,
        limits=await get_workflow_limits(workflow_id, state),
        diagrams=diagrams(shown),
        definition=definition,
        versions=range(workflow.version, max(0, workflow.version - _MOST_VERSIONS), -1),
    )


@router.get("/workflows/{workflow_id}/execute", dependencies=[guarded(Scope.RUNS_EXECUTE)], responses=documented(404))
async def execute_page(workflow_id: UUID, request: Request, state: State) -> Response:
    """The form for the input of a run."""
    return form_page(request, "execute.html", Typed("{}"), workflow=await get_workflow(workflow_id, state))


@router.post(
    "/workflows/{workflow_id}/execute",
    dependencies=[guarded(Scope.RUNS_EXECUTE, audit="run.accept")],
    responses=documented(404, 409),
)
async def execute(workflow_id: UUID, request: Request, state: State) -> Response:
    """Execute the workflow, once however often the form is sent, and go to the run."""
    fields = await read_form(request)
    typed = Typed(fields.get("input", ""), key_of(fields))
    try:
        body = ExecuteRequest(input=read_input(typed.text or ""))
        accepted = await execute_workflow(
            workflow_id, Execution(request, workflow_id), Response(), state, typed.key, body
        )
    except ProblemError as error:
        if error.status_code == 404:
            raise
        return form_page(request, "execute.html", typed, error, workflow=await get_workflow(workflow_id, state))
    return go_to(request, f"/runs/{accepted.run_id}")

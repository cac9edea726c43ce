"""Workflows, their versions, and the form that executes one."""

import json
import secrets
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request
from starlette.responses import Response

from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.diagram import diagrams
from service.console.forms import read_form
from service.console.pages import go_to, page
from service.console.router import console_router
from service.platform.middleware.json_depth import MAXIMUM_DEPTH, is_deeper
from service.platform.paging import Paging
from service.platform.problems import FieldProblem, ProblemError, documented, invalid
from service.runs.execute import Execution, execute_workflow
from service.runs.schemas import ExecuteRequest
from service.state import ServiceState, State
from service.workflows.routes import get_workflow, get_workflow_version, list_workflows
from service.workflows.schemas import Flow

_MOST_VERSIONS = 50
_MOST_KEY = 255

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
    flow = {name: value for name, value in shown.model_dump(mode="json").items() if name in Flow.model_fields}
    return page(
        request,
        "workflow.html",
        workflow=workflow,
        shown=shown,
        diagrams=diagrams(shown),
        definition={name: value for name, value in flow.items() if value not in (None, [])},
        versions=range(workflow.version, max(0, workflow.version - _MOST_VERSIONS), -1),
    )


@router.get("/workflows/{workflow_id}/execute", dependencies=[guarded(Scope.RUNS_EXECUTE)], responses=documented(404))
async def execute_page(workflow_id: UUID, request: Request, state: State) -> Response:
    """The form for the input of a run."""
    return await _form(request, state, workflow_id, "{}")


@router.post(
    "/workflows/{workflow_id}/execute",
    dependencies=[guarded(Scope.RUNS_EXECUTE, audit="run.accept")],
    responses=documented(404, 409),
)
async def execute(workflow_id: UUID, request: Request, state: State) -> Response:
    """Execute the workflow, once however often the form is sent, and go to the run."""
    fields = await read_form(request)
    text, key = fields.get("input", ""), fields.get("key", "")[:_MOST_KEY]
    try:
        body = ExecuteRequest(input=_read_input(text))
        accepted = await execute_workflow(
            workflow_id, Execution(request, workflow_id), Response(), state, key if _is_key(key) else None, body
        )
    except ProblemError as error:
        if error.status_code == 404:
            raise
        return await _form(request, state, workflow_id, text, problem=error, key=key)
    return go_to(request, f"/runs/{accepted.run_id}")


def _is_key(key: str) -> bool:
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def _read_input(text: str) -> dict[str, Any]:
    """The input that was typed. Raises a 422 problem that says where it is wrong."""
    if is_deeper(text.encode("utf-8", "surrogatepass"), MAXIMUM_DEPTH):
        raise _wrong(f"may nest arrays and objects {MAXIMUM_DEPTH} times at most")
    try:
        found = json.loads(text or "{}", parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _wrong(f"is no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise _wrong(f"is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise _wrong('must be an object, like {"name": "Ada"}')
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")


def _wrong(message: str) -> ProblemError:
    return invalid([FieldProblem(field="input", message=message)])


async def _form(
    request: Request,
    state: ServiceState,
    workflow_id: UUID,
    text: str,
    *,
    problem: ProblemError | None = None,
    key: str = "",
) -> Response:
    workflow = await get_workflow(workflow_id, state)
    problems = list(problem.errors) if problem else []
    if any(each.field.startswith("header.") for each in problems):
        # The key is the form's own business: this one has begun a run already, with another input.
        key = ""
        message = "a run was begun by this form before, with another input; send it again to begin one more"
        problems = [FieldProblem(field="input", message=message)]
    found = page(
        request,
        "execute.html",
        problem.status_code if problem else 200,
        workflow=workflow,
        text=text,
        problem=problem.text if problem and not problems else None,
        problems=problems,
        key=key if _is_key(key) else secrets.token_hex(16),
    )
    if problem and problem.headers and "Retry-After" in problem.headers:
        found.headers["Retry-After"] = problem.headers["Retry-After"]
    return found

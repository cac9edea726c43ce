"""The list of runs."""

from fastapi import Request
from starlette.responses import Response

from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.pages import page
from service.console.router import console_router
from service.console.run_list import STATUSES, Asked, RunList, read_list
from service.console.workflow_choice import offered_names
from service.platform.problems import FieldProblem, ProblemError, documented
from service.state import State

router = console_router()


@router.get("/runs", dependencies=[guarded(Scope.RUNS_READ)], responses=documented())
async def runs_page(request: Request, state: State) -> Response:
    """The list, newest runs first."""
    asked = Asked.of(request.query_params)
    problems: list[FieldProblem] = []
    found = RunList()
    try:
        found = await read_list(asked, state, count=True)
    except ProblemError as error:
        if error.kind != "validation":
            raise
        problems = error.errors
    return page(
        request,
        "runs.html",
        422 if problems else 200,
        asked=asked,
        found=found,
        problems=problems,
        statuses=STATUSES,
        offered=await offered_names(state),
    )


@router.get("/live/runs", dependencies=[guarded(Scope.RUNS_READ)], responses=documented())
async def runs_live(request: Request, state: State) -> Response:
    """The part of the list that changes while runs go on."""
    asked = Asked.of(request.query_params)
    return page(request, "runs_live.html", asked=asked, found=await read_list(asked, state, count=False))

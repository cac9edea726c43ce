"""One run: how far it is, what it was given and has given, and what can be done with it."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.actions import RUN_ACTIONS, said
from service.console.pages import page
from service.console.performing import add_actions
from service.console.router import console_router
from service.console.routes.decision import DECIDED
from service.console.run_view import view_of
from service.platform.problems import documented
from service.state import State

router = console_router()


@router.get("/runs/{run_id}", dependencies=[guarded(Scope.RUNS_READ)], responses=documented(404))
async def run_page(run_id: UUID, request: Request, state: State) -> Response:
    """The page of a run."""
    view = await view_of(run_id, state)
    name = request.query_params.get("done")
    done = said(RUN_ACTIONS, name) or DECIDED.get(name or "", "")
    return page(request, "run.html", view=view, actions=RUN_ACTIONS, done=done)


@router.get("/runs/{run_id}/live", dependencies=[guarded(Scope.RUNS_READ)], responses=documented(404))
async def run_live(run_id: UUID, request: Request, state: State) -> Response:
    """The part of the page that changes while the run goes on."""
    return page(request, "run_live.html", view=await view_of(run_id, state), actions=RUN_ACTIONS)


add_actions(router, "/runs", RUN_ACTIONS)

"""The list of agents."""

from fastapi import Request
from starlette.responses import Response

from service.agents.routes import list_agents
from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.pages import page
from service.console.router import console_router
from service.platform.paging import Paging
from service.platform.problems import documented
from service.state import State

router = console_router()


@router.get("/agents", dependencies=[guarded(Scope.AGENTS_READ)], responses=documented())
async def agents_page(request: Request, paging: Paging, state: State) -> Response:
    """The list of agents by name."""
    return page(request, "agents.html", found=await list_agents(paging, state))

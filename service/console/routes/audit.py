"""The audit log."""

from fastapi import Request
from starlette.responses import Response

from service.audit.routes import list_audit
from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.pages import page
from service.console.router import console_router
from service.platform.paging import Paging
from service.platform.problems import documented
from service.state import State

_FILTERS = {"actor": 200, "action": 100, "subject_type": 100, "subject_id": 200}
"""With the longest that the API takes."""

router = console_router()


@router.get("/audit", dependencies=[guarded(Scope.AUDIT_READ)], responses=documented())
async def audit_page(request: Request, paging: Paging, state: State) -> Response:
    """What was done, newest first."""
    filters = {name: request.query_params.get(name, "").strip()[:most] for name, most in _FILTERS.items()}
    given = {name: value or None for name, value in filters.items()}
    return page(request, "audit.html", found=await list_audit(paging, state, **given), filters=filters)

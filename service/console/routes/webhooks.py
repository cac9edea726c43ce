"""Webhooks with what was last sent to them."""

from typing import Any, get_args
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.actions import WEBHOOK_ACTIONS, said
from service.console.pages import page
from service.console.router import console_router
from service.console.routes.webhook_changes import CHANGED, secret_mark
from service.platform.database import autocommit
from service.platform.paging import Paging
from service.platform.problems import FieldProblem, documented, invalid
from service.state import ServiceState, State
from service.webhooks.routes import get_webhook, list_deliveries, list_webhooks
from service.webhooks.schemas import DeliveryStatus, WebhookAnswer
from service.workflows import store

STATUSES: tuple[str, ...] = get_args(DeliveryStatus)
_SIZE = 25

router = console_router()


@router.get("/webhooks", dependencies=[guarded(Scope.WEBHOOKS_READ)], responses=documented())
async def webhooks_page(request: Request, paging: Paging, state: State) -> Response:
    """The list of webhooks by name."""
    found = await list_webhooks(paging, state)
    names = await _names(found.items, state)
    return page(request, "webhooks.html", found=found, names=names, done=said(WEBHOOK_ACTIONS, _done(request)))


@router.get("/webhooks/{webhook_id}", dependencies=[guarded(Scope.WEBHOOKS_READ)], responses=documented(404))
async def webhook_page(webhook_id: UUID, request: Request, state: State) -> Response:
    """A webhook with its deliveries, newest first."""
    webhook = await get_webhook(webhook_id, state)
    cursor, status = request.query_params.get("cursor") or None, request.query_params.get("status", "")
    if status not in ("", *STATUSES):
        raise invalid([FieldProblem(field="status", message=f"must be one of {', '.join(STATUSES)}")])
    wanted: Any = status or None
    return page(
        request,
        "webhook.html",
        webhook=webhook,
        names=await _names([webhook], state),
        found=await list_deliveries(webhook_id, state, status=wanted, cursor=cursor, size=_SIZE),
        chosen=status,
        statuses=STATUSES,
        is_first=cursor is None,
        actions=WEBHOOK_ACTIONS,
        seen=secret_mark(webhook),
        done=said(WEBHOOK_ACTIONS, _done(request)) or CHANGED.get(_done(request), ""),
    )


def _done(request: Request) -> str:
    return request.query_params.get("done", "")


async def _names(webhooks: list[WebhookAnswer], state: ServiceState) -> dict[UUID, str]:
    wanted = {webhook.workflow_id for webhook in webhooks if webhook.workflow_id is not None}
    async with autocommit(state.engine) as connection:
        return await store.names(connection, wanted)

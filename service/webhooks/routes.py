"""Create, change and switch webhooks, replace their secrets, see and repeat what was sent."""

from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncConnection

from service.audit.change import WEBHOOK, change, locked
from service.audit.record import Actor, record
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.executor.kinds.allowlist import AllowList, HostNotAllowedError
from service.platform.database import AnyRow, autocommit, transaction
from service.platform.paging import Page, Paging
from service.platform.problems import FieldProblem, ProblemError, documented, invalid, not_found
from service.platform.settings import Settings
from service.platform.tables import webhooks
from service.runs.lists import Cursor, Sort
from service.schedules.store import workflow_exists
from service.state import ServiceState, State
from service.webhooks import store
from service.webhooks.schemas import (
    DeliveryAnswer,
    DeliveryPage,
    DeliveryStatus,
    WebhookAnswer,
    WebhookRequest,
    WebhookSecretAnswer,
)
from service.webhooks.signing import shown, webhook_key

router = GuardedRouter(prefix="/webhooks", tags=["webhooks"])

_NEWEST_FIRST: Sort = "-created_at"
_PORTS = {"http": 80, "https": 443}


def _secret(settings: Settings) -> str:
    if settings.webhook_secret is None:
        raise ProblemError(
            409, "webhooks-off", "This service has no key for webhooks; its operator can give WEBHOOK_SECRET."
        )
    return settings.webhook_secret.get_secret_value()


def _check_url(url: str, settings: Settings) -> None:
    parts = urlsplit(url)
    message = None
    if parts.scheme != "https" and settings.environment != "development":
        message = "must begin with https: what is sent could be read and changed on its way"
    else:
        try:
            AllowList(settings.http_agent_allowed_hosts).check_host(
                parts.hostname or "", parts.port or _PORTS[parts.scheme]
            )
        except HostNotAllowedError as error:
            message = str(error)
    if message:
        raise invalid([FieldProblem(field="url", message=message)])


async def _check_workflow(connection: AsyncConnection, workflow_id: UUID | None) -> None:
    if workflow_id is not None and not await workflow_exists(connection, workflow_id):
        raise invalid([FieldProblem(field="workflow_id", message="there is no workflow with this id")])


def _with_secret(row: AnyRow, settings: Settings) -> WebhookSecretAnswer:
    secret = shown(webhook_key(_secret(settings), row.id, row.key_number))
    return WebhookSecretAnswer(**WebhookAnswer.model_validate(row).model_dump(), secret=secret)


async def _locked(connection: AsyncConnection, webhook_id: UUID) -> AnyRow:
    row = await locked(connection, webhooks, webhook_id)
    if row is None:
        raise not_found("webhook")
    return row


async def _note(
    connection: AsyncConnection, request: Request, caller: Caller, action: str, before: AnyRow, after: AnyRow
) -> None:
    await record(
        connection, Actor.of(request, caller), action, "webhook", after.id, change(WEBHOOK, before=before, after=after)
    )


@router.post(
    "",
    status_code=201,
    dependencies=[requires(Role.ADMIN, Scope.WEBHOOKS_WRITE, audit="webhook.create")],
    responses=documented(409),
)
async def create_webhook(
    body: WebhookRequest, request: Request, response: Response, caller: Caller, state: State
) -> WebhookSecretAnswer:
    """Create a webhook. Its secret is shown this once."""
    _secret(state.settings)
    _check_url(body.url, state.settings)
    async with transaction(state.engine) as connection:
        await _check_workflow(connection, body.workflow_id)
        row = await store.create(connection, body.model_dump(), author=caller.subject)
        if row is None:
            raise ProblemError(
                409, "too-many-webhooks", f"There may be {store.MOST_WEBHOOKS} webhooks; delete one before."
            )
        await record(
            connection, Actor.of(request, caller), "webhook.create", "webhook", row.id, change(WEBHOOK, after=row)
        )
    response.headers["Location"] = f"{request.url.path}/{row.id}"
    return _with_secret(row, state.settings)


@router.get("", dependencies=[requires(Role.OPERATOR, Scope.WEBHOOKS_READ)], responses=documented())
async def list_webhooks(paging: Paging, state: State) -> Page[WebhookAnswer]:
    """List webhooks by name."""
    async with autocommit(state.engine) as connection:
        rows, total = await store.page(connection, limit=paging.size, offset=paging.offset)
    items = [WebhookAnswer.model_validate(row) for row in rows]
    return Page(items=items, total=total, page=paging.page, size=paging.size)


@router.get("/{webhook_id}", dependencies=[requires(Role.OPERATOR, Scope.WEBHOOKS_READ)], responses=documented(404))
async def get_webhook(webhook_id: UUID, state: State) -> WebhookAnswer:
    """Read a webhook."""
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, webhook_id)
    if row is None:
        raise not_found("webhook")
    return WebhookAnswer.model_validate(row)


@router.put(
    "/{webhook_id}",
    dependencies=[requires(Role.ADMIN, Scope.WEBHOOKS_WRITE, audit="webhook.update")],
    responses=documented(404, 409),
)
async def replace_webhook(
    webhook_id: UUID, body: WebhookRequest, request: Request, caller: Caller, state: State
) -> WebhookAnswer:
    """Change a webhook. What waits is sent to the new address; secret and being switched on or off stay."""
    _check_url(body.url, state.settings)
    async with transaction(state.engine) as connection:
        before = await _locked(connection, webhook_id)
        await _check_workflow(connection, body.workflow_id)
        row = await store.change(connection, webhook_id, body.model_dump())
        await _note(connection, request, caller, "webhook.update", before, row)
    return WebhookAnswer.model_validate(row)


@router.post(
    "/{webhook_id}/disable",
    dependencies=[requires(Role.ADMIN, Scope.WEBHOOKS_WRITE, audit="webhook.disable")],
    responses=documented(404),
)
async def disable_webhook(webhook_id: UUID, request: Request, caller: Caller, state: State) -> WebhookAnswer:
    """Send nothing more: runs that end from now on are not told. Asking again changes nothing."""
    async with transaction(state.engine) as connection:
        before = row = await _locked(connection, webhook_id)
        if row.disabled_at is None:
            values = {"disabled_at": func.now(), "disabled_reason": "switched off by hand"}
            row = await store.change(connection, webhook_id, values)
            await _note(connection, request, caller, "webhook.disable", before, row)
    return WebhookAnswer.model_validate(row)


@router.post(
    "/{webhook_id}/enable",
    dependencies=[requires(Role.ADMIN, Scope.WEBHOOKS_WRITE, audit="webhook.enable")],
    responses=documented(404),
)
async def enable_webhook(webhook_id: UUID, request: Request, caller: Caller, state: State) -> WebhookAnswer:
    """Send again, first what was waiting when it was switched off. Asking again changes nothing."""
    async with transaction(state.engine) as connection:
        before = row = await _locked(connection, webhook_id)
        if row.disabled_at is not None:
            values = {"disabled_at": None, "disabled_reason": None, "failing_since": None}
            row = await store.change(connection, webhook_id, values)
            await _note(connection, request, caller, "webhook.enable", before, row)
    return WebhookAnswer.model_validate(row)


@router.post(
    "/{webhook_id}/rotate-secret",
    dependencies=[requires(Role.ADMIN, Scope.WEBHOOKS_WRITE, audit="webhook.rotate_secret")],
    responses=documented(404, 409),
)
async def rotate_secret(webhook_id: UUID, request: Request, caller: Caller, state: State) -> WebhookSecretAnswer:
    """Replace the secret; the new one is shown this once. For 24 hours deliveries are signed with both."""
    _secret(state.settings)
    async with transaction(state.engine) as connection:
        before = await _locked(connection, webhook_id)
        values = {"key_number": before.key_number + 1, "rotated_at": func.now()}
        row = await store.change(connection, webhook_id, values)
        await _note(connection, request, caller, "webhook.rotate_secret", before, row)
    return _with_secret(row, state.settings)


@router.delete(
    "/{webhook_id}",
    status_code=204,
    dependencies=[requires(Role.ADMIN, Scope.WEBHOOKS_WRITE, audit="webhook.delete")],
    responses=documented(404),
)
async def delete_webhook(webhook_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Delete a webhook with its deliveries."""
    async with transaction(state.engine) as connection:
        before = await _locked(connection, webhook_id)
        await store.delete(connection, webhook_id)
        detail = change(WEBHOOK, before)
        await record(connection, Actor.of(request, caller), "webhook.delete", "webhook", webhook_id, detail)
    return Response(status_code=204)


@router.get(
    "/{webhook_id}/deliveries",
    dependencies=[requires(Role.OPERATOR, Scope.WEBHOOKS_READ)],
    responses=documented(404),
)
async def list_deliveries(
    webhook_id: UUID,
    state: State,
    status: Annotated[DeliveryStatus | None, Query(description="Only deliveries in this status")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same filters")] = None,
    size: Annotated[
        int | None, Query(ge=1, description="Items a page: DEFAULT_PAGE_SIZE unless given, MAX_PAGE_SIZE at most")
    ] = None,
) -> DeliveryPage:
    """List what was and will be sent to a webhook, newest first. Deliveries are kept for 30 days."""
    limit = _limit(state, size)
    try:
        after = None if cursor is None else Cursor.read(cursor, _NEWEST_FIRST)
    except ValueError as error:
        raise invalid([FieldProblem(field="query.cursor", message=str(error))]) from None
    async with autocommit(state.engine) as connection:
        if await store.find(connection, webhook_id) is None:
            raise not_found("webhook")
        rows = await store.deliveries(connection, webhook_id, status=status, after=after, limit=limit + 1)
    is_more = len(rows) > limit
    following = Cursor(_NEWEST_FIRST, rows[limit - 1].created_at, rows[limit - 1].id).write() if is_more else None
    return DeliveryPage(items=[DeliveryAnswer.model_validate(row) for row in rows[:limit]], size=limit, next=following)


def _limit(state: ServiceState, size: int | None) -> int:
    return min(size or state.settings.default_page_size, state.settings.max_page_size)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    dependencies=[requires(Role.ADMIN, Scope.WEBHOOKS_WRITE, audit="webhook.redeliver")],
    responses=documented(404),
)
async def redeliver(
    webhook_id: UUID, delivery_id: UUID, request: Request, caller: Caller, state: State
) -> DeliveryAnswer:
    """Send a delivery again, under the same id, whatever became of it before. One that waits is sent at once."""
    async with transaction(state.engine) as connection:
        before = await store.lock_delivery(connection, webhook_id, delivery_id)
        if before is None:
            raise not_found("delivery of this webhook")
        row = await store.send_again(connection, delivery_id)
        detail = {"delivery_id": str(delivery_id), **change(("status", "attempts"), before, row)}
        await record(connection, Actor.of(request, caller), "webhook.redeliver", "webhook", webhook_id, detail)
    return DeliveryAnswer.model_validate(row)

"""What admins do with webhooks: create and change them by a form, replace their secrets, send deliveries again."""

from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.principal import Caller
from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.actions import WEBHOOK_ACTIONS
from service.console.forms import read_form
from service.console.pages import go_to, page
from service.console.performing import add_actions
from service.console.refusal import refused_page
from service.console.router import console_router
from service.console.webhook_form import TypedWebhook, form_context
from service.platform.problems import ProblemError, documented
from service.state import ServiceState, State
from service.webhooks.routes import create_webhook, get_webhook, redeliver, replace_webhook, rotate_secret
from service.webhooks.schemas import WebhookAnswer, WebhookSecretAnswer

CHANGED = {
    "change": "The webhook was changed; what waits is sent to the address that it has now.",
    "redeliver": "The delivery is sent again: at once, or when the webhook is enabled.",
}
"""What is said of what leads back to the webhook."""

router = console_router()


@router.get("/webhooks/new", dependencies=[guarded(Scope.WEBHOOKS_WRITE)], responses=documented())
async def new_webhook_page(request: Request, state: State) -> Response:
    """The form, empty."""
    context = await _form(None, TypedWebhook(), state)
    return page(request, "webhook_form.html", problem=None, problems=[], **context)


@router.post(
    "/webhooks/new",
    dependencies=[guarded(Scope.WEBHOOKS_WRITE, audit="webhook.create")],
    responses=documented(409),
)
async def create(request: Request, caller: Caller, state: State) -> Response:
    """Create the webhook and show its secret, this once."""
    typed = TypedWebhook.sent(await read_form(request))
    try:
        created = await create_webhook(await typed.asked(state), request, Response(), caller, state)
    except Exception as error:  # noqa: BLE001 - what callers did not cause is raised again
        return await refused_page(request, "webhook_form.html", error, **await _form(None, typed, state))
    return _secret_page(request, created, is_new=True)


@router.get("/webhooks/{webhook_id}/change", dependencies=[guarded(Scope.WEBHOOKS_WRITE)], responses=documented(404))
async def change_page(webhook_id: UUID, request: Request, state: State) -> Response:
    """The form, filled with the webhook as it is."""
    webhook = await get_webhook(webhook_id, state)
    context = await _form(webhook, await TypedWebhook.of(webhook, state), state)
    return page(request, "webhook_form.html", problem=None, problems=[], **context)


@router.post(
    "/webhooks/{webhook_id}/change",
    dependencies=[guarded(Scope.WEBHOOKS_WRITE, audit="webhook.update")],
    responses=documented(404, 409),
)
async def change(webhook_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Change the webhook and go back to it."""
    typed = TypedWebhook.sent(await read_form(request))
    webhook = await get_webhook(webhook_id, state)
    try:
        await replace_webhook(webhook_id, await typed.asked(state), request, caller, state)
    except Exception as error:  # noqa: BLE001 - what callers did not cause is raised again
        return await refused_page(request, "webhook_form.html", error, **await _form(webhook, typed, state))
    return go_to(request, f"/webhooks/{webhook_id}", done="change")


@router.post(
    "/webhooks/{webhook_id}/rotate-secret",
    dependencies=[guarded(Scope.WEBHOOKS_WRITE, audit="webhook.rotate_secret")],
    responses=documented(404, 409),
)
async def rotate(webhook_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Replace the secret that was there when the form was made, and show the new one, this once."""
    seen = (await read_form(request)).get("seen")
    if seen != secret_mark(await get_webhook(webhook_id, state)):
        # The page of the new secret was loaded again, say: one more would end the one that the receiver still has.
        raise ProblemError(409, "secret-replaced", "The secret was replaced since this page was shown.")
    return _secret_page(request, await rotate_secret(webhook_id, request, caller, state), is_new=False)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    dependencies=[guarded(Scope.WEBHOOKS_WRITE, audit="webhook.redeliver")],
    responses=documented(404),
)
async def send_again(webhook_id: UUID, delivery_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Send a delivery again and go back to its webhook."""
    await redeliver(webhook_id, delivery_id, request, caller, state)
    return go_to(request, f"/webhooks/{webhook_id}", done="redeliver")


add_actions(router, "/webhooks", WEBHOOK_ACTIONS)


def secret_mark(webhook: WebhookAnswer) -> str:
    """What differs between a webhook's secrets, and says nothing about them."""
    return "first" if webhook.rotated_at is None else webhook.rotated_at.isoformat()


def _secret_page(request: Request, webhook: WebhookSecretAnswer, *, is_new: bool) -> Response:
    return page(request, "webhook_secret.html", webhook=webhook, is_new=is_new)


async def _form(webhook: WebhookAnswer | None, typed: TypedWebhook, state: ServiceState) -> dict[str, Any]:
    return {"webhook": webhook, **await form_context(typed, state)}

"""Webhooks: the ends of runs, told to other systems."""

from wfm.calls import Body, Call, Everything, Id, operation
from wfm.models import (
    DeliveryAnswer,
    DeliveryPage,
    PageOfWebhookAnswer,
    WebhookAnswer,
    WebhookRequest,
    WebhookSecretAnswer,
)


@operation("GET /api/v1/webhooks")
def list_webhooks(*, page: int = 1, size: int | None = None) -> Call[PageOfWebhookAnswer]:
    """A page of the webhooks, by name."""
    return Call(PageOfWebhookAnswer, query={"page": page, "size": size})


@operation("POST /api/v1/webhooks")
def create_webhook(body: WebhookRequest | Body) -> Call[WebhookSecretAnswer]:
    """Create a webhook. Its answer is the only place where its secret can be read."""
    return Call(WebhookSecretAnswer, body=body)


@operation("GET /api/v1/webhooks/{webhook_id}")
def get_webhook(webhook_id: Id) -> Call[WebhookAnswer]:
    """Read a webhook, without its secret."""
    return Call(WebhookAnswer, path={"webhook_id": webhook_id})


@operation("PUT /api/v1/webhooks/{webhook_id}")
def replace_webhook(webhook_id: Id, body: WebhookRequest | Body) -> Call[WebhookAnswer]:
    """Change a webhook. What waits goes to the new address; its secret stays."""
    return Call(WebhookAnswer, path={"webhook_id": webhook_id}, body=body)


@operation("DELETE /api/v1/webhooks/{webhook_id}")
def delete_webhook(webhook_id: Id) -> Call[None]:
    """Delete a webhook with its deliveries."""
    return Call(None, path={"webhook_id": webhook_id})


@operation("POST /api/v1/webhooks/{webhook_id}/enable")
def enable_webhook(webhook_id: Id) -> Call[WebhookAnswer]:
    """Send again, first what was waiting when it was switched off."""
    return Call(WebhookAnswer, path={"webhook_id": webhook_id})


@operation("POST /api/v1/webhooks/{webhook_id}/disable")
def disable_webhook(webhook_id: Id) -> Call[WebhookAnswer]:
    """Send nothing more: runs that end from now on are not told."""
    return Call(WebhookAnswer, path={"webhook_id": webhook_id})


@operation("POST /api/v1/webhooks/{webhook_id}/rotate-secret")
def rotate_secret(webhook_id: Id) -> Call[WebhookSecretAnswer]:
    """Replace the secret. The answer is the only place where the new one can be read."""
    return Call(WebhookSecretAnswer, path={"webhook_id": webhook_id})


@operation("GET /api/v1/webhooks/{webhook_id}/deliveries")
def list_deliveries(
    webhook_id: Id, *, status: str | None = None, cursor: str | None = None, size: int | None = None
) -> Call[DeliveryPage]:
    """A page of what was and will be sent to a webhook, newest first."""
    query = {"status": status, "cursor": cursor, "size": size}
    return Call(DeliveryPage, path={"webhook_id": webhook_id}, query=query)


@operation("POST /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver")
def redeliver(webhook_id: Id, delivery_id: Id) -> Call[DeliveryAnswer]:
    """Send a delivery again, under the same id, whatever became of it before."""
    return Call(DeliveryAnswer, path={"webhook_id": webhook_id, "delivery_id": delivery_id})


class WebhookOperations:
    """Webhooks: the ends of runs, told to other systems."""

    list = list_webhooks
    all = Everything(list_webhooks, WebhookAnswer)
    create = create_webhook
    get = get_webhook
    replace = replace_webhook
    delete = delete_webhook
    enable = enable_webhook
    disable = disable_webhook
    rotate_secret = rotate_secret
    deliveries = list_deliveries
    all_deliveries = Everything(list_deliveries, DeliveryAnswer)
    redeliver = redeliver

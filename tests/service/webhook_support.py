"""What the tests of webhooks share: stored webhooks and deliveries, and a check of signatures."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import transaction
from service.platform.ids import new_id
from service.platform.tables import webhook_deliveries, webhooks
from tests.service.executor_support import Call


async def add_webhook(
    engine: AsyncEngine, url: str = "http://127.0.0.1:9/", events: Sequence[str] = ("run.completed",), **columns: Any
) -> UUID:
    """Store a webhook."""
    webhook_id = new_id()
    values = {"name": str(webhook_id), "url": url, "events": list(events), "created_by": "test", **columns}
    async with transaction(engine) as connection:
        await connection.execute(webhooks.insert().values(id=webhook_id, **values))
    return webhook_id


async def add_deliveries(engine: AsyncEngine, webhook_id: UUID, count: int = 1, **columns: Any) -> list[UUID]:
    """Store deliveries that are due."""
    values = {"webhook_id": webhook_id, "event": "run.completed", "payload": {"id": "run"}, **columns}
    ids = [new_id() for _ in range(count)]
    async with transaction(engine) as connection:
        for each in ids:
            await connection.execute(webhook_deliveries.insert().values(id=each, run_id=new_id(), **values))
    return ids


async def read_webhook(engine: AsyncEngine, webhook_id: UUID) -> Any:
    """The webhook's row."""
    async with transaction(engine) as connection:
        return (await connection.execute(select(webhooks).where(webhooks.c.id == webhook_id))).one()


async def read_deliveries(engine: AsyncEngine) -> list[Any]:
    """All deliveries, in the order of their making."""
    async with transaction(engine) as connection:
        query = select(webhook_deliveries).order_by(webhook_deliveries.c.created_at, webhook_deliveries.c.id)
        return list((await connection.execute(query)).all())


async def make_due(engine: AsyncEngine) -> None:
    """As if every pause were over."""
    async with transaction(engine) as connection:
        await connection.execute(webhook_deliveries.update().values(next_attempt_at=func.now() - timedelta(seconds=1)))


def is_signed(call: Call, secret: str) -> bool:
    """Whether the receiver with this secret would accept the call."""
    headers = call.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + call.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return expected in headers["webhook-signature"].split(" ")

"""Webhooks and what was sent to them, for the routes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.ids import new_id
from service.platform.tables import webhook_deliveries, webhooks
from service.runs.lists import Cursor

MOST_WEBHOOKS = 100
"""Each is looked at when a run ends."""

_LOCK = 8_364_201


async def create(connection: AsyncConnection, values: dict[str, Any], *, author: str) -> AnyRow | None:
    """Add a webhook; None where there are too many. Raises IntegrityError when the name is taken."""
    # One after the other, so that they are counted rightly.
    await connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    if int(await connection.scalar(select(func.count()).select_from(webhooks)) or 0) >= MOST_WEBHOOKS:
        return None
    statement = webhooks.insert().values(id=new_id(), created_by=author, **values).returning(*webhooks.c)
    return (await connection.execute(statement)).one()


async def find(connection: AsyncConnection, webhook_id: UUID) -> AnyRow | None:
    """The webhook, or None."""
    return (await connection.execute(select(webhooks).where(webhooks.c.id == webhook_id))).one_or_none()


async def page(connection: AsyncConnection, *, limit: int, offset: int) -> tuple[Sequence[AnyRow], int]:
    """One page of the webhooks by name, and the number of all."""
    rows = (await connection.execute(select(webhooks).order_by(webhooks.c.name).limit(limit).offset(offset))).all()
    return rows, int(await connection.scalar(select(func.count()).select_from(webhooks)) or 0)


async def change(connection: AsyncConnection, webhook_id: UUID, values: dict[str, Any]) -> AnyRow:
    """Change a webhook that the transaction has locked. Raises IntegrityError when the name is taken."""
    statement = (
        webhooks.update()
        .where(webhooks.c.id == webhook_id)
        .values(updated_at=func.now(), **values)
        .returning(*webhooks.c)
    )
    return (await connection.execute(statement)).one()


async def delete(connection: AsyncConnection, webhook_id: UUID) -> None:
    """Remove a webhook that the transaction has locked, with its deliveries."""
    await connection.execute(webhook_deliveries.delete().where(webhook_deliveries.c.webhook_id == webhook_id))
    await connection.execute(webhooks.delete().where(webhooks.c.id == webhook_id))


async def deliveries(
    connection: AsyncConnection, webhook_id: UUID, *, status: str | None, after: Cursor | None, limit: int
) -> Sequence[AnyRow]:
    """A webhook's deliveries, newest first, or those after the cursor."""
    table = webhook_deliveries.c
    conditions: list[ColumnElement[bool]] = [table.webhook_id == webhook_id]
    if status is not None:
        conditions.append(table.status == status)
    if after is not None:
        conditions.append(tuple_(table.created_at, table.id) < tuple_(literal(after.created_at), literal(after.id)))
    query = select(webhook_deliveries).where(*conditions).order_by(table.created_at.desc(), table.id.desc())
    return (await connection.execute(query.limit(limit))).all()


async def lock_delivery(connection: AsyncConnection, webhook_id: UUID, delivery_id: UUID) -> AnyRow | None:
    """The delivery, which nobody else changes before the transaction ends; or None."""
    table = webhook_deliveries.c
    query = select(webhook_deliveries).where(table.id == delivery_id, table.webhook_id == webhook_id)
    return (await connection.execute(query.with_for_update())).one_or_none()


async def send_again(connection: AsyncConnection, delivery_id: UUID) -> AnyRow:
    """Have it sent at once, with all its attempts before it."""
    statement = (
        webhook_deliveries.update()
        .where(webhook_deliveries.c.id == delivery_id)
        .values(status="pending", attempts=0, claims=webhook_deliveries.c.claims + 1, next_attempt_at=func.now())
        .returning(*webhook_deliveries.c)
    )
    return (await connection.execute(statement)).one()

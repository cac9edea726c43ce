"""Schedules in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.ids import new_id
from service.platform.tables import schedules, workflow_versions, workflows


async def database_now(connection: AsyncConnection) -> datetime:
    """The database's time, which decides when schedules fire."""
    found: datetime = (await connection.execute(select(func.now()))).scalar_one()
    return found


async def workflow_exists(connection: AsyncConnection, workflow_id: UUID) -> bool:
    """Whether there is the workflow; it cannot be deleted before the transaction ends."""
    query = select(workflows.c.id).where(workflows.c.id == workflow_id).with_for_update(read=True, key_share=True)
    return (await connection.execute(query)).one_or_none() is not None


async def input_schema_of(connection: AsyncConnection, workflow_id: UUID) -> AnyRow | None:
    """What a run's input has to fit today, as ``schema``; None where there is no such workflow.

    The workflow cannot be deleted before the transaction ends.
    """
    version = and_(
        workflow_versions.c.workflow_id == workflows.c.id, workflow_versions.c.version == workflows.c.current_version
    )
    query = select(workflow_versions.c.definition["input_schema"].label("schema"))
    query = query.select_from(workflows.join(workflow_versions, version)).where(workflows.c.id == workflow_id)
    return (await connection.execute(query.with_for_update(read=True, key_share=True, of=workflows))).one_or_none()


async def create(
    connection: AsyncConnection, values: dict[str, Any], *, next_fire_at: datetime | None, author: str
) -> AnyRow:
    """Add a schedule. Raises IntegrityError when the name is taken."""
    statement = (
        schedules.insert()
        .values(id=new_id(), next_fire_at=next_fire_at, created_by=author, **values)
        .returning(*schedules.c)
    )
    return (await connection.execute(statement)).one()


async def find(connection: AsyncConnection, schedule_id: UUID, *, lock: bool = False) -> AnyRow | None:
    """The schedule, or None; ``lock`` keeps it as it is, and from firing, until the transaction ends."""
    query = select(schedules).where(schedules.c.id == schedule_id)
    return (await connection.execute(query.with_for_update(key_share=True) if lock else query)).one_or_none()


async def page(
    connection: AsyncConnection, *, workflow_id: UUID | None, limit: int, offset: int
) -> tuple[Sequence[AnyRow], int]:
    """One page of the schedules by name, and the number of all that fit."""
    conditions: list[ColumnElement[bool]] = []
    if workflow_id is not None:
        conditions.append(schedules.c.workflow_id == workflow_id)
    query = select(schedules).where(*conditions).order_by(schedules.c.name).limit(limit).offset(offset)
    rows = (await connection.execute(query)).all()
    count = select(func.count()).select_from(schedules).where(*conditions)
    return rows, int(await connection.scalar(count) or 0)


async def change(connection: AsyncConnection, schedule_id: UUID, values: dict[str, Any]) -> AnyRow:
    """Change a schedule that the transaction has locked. Raises IntegrityError when the name is taken."""
    statement = (
        schedules.update()
        .where(schedules.c.id == schedule_id)
        .values(updated_at=func.now(), **values)
        .returning(*schedules.c)
    )
    return (await connection.execute(statement)).one()


async def delete(connection: AsyncConnection, schedule_id: UUID) -> bool:
    """Remove a schedule; its runs stay. False where there is none of this id."""
    return (await connection.execute(schedules.delete().where(schedules.c.id == schedule_id))).rowcount > 0

"""Agents in the database."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.ids import new_id
from service.platform.tables import agents


async def create(connection: AsyncConnection, name: str, kind: str, settings: dict[str, Any]) -> AnyRow:
    """Add an agent. Raises IntegrityError when the name is taken."""
    statement = agents.insert().values(id=new_id(), name=name, kind=kind, settings=settings).returning(*agents.c)
    return (await connection.execute(statement)).one()


async def find(connection: AsyncConnection, agent_id: UUID) -> AnyRow | None:
    """The agent, or None."""
    return (await connection.execute(select(agents).where(agents.c.id == agent_id))).one_or_none()


async def named(connection: AsyncConnection, names: Sequence[str]) -> dict[str, AnyRow]:
    """Those of the named agents that exist."""
    rows = (await connection.execute(select(agents).where(agents.c.name.in_(sorted(set(names)))))).all()
    return {row.name: row for row in rows}


async def page(connection: AsyncConnection, *, limit: int, offset: int) -> tuple[Sequence[AnyRow], int]:
    """One page of the agents by name, and the number of all."""
    rows = (await connection.execute(select(agents).order_by(agents.c.name).limit(limit).offset(offset))).all()
    return rows, int(await connection.scalar(select(func.count()).select_from(agents)) or 0)


async def replace(
    connection: AsyncConnection, agent_id: UUID, name: str, kind: str, settings: dict[str, Any]
) -> AnyRow | None:
    """Change an agent, for workflows saved from now on; None where there is none of this id."""
    statement = (
        agents.update()
        .where(agents.c.id == agent_id)
        .values(name=name, kind=kind, settings=settings, updated_at=func.now())
        .returning(*agents.c)
    )
    return (await connection.execute(statement)).one_or_none()


async def delete(connection: AsyncConnection, agent_id: UUID) -> bool:
    """Remove an agent; saved workflows keep their copy of it. False where there is none of this id."""
    return (await connection.execute(agents.delete().where(agents.c.id == agent_id))).rowcount > 0

"""Workflows and their versions in the database."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.ids import new_id
from service.platform.tables import workflow_versions, workflows
from service.workflows.definition import content_hash

_SUMMARY = (
    workflows.c.id,
    workflows.c.name,
    workflows.c.description,
    workflows.c.current_version.label("version"),
    workflows.c.created_at,
    workflows.c.updated_at,
)


async def create(
    connection: AsyncConnection, *, name: str, description: str, definition: dict[str, Any], author: str
) -> AnyRow:
    """Add a workflow with its first version. Raises IntegrityError when the name is taken."""
    statement = (
        workflows.insert()
        .values(id=new_id(), name=name, description=description, current_version=1)
        .returning(*_SUMMARY)
    )
    row = (await connection.execute(statement)).one()
    await _add_version(connection, row.id, 1, definition, author)
    return row


async def replace(
    connection: AsyncConnection,
    workflow_id: UUID,
    *,
    name: str,
    description: str,
    definition: dict[str, Any],
    author: str,
) -> AnyRow | None:
    """Give a workflow a new version, executed from now on; None where there is no workflow of this id."""
    # The update locks the row, so two changes at once get two numbers.
    statement = (
        workflows.update()
        .where(workflows.c.id == workflow_id)
        .values(
            name=name,
            description=description,
            current_version=workflows.c.current_version + 1,
            updated_at=func.now(),
        )
        .returning(*_SUMMARY)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is not None:
        await _add_version(connection, workflow_id, row.version, definition, author)
    return row


async def _add_version(
    connection: AsyncConnection, workflow_id: UUID, version: int, definition: dict[str, Any], author: str
) -> None:
    await connection.execute(
        workflow_versions.insert().values(
            workflow_id=workflow_id,
            version=version,
            definition=definition,
            content_hash=content_hash(definition),
            created_by=author,
        )
    )


async def find(connection: AsyncConnection, workflow_id: UUID) -> AnyRow | None:
    """The workflow with the definition of its current version, or None."""
    current = and_(
        workflow_versions.c.workflow_id == workflows.c.id,
        workflow_versions.c.version == workflows.c.current_version,
    )
    query = (
        select(*_SUMMARY, workflow_versions.c.definition)
        .join_from(workflows, workflow_versions, current)
        .where(workflows.c.id == workflow_id)
    )
    return (await connection.execute(query)).one_or_none()


async def find_version(connection: AsyncConnection, workflow_id: UUID, version: int) -> AnyRow | None:
    """One version, or None."""
    query = select(workflow_versions).where(
        workflow_versions.c.workflow_id == workflow_id, workflow_versions.c.version == version
    )
    return (await connection.execute(query)).one_or_none()


async def names(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, str]:
    """The names of those of the workflows that exist."""
    if not ids:
        return {}
    query = select(workflows.c.id, workflows.c.name).where(workflows.c.id.in_(list(ids)))
    return {row.id: row.name for row in await connection.execute(query)}


async def id_of(connection: AsyncConnection, name: str) -> UUID | None:
    """The id of the workflow of this name, or None."""
    found: UUID | None = await connection.scalar(select(workflows.c.id).where(workflows.c.name == name))
    return found


async def page(connection: AsyncConnection, *, limit: int, offset: int) -> tuple[Sequence[AnyRow], int]:
    """One page of the workflows by name, and the number of all."""
    rows = (await connection.execute(select(*_SUMMARY).order_by(workflows.c.name).limit(limit).offset(offset))).all()
    return rows, int(await connection.scalar(select(func.count()).select_from(workflows)) or 0)


async def delete(connection: AsyncConnection, workflow_id: UUID) -> bool:
    """Remove a workflow with its versions; False where there is none. Raises IntegrityError while it has runs."""
    return (await connection.execute(workflows.delete().where(workflows.c.id == workflow_id))).rowcount > 0

"""Reads lists of runs."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.tables import runs
from service.runs.lists import Cursor, Filters, Sort

MOST_COUNTED = 10_000

_SUMMARY = (
    runs.c.id,
    runs.c.workflow_id,
    runs.c.workflow_version,
    runs.c.status,
    runs.c.correlation_id,
    runs.c.requested_by,
    runs.c.attempt,
    runs.c.created_at,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.cancel_requested_at,
    runs.c.pause_requested_at,
    runs.c.paused_at,
    runs.c.origin_run_id,
    runs.c.priority,
    runs.c.parent_run_id,
    runs.c.parent_step_id,
)


async def page(
    connection: AsyncConnection, filters: Filters, *, sort: Sort, after: Cursor | None, limit: int
) -> Sequence[AnyRow]:
    """The first runs that fit, or those after the cursor, in the order asked for."""
    query = select(*_SUMMARY).where(*_conditions(filters)).limit(limit)
    place = tuple_(runs.c.created_at, runs.c.id)
    last = None if after is None else tuple_(literal(after.created_at), literal(after.id))
    if sort == "created_at":
        query = query.order_by(runs.c.created_at, runs.c.id)
        query = query if last is None else query.where(place > last)
    else:
        query = query.order_by(runs.c.created_at.desc(), runs.c.id.desc())
        query = query if last is None else query.where(place < last)
    return (await connection.execute(query)).all()


async def count(connection: AsyncConnection, filters: Filters) -> int:
    """How many runs fit, but no more than MOST_COUNTED: who pages through a million does not need their number."""
    some = select(literal(1)).select_from(runs).where(*_conditions(filters)).limit(MOST_COUNTED).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)) or 0)


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    found = []
    if filters.workflow_id is not None:
        found.append(runs.c.workflow_id == filters.workflow_id)
    if filters.status is not None:
        found.append(runs.c.status == filters.status)
    if filters.parent_run_id is not None:
        found.append(runs.c.parent_run_id == filters.parent_run_id)
    if filters.created_from is not None:
        found.append(runs.c.created_at >= filters.created_from)
    if filters.created_before is not None:
        found.append(runs.c.created_at < filters.created_before)
    return found

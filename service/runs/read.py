"""Reads runs."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Uuid, and_, bindparam, func, literal, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.tables import run_steps, runs, workflow_versions
from service.runs.lists import Cursor, Filters, Sort
from service.workflows.room import WAITS_FOR

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

_STEP = func.jsonb_build_object(
    "id", run_steps.c.step_id,
    "status", run_steps.c.status,
    "attempt", run_steps.c.attempt,
    "output", run_steps.c.output,
    "error", run_steps.c.error,
    "started_at", run_steps.c.started_at,
    "finished_at", run_steps.c.finished_at,
    "waits", run_steps.c.waits,
)  # fmt: skip
_FIND = (
    select(
        *_SUMMARY,
        runs.c.input,
        runs.c.output,
        runs.c.error,
        literal_column(WAITS_FOR).label("waits_for"),
        select(func.jsonb_agg(_STEP)).where(run_steps.c.run_id == runs.c.id).scalar_subquery().label("journal"),
        # Not the whole definition, which may be long.
        func.jsonb_path_query_array(workflow_versions.c.definition, literal_column("'$.steps[*].id'"))
        .concat(func.jsonb_path_query_array(workflow_versions.c.definition, literal_column("'$.on_failure[*].id'")))
        .label("step_ids"),
    )
    .join_from(
        runs,
        workflow_versions,
        and_(
            workflow_versions.c.workflow_id == runs.c.workflow_id,
            workflow_versions.c.version == runs.c.workflow_version,
        ),
    )
    .where(runs.c.id == func.any(bindparam("run_ids", type_=ARRAY(Uuid))))
)

FoundRun = tuple[AnyRow, list[Mapping[str, Any]]]
"""A run with all steps of its version, also those not begun, as their answers' fields."""


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


async def find_many(connection: AsyncConnection, run_ids: Sequence[UUID]) -> dict[UUID, FoundRun]:
    """The runs that there are, by their ids. One statement."""
    found: dict[UUID, FoundRun] = {}
    for row in await connection.execute(_FIND, {"run_ids": list(run_ids)}):
        begun = {step["id"]: step for step in row.journal or ()}
        found[row.id] = row, [begun.get(step_id, {"id": step_id}) for step_id in row.step_ids]
    return found

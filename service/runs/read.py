"""Reads runs."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.tables import run_steps, runs, workflow_versions
from service.runs.schemas import RunStatus, StepAnswer

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
)


async def page(
    connection: AsyncConnection, *, workflow_id: UUID | None, status: RunStatus | None, limit: int, offset: int
) -> tuple[Sequence[AnyRow], int]:
    """One page of the runs that fit, newest first, and the number of all that fit."""
    conditions = []
    if workflow_id is not None:
        conditions.append(runs.c.workflow_id == workflow_id)
    if status is not None:
        conditions.append(runs.c.status == status)
    query = select(*_SUMMARY).where(*conditions).order_by(runs.c.created_at.desc(), runs.c.id.desc())
    rows = (await connection.execute(query.limit(limit).offset(offset))).all()
    count = select(func.count()).select_from(runs).where(*conditions)
    return rows, int(await connection.scalar(count) or 0)


async def find(connection: AsyncConnection, run_id: UUID) -> tuple[AnyRow, list[StepAnswer]] | None:
    """A run with all steps of its version, also those not begun, or None."""
    version = and_(
        workflow_versions.c.workflow_id == runs.c.workflow_id, workflow_versions.c.version == runs.c.workflow_version
    )
    query = (
        select(*_SUMMARY, runs.c.input, runs.c.output, runs.c.error, workflow_versions.c.definition)
        .join_from(runs, workflow_versions, version)
        .where(runs.c.id == run_id)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    journal = select(
        run_steps.c.step_id.label("id"),
        run_steps.c.status,
        run_steps.c.attempt,
        run_steps.c.output,
        run_steps.c.error,
        run_steps.c.started_at,
        run_steps.c.finished_at,
    ).where(run_steps.c.run_id == run_id)
    begun = {step.id: StepAnswer.model_validate(step) for step in await connection.execute(journal)}
    return row, [begun.get(step["id"], StepAnswer(id=step["id"])) for step in row.definition["steps"]]

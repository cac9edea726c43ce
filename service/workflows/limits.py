"""Limits of a workflow: how many of its runs go on at a time, and how many begin in a time."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.tables import workflow_limits, workflows

LIMITS = ("max_running", "max_starts", "per_seconds")
"""The columns that a caller chooses."""

_MOST = 1_000_000
_MOST_SECONDS = 31 * 86_400


class Limits(BaseModel):
    """What executors keep to when they take up runs of a workflow; what is null is not limited."""

    model_config = ConfigDict(
        extra="forbid",
        from_attributes=True,
        json_schema_extra={"examples": [{"max_running": 5, "max_starts": 100, "per_seconds": 60}]},
    )

    max_running: int | None = Field(
        None, ge=1, le=_MOST, description="So many of its runs at most are `running` at a time"
    )
    max_starts: int | None = Field(
        None, ge=1, le=_MOST, description="So many of its runs at most begin within any `per_seconds`"
    )
    per_seconds: int | None = Field(
        None, ge=1, le=_MOST_SECONDS, validate_default=True, description="Given with `max_starts`, and only then"
    )

    @field_validator("per_seconds")
    @classmethod
    def _rate_is_whole(cls, value: int | None, info: ValidationInfo) -> int | None:
        starts = info.data.get("max_starts", value)
        if (value is None) != (starts is None):
            raise ValueError("goes with max_starts: give both, or none")
        return value


async def find(connection: AsyncConnection, workflow_id: UUID) -> AnyRow | None:
    """The workflow's limits, all null when none were ever set; None where there is no such workflow."""
    query = (
        select(*(workflow_limits.c[name] for name in LIMITS))
        .select_from(workflows.outerjoin(workflow_limits))
        .where(workflows.c.id == workflow_id)
    )
    return (await connection.execute(query)).one_or_none()


async def lock(connection: AsyncConnection, workflow_id: UUID) -> AnyRow | None:
    """The same, and nobody else changes them before the transaction ends."""
    key = select(workflows.c.id).where(workflows.c.id == workflow_id).with_for_update(key_share=True)
    await connection.execute(key)
    return await find(connection, workflow_id)


async def store(connection: AsyncConnection, workflow_id: UUID, limits: Limits) -> AnyRow:
    """Set the limits of a workflow that is locked. Claims that have counted under the limits before come too late."""
    values = limits.model_dump()
    statement = insert(workflow_limits).values(workflow_id=workflow_id, **values)
    changed = statement.on_conflict_do_update(
        index_elements=[workflow_limits.c.workflow_id],
        set_={**values, "revision": workflow_limits.c.revision + 1, "updated_at": func.now()},
    ).returning(workflow_limits)
    row: AnyRow = (await connection.execute(changed)).one()
    return row

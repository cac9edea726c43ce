"""Reads what was logged of a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.tables import LOG_LEVELS
from service.runs.schemas import RunStatus

LogLevel = Literal["debug", "info", "warning", "error"]

# The run's row comes with the lines, and alone where there are none: of a run that had ended by then there will be no
# more. A step's items are its own, too.
_LINES = """
SELECT runs.status AS run_status, line.*
FROM runs LEFT JOIN LATERAL (
    SELECT number, at, step_id, attempt, level, message, fields FROM run_logs
    WHERE run_id = runs.id AND number > CAST(:after AS bigint)
      AND level = ANY(CAST(:levels AS text[]))
      AND (CAST(:step AS text) IS NULL OR step_id = CAST(:step AS text) OR starts_with(step_id, :step || '['))
    ORDER BY number {direction}
    LIMIT CAST(:limit AS int)
) AS line ON true
WHERE runs.id = CAST(:run_id AS uuid)
ORDER BY line.number
"""
_FIRST, _LAST = (text(_LINES.format(direction=direction)) for direction in ("", "DESC"))


class RunLogLine(BaseModel):
    """What an executor, or the agent of a step, says about a run."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    level: LogLevel
    step_id: str | None = Field(description="The step or item that it is about; null: the whole run")
    attempt: int | None = Field(description="Which try of that")
    message: str
    fields: dict[str, Any]


class RunLogPage(BaseModel):
    """One page of a run's log, oldest lines first."""

    items: list[RunLogLine]
    size: int
    next: str | None = Field(description="`cursor` of the next page; null on the last one")
    latest: str = Field(description="As `cursor` it gives what is logged after this page, also when that comes later")
    run_status: RunStatus = Field(description="As it was when the lines were read: nothing follows once it is final")


@dataclass(frozen=True, slots=True)
class Found:
    """Lines in their order, and how their run stood."""

    run_status: RunStatus
    lines: Sequence[AnyRow]


async def find_lines(
    connection: AsyncConnection, run_id: UUID, *, after: int, step: str | None, level: LogLevel, limit: int
) -> Found | None:
    """The first lines behind that number, of this level or a more urgent one; None without the run. One statement."""
    levels = list(LOG_LEVELS[LOG_LEVELS.index(level) :])
    values = {"run_id": run_id, "after": after, "step": step, "levels": levels, "limit": limit}
    return _found((await connection.execute(_FIRST, values)).all())


async def newest_lines(connection: AsyncConnection, run_id: UUID, limit: int) -> Sequence[AnyRow]:
    """The last lines of a run, in their order. One statement."""
    values = {"run_id": run_id, "after": -1, "step": None, "levels": list(LOG_LEVELS), "limit": limit}
    found = _found((await connection.execute(_LAST, values)).all())
    return found.lines if found else ()


def _found(rows: Sequence[AnyRow]) -> Found | None:
    return Found(rows[0].run_status, [row for row in rows if row.number is not None]) if rows else None

"""Reads the items of a run's steps that are done for each of a list."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.runs.schemas import StepStatus

MOST_SHOWN = 100
"""Of one step and status."""

_ITEMS = text(
    r"""
SELECT step, status, count(*) AS number, jsonb_agg(
    jsonb_build_object(
        'place', place, 'attempt', attempt, 'error', error, 'started_at', started_at, 'finished_at', finished_at
    ) ORDER BY place
) FILTER (WHERE rank <= :most) AS shown
FROM (
    SELECT *, row_number() OVER (PARTITION BY step, status ORDER BY place) AS rank
    FROM (
        SELECT split_part(step_id, '[', 1) AS step,
               CAST(substring(step_id FROM '\[([0-9]+)\]$') AS integer) AS place,
               status, attempt, error, started_at, finished_at
        FROM run_steps
        WHERE run_id = :run_id AND step_id LIKE '%[%'
    ) AS items
) AS ranked
GROUP BY step, status
ORDER BY step, array_position(ARRAY['failed', 'waiting', 'running'], status), status
"""
)


class Item(BaseModel):
    """One item of a step; its place counts from 0."""

    place: int
    attempt: int
    error: dict[str, Any] | None
    started_at: datetime | None
    finished_at: datetime | None


class ItemGroup(BaseModel):
    """The items of a step in one status: how many, and the first of them."""

    status: StepStatus
    number: int
    shown: list[Item]


async def find_items(connection: AsyncConnection, run_id: UUID) -> dict[str, list[ItemGroup]]:
    """The items that were begun: those that failed first, those that wait, those under way. One statement."""
    found: dict[str, list[ItemGroup]] = {}
    for row in await connection.execute(_ITEMS, {"run_id": run_id, "most": MOST_SHOWN}):
        found.setdefault(row.step, []).append(ItemGroup(status=row.status, number=row.number, shown=row.shown))
    return found

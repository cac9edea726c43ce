"""Reads what steps of a run wait for that somebody has to decide."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.executor.kinds.approval import APPROVAL
from service.platform.tables import run_steps, signals

MOST_SHOWN = 20


class Question(BaseModel):
    """A step, or an item of one, that waits for a decision."""

    step_id: str
    prompt: str
    input: Any
    asked_at: datetime | None
    until: datetime | None
    """When it ends without a decision; None where it waits as long as its run."""
    decided_by: str | None
    """Who has decided already, which no executor has taken up yet."""


async def find_questions(
    connection: AsyncConnection, run_id: UUID, step_id: str | None = None
) -> tuple[list[Question], bool]:
    """What a run asks first, or what one step of it asks, and whether there is more. One statement.

    Undecided questions come before others.
    """
    query = (
        select(run_steps.c.step_id, run_steps.c.waits, run_steps.c.started_at, signals.c.given_by)
        .outerjoin(signals, and_(signals.c.run_id == run_steps.c.run_id, signals.c.step_id == run_steps.c.step_id))
        .where(
            run_steps.c.run_id == run_id,
            run_steps.c.status == "waiting",
            run_steps.c.waits["kind"].astext == APPROVAL,
            *([] if step_id is None else [run_steps.c.step_id == step_id]),
        )
        .order_by(signals.c.given_by.is_not(None), run_steps.c.started_at, run_steps.c.step_id)
        .limit(MOST_SHOWN + 1)
    )
    rows = (await connection.execute(query)).all()
    found = []
    for row in rows[:MOST_SHOWN]:
        shown, seconds = row.waits.get("shown") or {}, row.waits.get("timeout_seconds")
        is_bounded = seconds is not None and row.started_at is not None
        found.append(
            Question(
                step_id=row.step_id,
                prompt=str(shown.get("prompt", "")),
                input=shown.get("input"),
                asked_at=row.started_at,
                until=row.started_at + timedelta(seconds=seconds) if is_bounded else None,
                decided_by=row.given_by,
            )
        )
    return found, len(rows) > MOST_SHOWN

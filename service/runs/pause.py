"""Pauses a run and lets it go on.

A run that no executor holds is taken out of the queue at once. One that is being executed gets a mark, which its
executor looks at, and a message that wakes the executor. A paused run goes on by being queued again.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import case, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.executor.messages import PAUSE
from service.platform.database import AnyRow
from service.platform.problems import ProblemError, not_found
from service.platform.tables import FINAL_RUN_STATUSES, runs
from service.runs.messages import Sender, queue_again, tell_executors

SHOWN = ("status", "pause_requested_at")
"""The columns that audit entries show."""

_COLUMNS = (
    runs.c.id,
    runs.c.status,
    runs.c.workflow_id,
    runs.c.cancel_requested_at,
    runs.c.pause_requested_at,
)
_UNHELD = ("queued", "waiting")


async def request_pause(
    connection: AsyncConnection, run_id: UUID, *, topic: str, sender: Sender
) -> tuple[AnyRow, AnyRow | None]:
    """Pause the run, or mark it for its executor; ``topic`` is that of cancellations.

    Returns its row as it was and as it is, None for the second where the pause was asked for already.
    Raises the problem to answer with.
    """
    before = await locked(connection, run_id)
    if before.pause_requested_at is not None:
        return before, None
    unheld = runs.c.status.in_(_UNHELD)
    change = (
        runs.update()
        .where(runs.c.id == run_id)
        .values(
            pause_requested_at=func.now(),
            status=case((unheld, "paused"), else_=runs.c.status),
            paused_at=case((unheld, func.now()), else_=null()),
        )
        .returning(*_COLUMNS)
    )
    after = (await connection.execute(change)).one()
    if after.status == "running":
        await tell_executors(connection, run_id, topic=topic, sender=sender, at=after.pause_requested_at, kind=PAUSE)
    return before, after


async def resume(
    connection: AsyncConnection, run_id: UUID, *, topic: str, sender: Sender
) -> tuple[AnyRow, AnyRow | None]:
    """Queue a paused run again, or take the mark off one that is not paused yet; ``topic`` is that of executions.

    Returns its row as it was and as it is, None for the second where no pause was asked for.
    Raises the problem to answer with.
    """
    before = await locked(connection, run_id)
    if before.pause_requested_at is None:
        return before, None
    values: dict[str, Any] = {"pause_requested_at": null(), "paused_at": null()}
    if before.status == "paused":
        seconds = func.extract("epoch", func.now() - runs.c.paused_at)
        values |= {
            "status": "queued",
            "queued_at": func.now(),
            # What was before its start is in no run's timeout.
            "paused_seconds": runs.c.paused_seconds + case((runs.c.started_at.is_(None), 0), else_=seconds),
        }
    change = runs.update().where(runs.c.id == run_id).values(**values)
    after = (await connection.execute(change.returning(*_COLUMNS, runs.c.input, runs.c.queued_at))).one()
    if after.status == "queued":
        await queue_again(connection, after, topic=topic, sender=sender)
    return before, after


async def locked(connection: AsyncConnection, run_id: UUID) -> AnyRow:
    """The run, which nobody else can change before this transaction ends. Raises the problem where it has ended."""
    query = select(*_COLUMNS).where(runs.c.id == run_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise not_found("run")
    if row.status in FINAL_RUN_STATUSES:
        raise ProblemError(409, "run-finished", f"The run is {row.status}; it does nothing more.")
    if row.cancel_requested_at is not None:
        raise ProblemError(409, "run-cancelled", "Somebody asked for the run to be cancelled; it will not go on.")
    return row

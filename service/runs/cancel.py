"""Asks a run to stop: a mark on the run, which executors look at between steps, and a message that wakes them."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.tables import FINAL_RUN_STATUSES, runs
from service.runs.messages import Sender, tell_executors


async def request_cancellation(
    connection: AsyncConnection, run_id: UUID, *, topic: str, correlation_id: str, requested_by: str
) -> tuple[AnyRow, bool] | None:
    """Mark the run in the given transaction.

    Returns its row and whether the mark is new: a finished run gets none, one that is marked keeps its mark and sends
    no second message. None where there is no run of this id.
    """
    query = select(runs.c.id, runs.c.status, runs.c.cancel_requested_at, runs.c.workflow_id)
    row = (await connection.execute(query.where(runs.c.id == run_id).with_for_update())).one_or_none()
    if row is None:
        return None
    if row.status in FINAL_RUN_STATUSES or row.cancel_requested_at is not None:
        return row, False
    mark = (
        runs.update()
        .where(runs.c.id == run_id)
        .values(cancel_requested_at=func.now())
        .returning(runs.c.id, runs.c.status, runs.c.cancel_requested_at, runs.c.workflow_id)
    )
    row = (await connection.execute(mark)).one()
    sender = Sender(requested_by, correlation_id)
    await tell_executors(connection, run_id, topic=topic, sender=sender, at=row.cancel_requested_at)
    return row, True

"""Messages about runs that are there already, written in the transaction of the change that they tell about."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from service.platform.database import AnyRow
from service.platform.ids import new_id
from service.platform.tables import outbox


@dataclass(frozen=True, slots=True)
class Sender:
    """Who causes a message, with which request."""

    subject: str
    correlation_id: str


async def tell_executors(
    connection: AsyncConnection, run_id: UUID, *, topic: str, sender: Sender, at: datetime, **what: Any
) -> None:
    """A message on the cancellation topic, which every executor reads; without ``what`` it asks for a cancellation."""
    await _send(connection, topic, run_id, sender, at, what)


async def queue_again(connection: AsyncConnection, run: AnyRow, *, topic: str, sender: Sender) -> None:
    """The message by which an executor takes up a run that has just been queued again.

    The row needs the run's ``id``, ``workflow_id``, ``input`` and ``queued_at``.
    """
    what = {"workflow_id": str(run.workflow_id), "input": run.input}
    await _send(connection, topic, run.id, sender, run.queued_at, what)


async def _send(
    connection: AsyncConnection, topic: str, run_id: UUID, sender: Sender, at: datetime, what: dict[str, Any]
) -> None:
    message = {
        # A new one each time: executors pass over a message that they have seen.
        "message_id": str(new_id()),
        "run_id": str(run_id),
        "correlation_id": sender.correlation_id,
        "requested_by": sender.subject,
        "requested_at": at.isoformat().replace("+00:00", "Z"),
        **what,
    }
    headers = {"correlation_id": sender.correlation_id}
    await connection.execute(outbox.insert().values(topic=topic, key=str(run_id), headers=headers, payload=message))

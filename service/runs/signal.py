"""Decides what a waiting step waits for, and lets its run go on.

The decision is a row of its own, written once. Its run counts how many it has: an executor that is about to let go of
the run says how many it knows, so none is overlooked. A run that waits is queued again; the executor that has a
running one is told.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, null, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from service.executor.kinds.approval import APPROVAL, decision
from service.executor.messages import SIGNAL
from service.platform.database import AnyRow
from service.platform.problems import ProblemError, not_found
from service.platform.tables import run_steps, runs, signals
from service.runs.messages import Sender, queue_again, tell_executors
from service.runs.pause import locked


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by whom."""

    approved: bool
    by: str
    comment: str | None
    data: Any

    @property
    def output(self) -> dict[str, Any] | None:
        """The step's output; None where it fails."""
        return decision(True, self.by, self.comment, self.data) if self.approved else None

    @property
    def error(self) -> dict[str, Any] | None:
        """Why the step fails; None where it does not."""
        if self.approved:
            return None
        detail = f"{self.by} rejected it" + (f": {self.comment}" if self.comment else "")
        told = {"by": self.by, "comment": self.comment, "data": self.data}
        return {"code": "rejected", "detail": detail, "retryable": False, **told}


async def give_signal(
    connection: AsyncConnection,
    run_id: UUID,
    step_id: str,
    decided: Decision,
    *,
    execution_topic: str,
    cancellation_topic: str,
    sender: Sender,
) -> AnyRow:
    """Store the decision in the given transaction; returns the run as it is then. Raises the problem to answer with."""
    before = await locked(connection, run_id)
    query = select(run_steps.c.status, run_steps.c.waits)
    step = (
        await connection.execute(query.where(run_steps.c.run_id == run_id, run_steps.c.step_id == step_id))
    ).one_or_none()
    if step is None:
        raise not_found("begun step")
    if step.status != "waiting" or (step.waits or {}).get("kind") != APPROVAL:
        raise ProblemError(409, "step-not-waiting", f"The step is {step.status}; it waits for no decision.")
    new = insert(signals).values(
        run_id=run_id,
        step_id=step_id,
        output=null() if decided.output is None else decided.output,
        error=null() if decided.error is None else decided.error,
        given_by=decided.by,
    )
    if (await connection.execute(new.on_conflict_do_nothing().returning(signals.c.run_id))).one_or_none() is None:
        raise ProblemError(409, "already-decided", "Somebody has decided already; the first decision counts.")
    waits = runs.c.status == "waiting"
    change = (
        runs.update()
        .where(runs.c.id == run_id)
        .values(
            signals=runs.c.signals + 1,
            status=case((waits, "queued"), else_=runs.c.status),
            queued_at=case((waits, func.now()), else_=runs.c.queued_at),
        )
        .returning(
            runs.c.id,
            runs.c.workflow_id,
            runs.c.status,
            runs.c.input,
            runs.c.queued_at,
            runs.c.signals,
            func.now().label("now"),
        )
    )
    run = (await connection.execute(change)).one()
    if before.status == "waiting":
        await queue_again(connection, run, topic=execution_topic, sender=sender)
    elif run.status == "running":
        asked = {"kind": SIGNAL, "signals": run.signals}
        await tell_executors(connection, run_id, topic=cancellation_topic, sender=sender, at=run.now, **asked)
    return run

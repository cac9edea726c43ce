"""How an executor claims runs, extends its leases and gives runs back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Row

from service.executor import claim_statements, queue_statements, statements
from service.executor.claims import ClaimedRun, Marks, claimed_run, marks_of
from service.executor.messages import ExecutionRequest
from service.executor.statement_runner import StatementRunner


class Claiming(StatementRunner):
    """The part of the repository by which runs become, stay and cease to be this executor's."""

    held_back = 0
    """How many runs claims of this executor have found that limits of their workflow kept from being claimed."""

    async def claim_received(self, requests: Sequence[ExecutionRequest]) -> list[ClaimedRun]:
        """Record the messages as received and claim those of their runs that are queued.

        A message that was received before claims nothing. Runs of a workflow with limits are marked as held instead,
        for ``claim_held``. When this returns all that is durable.
        """
        ordered = sorted(requests, key=lambda request: request.message_id)
        rows = await self.execute(
            claim_statements.CLAIM_RECEIVED,
            message_ids=[request.message_id for request in ordered],
            run_ids=[request.run_id for request in ordered],
            **self.lease(),
        )
        return self._claimed(rows)

    async def claim_expired(self, limit: int) -> list[ClaimedRun]:
        """Claim runs whose executor let the lease expire, oldest first."""
        return [
            claimed_run(row) for row in await self.execute(claim_statements.CLAIM_EXPIRED, limit=limit, **self.lease())
        ]

    async def claim_forgotten(self, limit: int, *, older_than_seconds: float) -> list[ClaimedRun]:
        """Claim runs that have been queued for so long that their message must be late or lost."""
        rows = await self.execute(
            claim_statements.CLAIM_FORGOTTEN, limit=limit, older_than=older_than_seconds, **self.lease()
        )
        return self._claimed(rows)

    async def claim_woken(self, limit: int) -> list[ClaimedRun]:
        """Claim waiting runs that have something to do because of the time."""
        return self._claimed(await self.execute(claim_statements.CLAIM_WOKEN, limit=limit, **self.lease()))

    async def claim_urgent(self, limit: int) -> list[ClaimedRun]:
        """Claim queued runs that have a priority, with or without their message, in the order of their turns."""
        return self._claimed(await self.execute(queue_statements.CLAIM_URGENT, limit=limit, **self.lease()))

    async def held_workflows(self) -> dict[UUID, bool]:
        """The workflows with runs that are held because of limits, in the order of turns: is there room now?"""
        return {row.workflow_id: bool(row.has_room) for row in await self.execute(queue_statements.HELD_WORKFLOWS)}

    async def claim_held(self, workflow_id: UUID, limit: int) -> list[ClaimedRun] | None:
        """Claim held runs of the workflow as far as its limits have room; None where another claim was quicker.

        When it is None nothing was claimed, and there may be room all the same.
        """
        rows = await self.execute(queue_statements.CLAIM_HELD, workflow_id=workflow_id, limit=limit, **self.lease())
        claimed = [claimed_run(row) for row in rows if row.id is not None]
        return claimed if len(claimed) == len(rows) else None

    async def release(self, run: ClaimedRun) -> None:
        """Give the run back unfinished, for any executor to go on with at once; not counted as an attempt."""
        await self.execute(statements.RELEASE, run_id=run.id, token=run.token, owner=self._owner)

    async def renew(self, runs: Iterable[ClaimedRun]) -> dict[UUID, Marks]:
        """Extend the leases; maps each run that is still ours to what somebody asks of it."""
        held = sorted(runs, key=lambda run: run.id)
        rows = await self.execute(
            statements.RENEW,
            run_ids=[run.id for run in held],
            tokens=[run.token for run in held],
            **self.lease(),
        )
        return {row.id: marks_of(row) for row in rows}

    def _claimed(self, rows: Sequence[Row[Any]]) -> list[ClaimedRun]:
        claimed = [claimed_run(row) for row in rows if row.lease_token is not None]
        self.held_back += len(rows) - len(claimed)
        return claimed

"""The executor's statements.

Every write names the run and the lease token under which it was claimed, so that an executor whose lease was taken
over changes nothing any more. Each function is one statement: one round trip, atomic by itself, safe to repeat.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from service.deadletters.letter import DeadLetter, as_json
from service.deadletters.store import KEEP
from service.executor import statements
from service.executor.definition import Definition, UnusableDefinitionError, parse_definition
from service.executor.messages import ExecutionRequest
from service.executor.progress import JournalledStep, StepState
from service.executor.values import encode
from service.platform.coalescer import Coalescer
from service.platform.database import autocommit

BATCH_RUNS = 128
"""Runs whose journals or ends are written by one statement at most."""


DEFINITIONS_KEPT = 500


class LeaseLostError(RuntimeError):
    """The run is not ours any more: another executor claimed it, or it has ended."""


@dataclass(frozen=True)
class ClaimedRun:
    """A run that this executor may work on while it holds the lease."""

    id: UUID
    token: int
    workflow_id: UUID
    version: int
    correlation_id: str
    requested_by: str
    attempt: int
    cancel_requested: bool
    running_seconds: float
    input: Any
    error: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Journalled:
    run: ClaimedRun
    steps: str


@dataclass(frozen=True, slots=True)
class _Ended(_Journalled):
    status: str
    output: str | None
    error: str | None


class RunRepository:
    """Claims, journals and ends runs on behalf of one executor; what many runs write at once is written together."""

    def __init__(
        self, engine: AsyncEngine, *, owner: str, lease_seconds: float, audit: bool, connections: int = 5
    ) -> None:
        self._engine = engine
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._audit = audit
        # Queueing here is cheaper than the pool's overflow, whose connections are made anew each time, and does not
        # end in the pool's timeout when many runs write at once.
        self._connections = asyncio.Semaphore(connections)
        self._definitions: OrderedDict[tuple[UUID, int], Definition | UnusableDefinitionError] = OrderedDict()
        self._journals = Coalescer[_Journalled, bool]("journal", self._journal_all, most=BATCH_RUNS, key=_run_of)
        self._endings = Coalescer[_Ended, float]("finish", self._finish_all, most=BATCH_RUNS, key=_run_of)

    async def claim_received(self, requests: Sequence[ExecutionRequest]) -> list[ClaimedRun]:
        """Record the messages as received and claim those of their runs that are queued.

        A message that was received before claims nothing. When this returns both are durable.
        """
        ordered = sorted(requests, key=lambda request: request.message_id)
        rows = await self._execute(
            statements.CLAIM_RECEIVED,
            message_ids=[request.message_id for request in ordered],
            run_ids=[request.run_id for request in ordered],
            **self._lease(),
        )
        return [_claimed(row) for row in rows]

    async def keep_dead(self, letters: Iterable[DeadLetter]) -> None:
        """Keep messages that make no sense; one that was kept before is only counted."""
        await self._execute(KEEP, letters=as_json(letters))

    async def claim_expired(self, limit: int) -> list[ClaimedRun]:
        """Claim runs whose executor let the lease expire, oldest first."""
        return [_claimed(row) for row in await self._execute(statements.CLAIM_EXPIRED, limit=limit, **self._lease())]

    async def claim_forgotten(self, limit: int, *, older_than_seconds: float) -> list[ClaimedRun]:
        """Claim runs that have been queued for so long that their message must be late or lost."""
        rows = await self._execute(
            statements.CLAIM_FORGOTTEN, limit=limit, older_than=older_than_seconds, **self._lease()
        )
        return [_claimed(row) for row in rows]

    async def definition(self, run: ClaimedRun) -> Definition:
        """What the run's version says; a version never changes, so it is read and understood once.

        Raises UnusableDefinitionError.
        """
        key = (run.workflow_id, run.version)
        found = self._definitions.get(key)
        if found is None:
            rows = await self._execute(statements.READ_DEFINITION, workflow_id=run.workflow_id, version=run.version)
            found = self._definitions[key] = _understood(rows[0].definition)
            if len(self._definitions) > DEFINITIONS_KEPT:
                self._definitions.popitem(last=False)
        else:
            self._definitions.move_to_end(key)
        if isinstance(found, UnusableDefinitionError):
            raise found
        return found

    async def read_journal(self, run: ClaimedRun) -> list[JournalledStep]:
        """What earlier claims of this run have done."""
        rows = await self._execute(statements.READ_JOURNAL, run_id=run.id)
        return [JournalledStep(row.step_id, row.status, row.attempt, row.output) for row in rows]

    async def journal(self, run: ClaimedRun, steps: Sequence[StepState]) -> bool:
        """Write the steps' states; returns whether somebody asked for the run to be cancelled.

        Raises LeaseLostError, having written nothing.
        """
        return await self._journals.write(_Journalled(run, _encode_steps(steps)))

    async def _journal_all(self, journals: Sequence[_Journalled]) -> list[bool | Exception]:
        rows = await self._execute(
            statements.JOURNAL,
            run_ids=[each.run.id for each in journals],
            tokens=[each.run.token for each in journals],
            steps=[each.steps for each in journals],
        )
        found = {row.id: bool(row.cancel_requested) for row in rows}
        return [found.get(each.run.id, _lost(each.run)) for each in journals]

    async def note_failure(self, run: ClaimedRun, steps: Sequence[StepState], error: Mapping[str, Any]) -> None:
        """Keep why the run fails, while it still has something to do; whoever claims it from now on finds it there.

        Raises LeaseLostError, having written nothing.
        """
        rows = await self._execute(
            statements.NOTE_FAILURE,
            run_id=run.id,
            token=run.token,
            steps=_encode_steps(steps),
            error=encode(error),
        )
        if not rows:
            raise LeaseLostError(f"run {run.id} was taken over or has ended")

    async def finish(
        self,
        run: ClaimedRun,
        status: str,
        steps: Sequence[StepState],
        *,
        output: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> float:
        """Bring the run to a final state, journal the steps and write the audit record, all at once.

        Returns the seconds since the run was accepted. Raises LeaseLostError, having written nothing.
        """
        ending = _Ended(
            run,
            _encode_steps(steps),
            status,
            None if output is None else encode(output),
            None if error is None else encode(error),
        )
        return await self._endings.write(ending)

    async def _finish_all(self, endings: Sequence[_Ended]) -> list[float | Exception]:
        rows = await self._execute(
            statements.FINISH,
            run_ids=[each.run.id for each in endings],
            tokens=[each.run.token for each in endings],
            statuses=[each.status for each in endings],
            outputs=[each.output for each in endings],
            errors=[each.error for each in endings],
            steps=[each.steps for each in endings],
            audit=self._audit,
            actor=self._actor,
        )
        found = {row.id: float(row.seconds) for row in rows}
        return [found.get(each.run.id, _lost(each.run)) for each in endings]

    async def close(self) -> None:
        """Write what waits, for a bounded time."""
        await self._journals.stop()
        await self._endings.stop()

    async def release(self, run: ClaimedRun) -> None:
        """Give the run back unfinished, for any executor to go on with at once; not counted as an attempt."""
        await self._execute(statements.RELEASE, run_id=run.id, token=run.token)

    async def renew(self, runs: Iterable[ClaimedRun]) -> dict[UUID, bool]:
        """Extend the leases; maps each run that is still ours to whether it is to be cancelled."""
        held = sorted(runs, key=lambda run: run.id)
        rows = await self._execute(
            statements.RENEW,
            run_ids=[run.id for run in held],
            tokens=[run.token for run in held],
            lease=self._lease_seconds,
        )
        return {row.id: bool(row.cancel_requested) for row in rows}

    async def cancel_queued(self, run_id: UUID) -> bool:
        """Cancel a run that was asked to be cancelled before anybody claimed it; returns whether this did it."""
        rows = await self._execute(statements.CANCEL_QUEUED, run_id=run_id, audit=self._audit, actor=self._actor)
        return bool(rows)

    async def forget_messages(self, *, older_than_days: int, most: int) -> int:
        """Drop the marks of messages that are too old to come again, so many at most; returns how many there were."""
        return len(await self._execute(statements.FORGET_MESSAGES, days=older_than_days, most=most))

    async def forget_idempotency_keys(self, *, older_than_days: int) -> None:
        """Drop the keys of requests that are too old to be sent again."""
        await self._execute(statements.FORGET_KEYS, days=older_than_days)

    @property
    def _actor(self) -> str:
        return f"executor:{self._owner}"

    def _lease(self) -> dict[str, Any]:
        return {"owner": self._owner, "lease": self._lease_seconds}

    async def _execute(self, statement: TextClause, **values: Any) -> Sequence[Row[Any]]:
        async with self._connections, autocommit(self._engine) as connection:
            result = await connection.execute(statement, values)
            return result.all() if result.returns_rows else []


def _understood(document: Mapping[str, Any]) -> Definition | UnusableDefinitionError:
    try:
        return parse_definition(document)
    except UnusableDefinitionError as error:
        return error


def _run_of(journalled: _Journalled) -> UUID:
    return journalled.run.id


def _lost(run: ClaimedRun) -> LeaseLostError:
    return LeaseLostError(f"run {run.id} was taken over or has ended")


def _claimed(row: Row[Any]) -> ClaimedRun:
    return ClaimedRun(
        id=row.id,
        token=row.lease_token,
        workflow_id=row.workflow_id,
        version=row.workflow_version,
        correlation_id=row.correlation_id,
        requested_by=row.requested_by,
        attempt=row.attempt,
        cancel_requested=bool(row.cancel_requested),
        running_seconds=float(row.running_seconds),
        input=row.input,
        error=row.error,
    )


def _encode_steps(steps: Sequence[StepState]) -> str:
    now = time.monotonic()
    return encode(
        [
            {
                "step_id": state.id,
                "status": state.status,
                "attempt": state.attempt,
                "output": state.output,
                "error": state.error,
                # Ages, not times: the database's clock is the only one that counts.
                "started_ago": None if state.started is None else now - state.started,
                "finished_ago": None if state.finished is None else now - state.finished,
            }
            for state in steps
        ]
    )

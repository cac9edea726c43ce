"""The executor's statements.

Every write names the run and the lease token under which it was claimed, so that an executor whose lease was taken
over changes nothing any more. Each function is one statement: one round trip, atomic by itself, safe to repeat.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import TextClause
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from service.deadletters.letter import DeadLetter, as_json
from service.deadletters.store import KEEP
from service.executor import queue_statements, statements
from service.executor.children import changes_of_children
from service.executor.claims import ClaimedRun, EndedRun, Marks, claimed_run, lost, marks_of
from service.executor.conclusion import END_RECEIVED, Conclusion, received_values
from service.executor.definition import Definition, UnusableDefinitionError, parse_definition
from service.executor.journal import encode_steps, journalled_step
from service.executor.messages import ExecutionRequest
from service.executor.progress import JournalledStep, StepState
from service.executor.run_log import RunLog
from service.executor.values import encode, problem
from service.executor.waiting import Signal
from service.platform.coalescer import Coalescer
from service.platform.database import autocommit

if TYPE_CHECKING:
    from service.executor.replies import Reply

BATCH_RUNS = 128
"""Runs whose journals or ends are written by one statement at most."""

DEFINITIONS_KEPT = 500
"""Versions of workflows that an executor keeps in memory; those used longest ago go first."""


@dataclass(frozen=True, slots=True)
class _Journalled:
    run: ClaimedRun
    steps: str
    lines: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class _Ended(_Journalled):
    status: str
    output: str | None
    error: str | None
    is_related: bool


class RunRepository:
    """Claims, journals and ends runs on behalf of one executor; what many runs write at once is written together."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        owner: str,
        lease_seconds: float,
        audit: bool,
        connections: int = 5,
        execution_topic: str | None = None,
        cancellation_topic: str | None = None,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """``wake`` is called when there is something in the outbox. Without topics nobody is told anything."""
        self._engine = engine
        self._topics = {"execution_topic": execution_topic, "cancellation_topic": cancellation_topic}
        self._wake = wake
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._audit = audit
        # Queueing here is cheaper than the pool's overflow, whose connections are made anew each time, and does not
        # end in the pool's timeout when many runs write at once.
        self._connections = asyncio.Semaphore(connections)
        self.held_back = 0
        """How many runs claims of this executor have found that limits of their workflow kept from being claimed."""
        self._definitions: OrderedDict[tuple[UUID, int], Definition | UnusableDefinitionError] = OrderedDict()
        self._journals = Coalescer[_Journalled, Marks]("journal", self._journal_all, most=BATCH_RUNS, key=_run_of)
        self._endings = Coalescer[_Ended, float]("finish", self._finish_all, most=BATCH_RUNS, key=_run_of)

    async def claim_received(self, requests: Sequence[ExecutionRequest]) -> list[ClaimedRun]:
        """Record the messages as received and claim those of their runs that are queued.

        A message that was received before claims nothing. Runs of a workflow with limits are marked as held instead,
        for ``claim_held``. When this returns all that is durable.
        """
        ordered = sorted(requests, key=lambda request: request.message_id)
        rows = await self._execute(
            statements.CLAIM_RECEIVED,
            message_ids=[request.message_id for request in ordered],
            run_ids=[request.run_id for request in ordered],
            **self._lease(),
        )
        return self._claimed(rows)

    async def end_received(self, conclusions: Sequence[Conclusion]) -> dict[UUID, float]:
        """Record the messages as received and bring their runs, which nobody has claimed, to their ends, all at once.

        Maps those for which it was done to the seconds since they were accepted. Nothing is done for a run of which
        anything is not as its conclusion assumes, nor for its message.
        """
        if not conclusions:
            return {}
        values, lines = received_values(conclusions), {each.run_id: each.lines for each in conclusions}
        rows = await self._write(END_RECEIVED, lines, **values, audit=self._audit, actor=self._actor)
        return {row.id: float(row.seconds) for row in rows}

    async def keep_dead(self, letters: Iterable[DeadLetter]) -> None:
        """Keep messages that make no sense; one that was kept before is only counted."""
        await self._execute(KEEP, letters=as_json(letters))

    async def claim_expired(self, limit: int) -> list[ClaimedRun]:
        """Claim runs whose executor let the lease expire, oldest first."""
        return [claimed_run(row) for row in await self._execute(statements.CLAIM_EXPIRED, limit=limit, **self._lease())]

    async def claim_forgotten(self, limit: int, *, older_than_seconds: float) -> list[ClaimedRun]:
        """Claim runs that have been queued for so long that their message must be late or lost."""
        rows = await self._execute(
            statements.CLAIM_FORGOTTEN, limit=limit, older_than=older_than_seconds, **self._lease()
        )
        return self._claimed(rows)

    async def claim_woken(self, limit: int) -> list[ClaimedRun]:
        """Claim waiting runs that have something to do because of the time."""
        return self._claimed(await self._execute(statements.CLAIM_WOKEN, limit=limit, **self._lease()))

    async def claim_urgent(self, limit: int) -> list[ClaimedRun]:
        """Claim queued runs that have a priority, with or without their message, in the order of their turns."""
        return self._claimed(await self._execute(queue_statements.CLAIM_URGENT, limit=limit, **self._lease()))

    async def held_workflows(self) -> dict[UUID, bool]:
        """The workflows with runs that are held because of limits, in the order of turns: is there room now?"""
        return {row.workflow_id: bool(row.has_room) for row in await self._execute(queue_statements.HELD_WORKFLOWS)}

    async def claim_held(self, workflow_id: UUID, limit: int) -> list[ClaimedRun] | None:
        """Claim held runs of the workflow as far as its limits have room; None where another claim was quicker.

        When it is None nothing was claimed, and there may be room all the same.
        """
        rows = await self._execute(queue_statements.CLAIM_HELD, workflow_id=workflow_id, limit=limit, **self._lease())
        claimed = [claimed_run(row) for row in rows if row.id is not None]
        return claimed if len(claimed) == len(rows) else None

    async def definition(self, run: ClaimedRun) -> Definition:
        """What the run's version says. Raises UnusableDefinitionError."""
        found = await self.known_definition(run.workflow_id, run.version)
        if found is None:
            raise UnusableDefinitionError("the run's version of the workflow is not there")
        return found

    async def known_definition(self, workflow_id: UUID, version: int) -> Definition | None:
        """What a version says, None where there is none; it never changes, so it is read and understood once.

        Raises UnusableDefinitionError.
        """
        key = (workflow_id, version)
        found = self._definitions.get(key)
        if found is None:
            rows = await self._execute(statements.READ_DEFINITION, workflow_id=workflow_id, version=version)
            if not rows:
                return None
            found = self._definitions[key] = _understood(rows[0].definition)
            if len(self._definitions) > DEFINITIONS_KEPT:
                self._definitions.popitem(last=False)
        else:
            self._definitions.move_to_end(key)
        if isinstance(found, UnusableDefinitionError):
            raise found
        return found

    async def read_journal(self, run: ClaimedRun, log: RunLog | None = None) -> list[JournalledStep]:
        """What earlier claims of this run have done; ``log`` is told how much they have logged."""
        rows = await self._execute(statements.READ_JOURNAL, run_id=run.id)
        if log is not None and rows:
            log.known(rows[0].lines, int(rows[0].size))
        return [journalled_step(row) for row in rows]

    async def journal(self, run: ClaimedRun, steps: Sequence[StepState], *, lines: str | None = None) -> Marks:
        """Write the steps' states, with the runs that they begin and lines of the run's log (JSON text).

        Returns what somebody asks of the run.

        Raises LeaseLostError, having written nothing.
        """
        changes = changes_of_children(steps)
        if changes is None:
            return await self._journals.ask(_Journalled(run, encode_steps(steps), lines=lines))
        rows = await self._write(
            statements.JOURNAL_OF_PARENT,
            {run.id: lines},
            tells=True,
            run_ids=[run.id],
            tokens=[run.token],
            steps=[encode_steps(steps)],
            **changes,
        )
        if not rows:
            raise lost(run)
        return marks_of(rows[0])

    async def _journal_all(self, journals: Sequence[_Journalled]) -> list[Marks | Exception]:
        rows = await self._write(
            statements.JOURNAL,
            {each.run.id: each.lines for each in journals},
            run_ids=[each.run.id for each in journals],
            tokens=[each.run.token for each in journals],
            steps=[each.steps for each in journals],
        )
        found = {row.id: marks_of(row) for row in rows}
        return [found.get(each.run.id, lost(each.run)) for each in journals]

    async def note_failure(
        self, run: ClaimedRun, steps: Sequence[StepState], error: Mapping[str, Any], *, lines: str | None = None
    ) -> None:
        """Keep why the run fails, while it still has something to do; whoever claims it from now on finds it there.

        Raises LeaseLostError, having written nothing.
        """
        values: dict[str, Any] = {
            "run_id": run.id,
            "token": run.token,
            "steps": encode_steps(steps),
            "error": encode(error),
        }
        changes = changes_of_children(steps)
        if changes is None:
            rows = await self._write(statements.NOTE_FAILURE, {run.id: lines}, **values)
        else:
            rows = await self._write(
                statements.NOTE_FAILURE_OF_PARENT, {run.id: lines}, tells=True, **values, **changes
            )
        if not rows:
            raise lost(run)

    async def finish(
        self,
        run: ClaimedRun,
        status: str,
        steps: Sequence[StepState],
        *,
        output: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        may_have_children: bool = False,
        lines: str | None = None,
    ) -> float:
        """Bring the run to a final state, journal the steps and write the audit record, all at once.

        A step that waits for its end is signalled; children that have not ended are asked to stop.
        Returns the seconds since the run was accepted. Raises LeaseLostError, having written nothing.
        """
        ending = _Ended(
            run,
            encode_steps(steps),
            status,
            None if output is None else encode(output),
            None if error is None else encode(error),
            may_have_children or run.has_parent,
            lines=lines,
        )
        return await self._endings.ask(ending)

    async def _finish_all(self, endings: Sequence[_Ended]) -> list[float | Exception]:
        values: dict[str, Any] = {
            "run_ids": [each.run.id for each in endings],
            "tokens": [each.run.token for each in endings],
            "statuses": [each.status for each in endings],
            "outputs": [each.output for each in endings],
            "errors": [each.error for each in endings],
            "steps": [each.steps for each in endings],
        }
        lines = {each.run.id: each.lines for each in endings}
        if any(each.is_related for each in endings):
            rows = await self._write(statements.FINISH_RELATED, lines, tells=True, **values)
        else:
            rows = await self._write(statements.FINISH, lines, **values, audit=self._audit, actor=self._actor)
        found = {row.id: float(row.seconds) for row in rows}
        return [found.get(each.run.id, lost(each.run)) for each in endings]

    async def close(self) -> None:
        """Write what waits, for a bounded time."""
        await self._journals.stop()
        await self._endings.stop()

    async def park(
        self,
        run: ClaimedRun,
        status: str,
        steps: Sequence[StepState],
        *,
        signals: int = 0,
        wake: float | None = None,
        lines: str | None = None,
    ) -> bool:
        """Journal the steps and let go of the run, which goes on at a later event; not counted as an attempt.

        ``paused`` until it is resumed, ``waiting`` until one more of its steps is signalled or after ``wake`` seconds.
        False, having written nothing, where it is not ours any more, or something else is asked of it meanwhile.
        """
        values: dict[str, Any] = {
            "run_id": run.id,
            "token": run.token,
            "steps": encode_steps(steps),
            "status": status,
            "signals": signals,
            "wake": wake,
        }
        changes = changes_of_children(steps)
        if changes is None:
            return bool(await self._write(statements.PARK, {run.id: lines}, **values))
        return bool(await self._write(statements.PARK_PARENT, {run.id: lines}, tells=True, **values, **changes))

    async def take_replies(self, replies: Sequence[Reply]) -> dict[str, int]:
        """Signal the steps that wait for the replies; returns how many did, by topic."""
        rows = await self._tell(
            statements.TAKE_REPLIES,
            run_ids=[each.run_id for each in replies],
            step_ids=[each.step_id for each in replies],
            attempts=[each.attempt for each in replies],
            topics=[each.topic for each in replies],
            headers=[each.header for each in replies],
            fields=[each.field for each in replies],
            outputs=[each.output for each in replies],
            places=[each.place for each in replies],
        )
        return {row.topic: row.answers for row in rows}

    async def read_callee(self, run_id: UUID, workflow: str, version: int | None) -> Sequence[Row[Any]]:
        """The workflow that a step of the run wants to execute, by its id or else its name."""
        try:
            workflow_id = UUID(workflow)
        except ValueError:
            workflow_id = None
        return await self._execute(
            statements.READ_CALLEE, run_id=run_id, workflow_id=workflow_id, name=workflow, version=version
        )

    async def read_signals(self, run: ClaimedRun) -> dict[str, Signal]:
        """How the steps that were signalled so far end, by their names in the journal."""
        rows = await self._execute(statements.READ_SIGNALS, run_id=run.id)
        return {row.step_id: Signal(row.output, row.error) for row in rows}

    async def release(self, run: ClaimedRun) -> None:
        """Give the run back unfinished, for any executor to go on with at once; not counted as an attempt."""
        await self._execute(statements.RELEASE, run_id=run.id, token=run.token, owner=self._owner)

    async def renew(self, runs: Iterable[ClaimedRun]) -> dict[UUID, Marks]:
        """Extend the leases; maps each run that is still ours to what somebody asks of it."""
        held = sorted(runs, key=lambda run: run.id)
        rows = await self._execute(
            statements.RENEW,
            run_ids=[run.id for run in held],
            tokens=[run.token for run in held],
            **self._lease(),
        )
        return {row.id: marks_of(row) for row in rows}

    async def cancel_queued(self, run_id: UUID) -> bool:
        """End a run that was asked to be cancelled and that no executor holds; returns whether this did it."""
        return bool(await self._tell(statements.CANCEL_QUEUED, run_id=run_id))

    async def force_cancellations(self, limit: int, *, after_seconds: float) -> list[EndedRun]:
        """End runs that were asked to stop: those that no executor holds, and those whose executor did not stop them.

        Whoever holds one of the latter can write nothing of it any more.
        """
        detail = f"its executor did not stop within {after_seconds:g} s of the request"
        rows = await self._tell(
            statements.FORCE_CANCELLATIONS,
            limit=limit,
            after=after_seconds,
            error=encode(problem("cancel-forced", "The run was ended without its executor", detail)),
        )
        return [EndedRun(row.id, row.status, row.correlation_id, float(row.seconds)) for row in rows]

    async def answer_missed(self, limit: int, *, older_than_seconds: float) -> int:
        """Tell waiting runs the ends of their children that whoever ended them did not tell; returns how many."""
        return len(await self._tell(statements.ANSWER_MISSED, limit=limit, older_than=older_than_seconds))

    async def forget_messages(self, *, older_than_days: int, most: int) -> int:
        """Drop the marks of messages that are too old to come again, so many at most; returns how many there were."""
        return len(await self._execute(statements.FORGET_MESSAGES, days=older_than_days, most=most))

    async def forget_idempotency_keys(self, *, older_than_days: int) -> None:
        """Drop the keys of requests that are too old to be sent again."""
        await self._execute(statements.FORGET_KEYS, days=older_than_days)

    def _claimed(self, rows: Sequence[Row[Any]]) -> list[ClaimedRun]:
        claimed = [claimed_run(row) for row in rows if row.lease_token is not None]
        self.held_back += len(rows) - len(claimed)
        return claimed

    @property
    def _actor(self) -> str:
        return f"executor:{self._owner}"

    def _lease(self) -> dict[str, Any]:
        return {"owner": self._owner, "lease": self._lease_seconds}

    async def _write(
        self, statement: TextClause, lines: Mapping[UUID, str | None], *, tells: bool = False, **values: Any
    ) -> Sequence[Row[Any]]:
        """Execute a statement that writes steps, with the lines that runs have logged."""
        logged = {run_id: text for run_id, text in lines.items() if text is not None}
        if logged:
            statement = statements.with_lines(statement)
            values |= {"logging_ids": list(logged), "lines": list(logged.values())}
        return await (self._tell if tells else self._execute)(statement, **values)

    async def _tell(self, statement: TextClause, **values: Any) -> Sequence[Row[Any]]:
        """Execute a statement that may tell other executors something."""
        rows = await self._execute(statement, **values, **self._topics, audit=self._audit, actor=self._actor)
        if rows:
            self._wake()
        return rows

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

"""The executor's statements.

Every write names the run and the lease token under which it was claimed, so that an executor whose lease was taken
over changes nothing any more. Each function is one statement: one round trip, atomic by itself, safe to repeat.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import statements
from service.executor.children import changes_of_children
from service.executor.claiming import Claiming
from service.executor.claims import ClaimedRun, Marks, lost, marks_of
from service.executor.conclusion import END_RECEIVED, Conclusion, received_values
from service.executor.definition import Definition, UnusableDefinitionError, parse_definition
from service.executor.journal import encode_steps, journalled_step
from service.executor.progress import JournalledStep, StepState
from service.executor.run_log import RunLog
from service.executor.upkeep import Upkeep
from service.executor.values import encode
from service.executor.waiting import Signal
from service.platform.coalescer import Coalescer

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


class RunRepository(Claiming, Upkeep):
    """Claims, journals and ends runs on behalf of one executor; what many runs write at once is written together."""

    def __init__(self, engine: AsyncEngine, **how: Any) -> None:
        """``how`` is what StatementRunner takes."""
        super().__init__(engine, **how)
        self._definitions: OrderedDict[tuple[UUID, int], Definition | UnusableDefinitionError] = OrderedDict()
        self._journals = Coalescer[_Journalled, Marks]("journal", self._journal_all, most=BATCH_RUNS, key=_run_of)
        self._endings = Coalescer[_Ended, float]("finish", self._finish_all, most=BATCH_RUNS, key=_run_of)

    async def end_received(self, conclusions: Sequence[Conclusion]) -> dict[UUID, float]:
        """Record the messages as received and bring their runs, which nobody has claimed, to their ends, all at once.

        Maps those for which it was done to the seconds since they were accepted. Nothing is done for a run of which
        anything is not as its conclusion assumes, nor for its message.
        """
        if not conclusions:
            return {}
        values, lines = received_values(conclusions), {each.run_id: each.lines for each in conclusions}
        rows = await self.write(END_RECEIVED, lines, **values, audit=self.audit, actor=self.actor)
        return {row.id: float(row.seconds) for row in rows}

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
            rows = await self.execute(statements.READ_DEFINITION, workflow_id=workflow_id, version=version)
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
        rows = await self.execute(statements.READ_JOURNAL, run_id=run.id)
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
        rows = await self.write(
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
        rows = await self.write(
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
            rows = await self.write(statements.NOTE_FAILURE, {run.id: lines}, **values)
        else:
            rows = await self.write(statements.NOTE_FAILURE_OF_PARENT, {run.id: lines}, tells=True, **values, **changes)
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
            rows = await self.write(statements.FINISH_RELATED, lines, tells=True, **values)
        else:
            rows = await self.write(statements.FINISH, lines, **values, audit=self.audit, actor=self.actor)
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
            return bool(await self.write(statements.PARK, {run.id: lines}, **values))
        return bool(await self.write(statements.PARK_PARENT, {run.id: lines}, tells=True, **values, **changes))

    async def take_replies(self, replies: Sequence[Reply]) -> dict[str, int]:
        """Signal the steps that wait for the replies; returns how many did, by topic."""
        rows = await self.tell(
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
        return await self.execute(
            statements.READ_CALLEE, run_id=run_id, workflow_id=workflow_id, name=workflow, version=version
        )

    async def read_signals(self, run: ClaimedRun) -> dict[str, Signal]:
        """How the steps that were signalled so far end, by their names in the journal."""
        rows = await self.execute(statements.READ_SIGNALS, run_id=run.id)
        return {row.step_id: Signal(row.output, row.error) for row in rows}


def _understood(document: Mapping[str, Any]) -> Definition | UnusableDefinitionError:
    try:
        return parse_definition(document)
    except UnusableDefinitionError as error:
        return error


def _run_of(journalled: _Journalled) -> UUID:
    return journalled.run.id

"""Executes one claimed run: steps in DAG order, results journalled, one final state."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from service.executor import metrics
from service.executor.active import ActiveRun, Interruption
from service.executor.claims import LeaseLostError, Marks
from service.executor.definition import Definition, UnusableDefinitionError
from service.executor.ending import failure_of_run, misfit_of
from service.executor.kinds.base import Agent
from service.executor.progress import CANCELLED, COMPLETED, FAILED, WAITING, JournalledStep, Progress
from service.executor.repository import RunRepository
from service.executor.run_log import RunLog, tell_failure
from service.executor.transient import is_transient
from service.executor.values import problem
from service.executor.waiting import Signal
from service.executor.work import Work
from service.platform.logging import bound_contextvars, get_logger
from service.platform.worker_loop import Backoff

MAX_CLAIMS = 10
"""A run whose executors died this often is taken for their killer and failed."""

PAUSED = "paused"
_LEAST_PARKED_SECONDS = 1.0
"""A run that goes on sooner is not worth to be let go of."""

log = get_logger(__name__)

ResultT = TypeVar("ResultT")


class Runner:
    """Executes runs with one executor's agents; the methods may be called for many runs at a time."""

    def __init__(self, repository: RunRepository, agents: Mapping[str, Agent[Any]]) -> None:
        self._repository = repository
        self._agents = agents

    async def execute(self, active: ActiveRun) -> None:
        """Work on the run until it ends, is lost, or has to be given back; never raises but when cancelled."""
        run = active.run
        with bound_contextvars(correlation_id=run.correlation_id, workflow_id=str(run.workflow_id), run_id=str(run.id)):
            try:
                await _Execution(self._repository, self._agents, active).run_to_end()
            except LeaseLostError:
                metrics.LEASES_LOST.inc()
                log.warning("Run given up: another executor has it, or it has ended", lease_token=run.token)
            except Exception:
                # The lease expires, and the run is claimed again: at most MAX_CLAIMS times.
                log.exception("Run left because the executor broke down")


class _Execution:
    def __init__(self, repository: RunRepository, agents: Mapping[str, Agent[Any]], active: ActiveRun) -> None:
        self._repository = repository
        self._agents = agents
        self._active = active
        self._run = active.run
        self._known: list[JournalledStep] = []
        self._signals: dict[str, Signal] = {}
        self._claimed = time.monotonic()
        self._may_have_children = False
        self._log = RunLog(self._run.token, active.nudge)

    async def run_to_end(self) -> None:
        run = self._run
        try:
            definition = await self._kept_trying(lambda: self._repository.definition(run))
        except UnusableDefinitionError as error:
            await self._finish(None, FAILED, error=problem("definition", "The workflow cannot be executed", str(error)))
            return
        self._may_have_children = definition.executes_workflows
        # Only a run that somebody worked on before has a journal.
        if run.token > 1:
            self._known = await self._kept_trying(lambda: self._repository.read_journal(run, self._log))
        progress = Progress(definition, run.input, self._known)
        log.info("Run claimed", attempt=run.attempt, lease_token=run.token)
        if run.attempt > 1:
            self._log.own("warning", "Taken over: the executor before let its lease expire", taken_up=run.attempt)
        if run.cancel_requested:
            self._active.interrupt(Interruption.CANCELLED)
        elif run.attempt > MAX_CLAIMS:
            detail = f"the run was started {run.attempt - 1} times and its executor died each time"
            progress.give_up()
            abandoned = problem("abandoned", "The run was given up", detail)
            await self._finish(progress, FAILED, error=run.error or abandoned)
            return
        # One that has failed already is here only for what it does after a failure.
        await (self._drive(progress) if run.error is None else self._follow_up(progress, run.error))

    async def _drive(self, progress: Progress) -> None:
        work = Work(self._run, self._agents, progress, self._signals, self._log)
        try:
            end = await self._until_end(progress, work)
        finally:
            await work.stop()
        await end()

    async def _until_end(self, progress: Progress, work: Work) -> Callable[[], Awaitable[None]]:
        """Work on the steps; returns what is to be done then, when nothing is under way any more."""
        while True:
            if self._active.interrupted.done():
                return partial(self._stop, progress, self._active.interrupted.result())
            if self._seconds_left(progress.definition) == 0 and not (progress.failed or progress.ended):
                return partial(self._fail, progress, _overdue(progress.definition))
            self._active.heed()
            if self._active.signals > len(self._signals):
                await self._read_signals()
            if self._active.pausing:
                work.rest()
            else:
                await work.begin_ready()
            if progress.failed:
                return partial(self._fail, progress, failure_of_run(progress.failed))
            if progress.ended:
                return partial(self._complete, progress)
            if self._active.pausing and not work.tasks:
                return partial(self._park, progress, PAUSED, None)
            # What waits is not ended in a pause, even if its time is over.
            wake = None if self._active.pausing else work.seconds_to_wake
            wake = _first(wake, self._seconds_left(progress.definition))
            if work.waits and (wake is None or wake > _LEAST_PARKED_SECONDS):
                return partial(self._park, progress, WAITING, wake)
            if progress.changes() or self._log.is_due:
                # Nobody waits for anything before what is new here is seen.
                self._active.hear(await self._journal(progress))
                if self._active.interrupted.done() or self._active.nudged.done():
                    continue
            work.launch()
            done, _ = await asyncio.wait(
                {*work.tasks, self._active.interrupted, self._active.nudged},
                timeout=wake,
                return_when=asyncio.FIRST_COMPLETED,
            )
            work.take(done)

    async def _stop(self, progress: Progress, reason: Interruption) -> None:
        if reason is Interruption.LOST:
            raise LeaseLostError
        if reason is Interruption.CANCELLED:
            progress.give_up()
            self._log.own("warning", "Cancelled on request")
            await self._finish(progress, CANCELLED if progress.failure is None else FAILED, error=progress.failure)
            return
        self._log.close()
        if progress.changes() or self._log.waiting:
            await self._journal(progress)
        await self._give_back(reason.value)

    async def _give_back(self, why: str) -> None:
        await self._kept_trying(lambda: self._repository.release(self._run))
        log.info("Run given back", reason=why)

    async def _read_signals(self) -> None:
        self._signals.update(await self._kept_trying(lambda: self._repository.read_signals(self._run)))
        self._active.signals = len(self._signals)

    async def _park(self, progress: Progress, status: str, wake: float | None) -> None:
        progress.rest()
        self._log.close()
        steps, known, lines = progress.changes(), len(self._signals), self._log.waiting
        if await self._kept_trying(
            lambda: self._repository.park(
                self._run, status, steps, signals=known, wake=wake, lines=self._log.encoded(lines)
            )
        ):
            log.info(f"Run {status}")
            return
        # Meanwhile somebody cancelled it, or it has something to do again.
        marks = await self._journal(progress)
        if marks.cancel:
            await self._stop(progress, Interruption.CANCELLED)
        else:
            await self._give_back("something else was asked of it meanwhile")

    def _seconds_left(self, definition: Definition) -> float | None:
        """Until the run's timeout: the database said how old the run was at our claim, we count on from there."""
        if definition.timeout_seconds is None:
            return None
        running = self._run.running_seconds + time.monotonic() - self._claimed
        return max(0.0, definition.timeout_seconds - running)

    async def _complete(self, progress: Progress) -> None:
        if progress.failure is not None:
            progress.give_up()
            await self._finish(progress, FAILED, error=progress.failure)
            return
        output = progress.output()
        misfit = misfit_of(progress.definition, output)
        if misfit is not None:
            await self._fail(progress, misfit)
        else:
            await self._finish(progress, COMPLETED, output=output)

    async def _fail(self, progress: Progress, error: Mapping[str, Any]) -> None:
        progress.give_up()
        tell_failure(self._log, error)
        if not progress.definition.on_failure:
            await self._finish(progress, FAILED, error=error)
            return
        steps, lines = progress.changes(), self._log.waiting
        await self._kept_trying(
            lambda: self._repository.note_failure(self._run, steps, error, lines=self._log.encoded(lines))
        )
        self._log.written(lines)
        log.info("Run has failed, its steps for that follow", code=error["code"])
        await self._follow_up(progress, error)

    async def _follow_up(self, progress: Progress, error: Mapping[str, Any]) -> None:
        """Do the steps that come after a failure; only then is the run finished."""
        follow_up = Definition(progress.definition.on_failure)
        await self._drive(Progress(follow_up, self._run.input, self._known, failure=error, before=progress.outputs()))

    async def _finish(
        self,
        progress: Progress | None,
        status: str,
        *,
        output: dict[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        self._log.close()
        steps, lines = progress.changes() if progress else [], self._log.waiting
        seconds = await self._kept_trying(
            lambda: self._repository.finish(
                self._run,
                status,
                steps,
                output=output,
                error=error,
                may_have_children=self._may_have_children,
                lines=self._log.encoded(lines),
            )
        )
        metrics.count_ended(status, seconds)
        log.info(f"Run {status}", seconds=round(seconds, 6), **({"code": error["code"]} if error else {}))

    async def _journal(self, progress: Progress) -> Marks:
        steps, lines = progress.changes(), self._log.waiting
        marks = await self._kept_trying(
            lambda: self._repository.journal(self._run, steps, lines=self._log.encoded(lines))
        )
        for state in steps:
            state.changed = False
        self._log.written(lines)
        return marks

    async def _kept_trying(self, write: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Repeat a statement while the database is away, but not longer than the lease is surely ours."""
        backoff = Backoff(0.05, 2.0)
        while True:
            try:
                return await write()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("The database is away, trying again", reason=type(error).__name__)
            if self._active.interrupted.done() and self._active.interrupted.result() is Interruption.LOST:
                raise LeaseLostError
            await asyncio.sleep(backoff.failed())


def _first(*seconds: float | None) -> float | None:
    known = [each for each in seconds if each is not None]
    return min(known) if known else None


def _overdue(definition: Definition) -> dict[str, Any]:
    detail = f"the run took longer than its timeout of {definition.timeout_seconds:g} s"
    return problem("run-timeout", "The run took too long", detail)

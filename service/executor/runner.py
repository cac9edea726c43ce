"""Executes one claimed run: steps in DAG order, results journalled, one final state."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from service.executor import metrics as executor_metrics
from service.executor.active import ActiveRun, Interruption
from service.executor.definition import Definition, UnusableDefinitionError, parse_definition
from service.executor.expressions import FieldError
from service.executor.json_schema import value_problems
from service.executor.kinds.base import Agent
from service.executor.progress import CANCELLED, COMPLETED, FAILED, Progress, StepState
from service.executor.repository import LeaseLostError, RunRepository
from service.executor.transient import is_transient
from service.executor.work import Work
from service.platform import metrics
from service.platform.logging import bound_contextvars, get_logger
from service.platform.worker_loop import Backoff

MAX_CLAIMS = 10
"""A run whose executors died this often is taken for their killer and failed."""

_TOLD_PROBLEMS = 5
_PROBLEM = "urn:problem:workflow-management:"

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
                executor_metrics.LEASES_LOST.inc()
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
        self._claimed = time.monotonic()

    async def run_to_end(self) -> None:
        run = self._run
        try:
            definition = parse_definition(run.definition)
        except UnusableDefinitionError as error:
            await self._finish(
                None, FAILED, error=_problem("definition", "The workflow cannot be executed", str(error))
            )
            return
        # Only a run that somebody worked on before has a journal.
        journal = await self._kept_trying(lambda: self._repository.read_journal(run)) if run.token > 1 else []
        progress = Progress(definition, run.input, journal)
        log.info("Run claimed", attempt=run.attempt, lease_token=run.token)
        if run.cancel_requested:
            self._active.interrupt(Interruption.CANCELLED)
        elif run.attempt > MAX_CLAIMS:
            detail = f"the run was started {run.attempt - 1} times and its executor died each time"
            progress.give_up()
            await self._finish(progress, FAILED, error=_problem("abandoned", "The run was given up", detail))
            return
        work = Work(run, self._agents, progress)
        try:
            await self._drive(progress, work)
        finally:
            await work.stop()

    async def _drive(self, progress: Progress, work: Work) -> None:
        while True:
            if self._active.interrupted.done():
                await work.stop()
                await self._stop(progress, self._active.interrupted.result())
                return
            if self._seconds_left(progress.definition) == 0 and not progress.completed:
                await work.stop()
                await self._fail(progress, _overdue(progress.definition))
                return
            await work.begin_ready()
            if progress.failed:
                await work.stop()
                await self._fail(progress, _failure_of(progress.failed))
                return
            if progress.completed:
                await self._complete(progress)
                return
            if progress.changes():
                cancel_requested = await self._journal(progress)
                if cancel_requested:
                    self._active.interrupt(Interruption.CANCELLED)
                    continue
            work.launch()
            done, _ = await asyncio.wait(
                {*work.tasks, self._active.interrupted},
                timeout=self._seconds_left(progress.definition),
                return_when=asyncio.FIRST_COMPLETED,
            )
            work.take(done)

    async def _stop(self, progress: Progress, reason: Interruption) -> None:
        if reason is Interruption.LOST:
            raise LeaseLostError
        if reason is Interruption.CANCELLED:
            progress.give_up()
            await self._finish(progress, CANCELLED)
            return
        if progress.changes():
            await self._journal(progress)
        await self._kept_trying(lambda: self._repository.release(self._run))
        log.info("Run given back, because this executor stops")

    def _seconds_left(self, definition: Definition) -> float | None:
        """Until the run's timeout: the database said how old the run was at our claim, we count on from there."""
        if definition.timeout_seconds is None:
            return None
        running = self._run.running_seconds + time.monotonic() - self._claimed
        return max(0.0, definition.timeout_seconds - running)

    async def _complete(self, progress: Progress) -> None:
        output = progress.output()
        schema = progress.definition.output_schema
        problems = value_problems(schema, output) if schema is not None else ()
        if problems:
            await self._fail(progress, _unfit(problems))
        else:
            await self._finish(progress, COMPLETED, output=output)

    async def _fail(self, progress: Progress, error: dict[str, Any]) -> None:
        progress.give_up()
        await self._finish(progress, FAILED, error=error)

    async def _finish(
        self,
        progress: Progress | None,
        status: str,
        *,
        output: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        steps = progress.changes() if progress else []
        seconds = await self._kept_trying(
            lambda: self._repository.finish(self._run, status, steps, output=output, error=error)
        )
        counters = {COMPLETED: metrics.RUNS_COMPLETED, FAILED: metrics.RUNS_FAILED, CANCELLED: metrics.RUNS_CANCELLED}
        counters[status].inc()
        metrics.RUN_DURATION.observe(seconds)
        log.info(f"Run {status}", seconds=round(seconds, 6), **({"code": error["code"]} if error else {}))

    async def _journal(self, progress: Progress) -> bool:
        steps = progress.changes()
        cancel_requested = await self._kept_trying(lambda: self._repository.journal(self._run, steps))
        for state in steps:
            state.changed = False
        return cancel_requested

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


def _failure_of(state: StepState) -> dict[str, Any]:
    failure = state.error or {}
    error = _problem("step-failed", f"Step {state.step.id} failed", str(failure.get("detail", "")))
    return error | {"step_id": state.step.id, "attempts": state.attempt, "code": failure.get("code", "agent")}


def _unfit(problems: Sequence[FieldError]) -> dict[str, Any]:
    found = "; ".join(f"{path or 'the output'}: {message}" for path, message in problems[:_TOLD_PROBLEMS])
    more = f"; and {len(problems) - _TOLD_PROBLEMS} more" if len(problems) > _TOLD_PROBLEMS else ""
    return _problem("output-schema", "The output does not fit its schema", f"{found}{more}")


def _overdue(definition: Definition) -> dict[str, Any]:
    detail = f"the run took longer than its timeout of {definition.timeout_seconds:g} s"
    return _problem("run-timeout", "The run took too long", detail)


def _problem(code: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": f"{_PROBLEM}{code}", "title": title, "detail": detail, "code": code}

"""Executes one claimed run: steps in DAG order, results journalled, one final state."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from service.executor import metrics as executor_metrics
from service.executor.active import ActiveRun, Interruption
from service.executor.attempt import PreparedStep, Succeeded, attempt, prepare
from service.executor.definition import Definition, UnusableDefinitionError, parse_definition
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.progress import CANCELLED, COMPLETED, FAILED, RUNNING, Progress, StepState
from service.executor.repository import LeaseLostError, RunRepository
from service.executor.transient import is_transient
from service.platform import metrics
from service.platform.logging import bound_contextvars, get_logger
from service.platform.worker_loop import Backoff

MAX_CLAIMS = 10
"""A run whose executors died this often is taken for their killer and failed."""

_CANCEL_SECONDS = 5.0
_PROBLEM = "urn:problem:workflow-management:"

log = get_logger(__name__)

ResultT = TypeVar("ResultT")
_Tasks = dict[asyncio.Future[Any], PreparedStep]


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
        self._tasks: _Tasks = {}
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
        try:
            await self._drive(progress)
        finally:
            await self._cancel_tasks()

    async def _drive(self, progress: Progress) -> None:
        while True:
            if self._active.interrupted.done():
                await self._stop(progress, self._active.interrupted.result())
                return
            if self._seconds_left(progress.definition) == 0 and not progress.completed:
                await self._fail(progress, _overdue(progress.definition))
                return
            starting, failed = await self._start_ready(progress)
            if failed is not None:
                await self._fail(progress, _failure_of(failed))
                return
            if progress.completed:
                await self._finish(progress, COMPLETED, output=progress.output())
                return
            if progress.changes():
                cancel_requested = await self._journal(progress)
                if cancel_requested:
                    self._active.interrupt(Interruption.CANCELLED)
                    continue
            for prepared in starting:
                self._launch(prepared)
            done, _ = await asyncio.wait(
                {*self._tasks, self._active.interrupted},
                timeout=self._seconds_left(progress.definition),
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done & self._tasks.keys():
                prepared = self._tasks.pop(task)
                if not self._settle(prepared, task.result()):
                    await self._fail(progress, _failure_of(prepared.state))
                    return

    async def _start_ready(self, progress: Progress) -> tuple[list[PreparedStep], StepState | None]:
        """Do the instant steps that may start, and those that then may; returns the others, and a step that failed."""
        starting: list[PreparedStep] = []
        while ready := progress.ready():
            scope = progress.scope()
            for state in ready:
                state.status, state.started, state.changed = RUNNING, time.monotonic(), True
                try:
                    prepared = prepare(state, self._agents, scope)
                except StepFailedError as failure:
                    _mark_failed(state, failure)
                    return starting, state
                if not prepared.agent.instant:
                    starting.append(prepared)
                elif not self._settle(prepared, await attempt(prepared, self._context(state)), may_retry=False):
                    return starting, state
        return starting, None

    def _settle(self, prepared: PreparedStep, outcome: Succeeded | StepFailedError, *, may_retry: bool = True) -> bool:
        """Note an attempt's outcome and arrange the next one; False when the step has failed for good."""
        state = prepared.state
        state.changed = True
        if isinstance(outcome, Succeeded):
            state.status, state.output, state.error = COMPLETED, outcome.output, None
            state.finished = time.monotonic()
            return True
        retry = state.step.retry
        again = may_retry and outcome.retryable and retry.may_retry(state.attempt)
        log.warning(
            "Step attempt failed",
            step_id=state.step.id,
            attempt=state.attempt,
            code=outcome.code,
            detail=outcome.detail,
            again=again,
        )
        if not again:
            _mark_failed(state, outcome)
            return False
        state.error = outcome.as_json()
        pause = retry.pause_after(state.attempt, at_least=outcome.retry_after)
        state.attempt += 1
        self._launch(prepared, after=pause)
        return True

    def _launch(self, prepared: PreparedStep, *, after: float = 0.0) -> None:
        task = asyncio.create_task(attempt(prepared, self._context(prepared.state), after=after))
        self._tasks[task] = prepared

    def _context(self, state: StepState) -> StepContext:
        return StepContext(str(self._run.id), state.step.id, state.attempt, self._run.correlation_id)

    async def _stop(self, progress: Progress, reason: Interruption) -> None:
        await self._cancel_tasks()
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

    async def _fail(self, progress: Progress, error: dict[str, Any]) -> None:
        await self._cancel_tasks()
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

    async def _cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)


def _mark_failed(state: StepState, failure: StepFailedError) -> None:
    state.status, state.error, state.finished, state.changed = FAILED, failure.as_json(), time.monotonic(), True


def _failure_of(state: StepState) -> dict[str, Any]:
    failure = state.error or {}
    error = _problem("step-failed", f"Step {state.step.id} failed", str(failure.get("detail", "")))
    return error | {"step_id": state.step.id, "attempts": state.attempt, "code": failure.get("code", "agent")}


def _overdue(definition: Definition) -> dict[str, Any]:
    detail = f"the run took longer than its timeout of {definition.timeout_seconds:g} s"
    return _problem("run-timeout", "The run took too long", detail)


def _problem(code: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": f"{_PROBLEM}{code}", "title": title, "detail": detail, "code": code}

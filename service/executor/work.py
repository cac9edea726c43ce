"""The steps of one run at work: which start, what becomes of each try. Knows no database."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from service.executor.attempt import PreparedStep, Succeeded, attempt, prepare
from service.executor.expressions import is_true
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.progress import COMPLETED, FAILED, RUNNING, SKIPPED, Progress, StepState
from service.executor.repository import ClaimedRun
from service.platform.logging import get_logger

_CANCEL_SECONDS = 5.0

log = get_logger(__name__)


class Work:
    """Starts steps and takes their outcomes; what is begun waits for ``launch``, so that it can be journalled first."""

    def __init__(self, run: ClaimedRun, agents: Mapping[str, Agent[Any]], progress: Progress) -> None:
        self._run = run
        self._agents = agents
        self._progress = progress
        self._begun: list[PreparedStep] = []
        self._tasks: dict[asyncio.Future[Any], PreparedStep] = {}

    @property
    def tasks(self) -> set[asyncio.Future[Any]]:
        """The tries under way, and the pauses before them."""
        return set(self._tasks)

    async def begin_ready(self) -> None:
        """Begin the steps that may start, do the instant ones and begin those that then may; ends at a failure."""
        while ready := self._progress.ready():
            scope = self._progress.scope()
            for state in ready:
                try:
                    await self._begin(state, scope)
                except StepFailedError as failure:
                    _mark_failed(state, failure)
                if self._progress.failed:
                    return

    async def _begin(self, state: StepState, scope: Mapping[str, Any]) -> None:
        state.changed = True
        if self._progress.is_passed_over(state) or not _is_wanted(state, scope):
            state.status = SKIPPED
            return
        state.status, state.started = RUNNING, time.monotonic()
        prepared = prepare(state, self._agents, scope)
        if prepared.agent.instant:
            self._settle(prepared, await attempt(prepared, self._context(state)), may_retry=False)
        else:
            self._begun.append(prepared)

    def launch(self) -> None:
        """Call the agents of the steps that were begun."""
        for prepared in self._begun:
            self._launch(prepared)
        self._begun.clear()

    def take(self, done: set[asyncio.Future[Any]]) -> None:
        """Note the outcomes of the tries that are done."""
        for task in done & self._tasks.keys():
            self._settle(self._tasks.pop(task), task.result())

    async def stop(self) -> None:
        """Interrupt what is under way."""
        tasks = self.tasks
        self._tasks.clear()
        self._begun.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)

    def _settle(self, prepared: PreparedStep, outcome: Succeeded | StepFailedError, *, may_retry: bool = True) -> None:
        """Note a try's outcome and arrange the next one."""
        state = prepared.state
        state.changed = True
        if isinstance(outcome, Succeeded):
            state.status, state.output, state.error = COMPLETED, outcome.output, None
            state.finished = time.monotonic()
            return
        retry = state.step.retry
        again = may_retry and outcome.retryable and retry.may_retry(state.attempt)
        log.warning(
            "Step attempt failed",
            step_id=state.id,
            attempt=state.attempt,
            code=outcome.code,
            detail=outcome.detail,
            again=again,
        )
        if not again:
            _mark_failed(state, outcome)
            return
        state.error = outcome.as_json()
        pause = retry.pause_after(state.attempt, at_least=outcome.retry_after)
        state.attempt += 1
        self._launch(prepared, after=pause)

    def _launch(self, prepared: PreparedStep, *, after: float = 0.0) -> None:
        task = asyncio.create_task(attempt(prepared, self._context(prepared.state), after=after))
        self._tasks[task] = prepared

    def _context(self, state: StepState) -> StepContext:
        return StepContext(str(self._run.id), state.id, state.attempt, self._run.correlation_id)


def _is_wanted(state: StepState, scope: Mapping[str, Any]) -> bool:
    if state.step.when is None:
        return True
    try:
        return is_true(state.step.when, scope)
    except ValueError as error:
        raise StepFailedError("when", str(error), retryable=False) from None


def _mark_failed(state: StepState, failure: StepFailedError) -> None:
    state.status, state.error, state.finished, state.changed = FAILED, failure.as_json(), time.monotonic(), True

"""The steps of one run at work: which start, what becomes of each try. Knows no database."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from service.executor.attempt import Outcome, PreparedStep, Succeeded, attempt, prepare
from service.executor.claims import ClaimedRun
from service.executor.expressions import is_true
from service.executor.items import failure_of, fold, item_scope, startable, unfold
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.progress import (
    CANCELLED,
    COMPLETED,
    FAILED,
    RUNNING,
    SKIPPED,
    WAITING,
    ItemState,
    Progress,
    StepState,
)
from service.executor.run_log import RunLog
from service.executor.values import check_output
from service.executor.waiting import Signal, Waiting
from service.platform.logging import get_logger

_CANCEL_SECONDS = 5.0

log = get_logger(__name__)


class Work:
    """Starts steps and takes their outcomes; what is begun waits for ``launch``, so that it can be journalled first."""

    def __init__(
        self,
        run: ClaimedRun,
        agents: Mapping[str, Agent[Any]],
        progress: Progress,
        signals: Mapping[str, Signal] | None = None,
        run_log: RunLog | None = None,
    ) -> None:
        self._run = run
        self._agents = agents
        self._progress = progress
        self._begun: list[PreparedStep] = []
        self._tasks: dict[asyncio.Future[Any], PreparedStep] = {}
        self._due: dict[asyncio.Future[Any], float] = {}
        self._resting = False
        self._signals = signals if signals is not None else {}
        self._log = run_log or RunLog()
        self._waiting = {state for state in progress.states.values() if state.status == WAITING}

    @property
    def tasks(self) -> set[asyncio.Future[Any]]:
        """The tries under way, and the pauses before them."""
        return set(self._tasks)

    @property
    def waits(self) -> bool:
        """Whether something waits for a signal and nothing else is under way."""
        return bool(self._waiting) and not self._tasks and not self._begun

    @property
    def seconds_to_wake(self) -> float | None:
        """Until the first step has waited long enough; None where none has a limit."""
        wakes = [state.wake for state in self._waiting if state.wake is not None]
        return max(0.0, min(wakes) - time.monotonic()) if wakes else None

    async def begin_ready(self) -> None:
        """Begin what may start, do what is instant, and begin what then may; ends at a failure.

        Steps that wait end here, when they were signalled or have waited long enough.
        """
        while True:
            for state in self._progress.unfolded():
                await self._begin_items(state)
                if self._progress.failed:
                    return
            ready = self._progress.ready()
            if not ready:
                if not self._end_waiting() or self._progress.failed:
                    return
                continue
            scope = self._progress.scope()
            for state in ready:
                await self._begin(state, scope)
                if self._progress.failed:
                    return

    async def _begin(self, state: StepState, scope: Mapping[str, Any]) -> None:
        state.changed = True
        try:
            if self._progress.is_passed_over(state) or not _is_wanted(state, scope):
                state.status = SKIPPED
                return
            state.status, state.started = RUNNING, time.monotonic()
            unfold(state, scope, self._progress.known_items[state.id])
            self._waiting.update(item for item in state.items if item.status == WAITING)
        except StepFailedError as failure:
            self._fail(state, failure)
            return
        if state.step.for_each is None:
            await self._start(state, scope)

    async def _begin_items(self, state: StepState) -> None:
        scope = self._progress.scope()
        while items := startable(state):
            for item in items:
                if state.status != RUNNING:
                    return
                item.status, item.started, item.changed = RUNNING, time.monotonic(), True
                await self._start(item, item_scope(item, scope))
                # A thousand instant items must not hold up the heartbeat.
                await asyncio.sleep(0)
        self._fold(state)

    async def _start(self, state: StepState, scope: Mapping[str, Any]) -> None:
        try:
            prepared = prepare(state, self._agents, scope)
        except StepFailedError as failure:
            self._fail(state, failure)
            return
        if prepared.agent.instant:
            self._settle(prepared, await attempt(prepared, self._context(state)), may_retry=False)
        else:
            self._begun.append(prepared)

    def _end_waiting(self) -> bool:
        """End what was signalled or has waited long enough; returns whether there was any."""
        ended = False
        for state in list(self._waiting):
            signal, late = self._signals.get(state.id), state.wake is not None and time.monotonic() >= state.wake
            if state.status == WAITING and signal is None and not late:
                continue
            self._waiting.discard(state)
            if state.status != WAITING:
                continue
            ended = True
            if signal is None:
                self._time_is_over(state)
            elif signal.error is None:
                self._take_up(state, signal.output)
            else:
                detail = str(signal.error.get("detail", ""))
                self._fail(state, StepFailedError(str(signal.error.get("code")), detail, retryable=False))
                state.error = dict(signal.error)
        return ended

    def _take_up(self, state: StepState, output: Any) -> None:
        try:
            # That of a whole run may be larger than that of a step.
            check_output(output)
        except StepFailedError as failure:
            self._fail(state, failure)
        else:
            self._log.own("info", "Signalled: the step is completed", step_id=state.id, attempt=state.attempt)
            self._complete(state, output)

    def _time_is_over(self, state: StepState) -> None:
        waits = state.waits
        if waits is None or waits.on_timeout == "fail":
            detail = "nobody signalled the step in time" if waits is None else waits.missed
            self._fail(state, StepFailedError("timeout", detail, retryable=False))
        else:
            message = "Nobody signalled the step in time: it is completed all the same"
            self._log.own("warning", message, step_id=state.id, attempt=state.attempt)
            self._complete(state, waits.otherwise)

    def launch(self) -> None:
        """Call the agents of the steps that were begun."""
        for prepared in self._begun:
            self._launch(prepared)
        self._begun.clear()

    def take(self, done: set[asyncio.Future[Any]]) -> None:
        """Note the outcomes of the tries that are done."""
        for task in done & self._tasks.keys():
            prepared = self._tasks.pop(task)
            self._due.pop(task, None)
            if task.cancelled():
                prepared.state.status, prepared.state.changed = CANCELLED, True
            else:
                self._settle(prepared, task.result())

    def rest(self) -> None:
        """Begin nothing more: tries under way go on to their end, pauses before another try are not waited for."""
        self._resting = True
        self._begun.clear()
        for task, due in list(self._due.items()):
            if time.monotonic() < due:
                del self._tasks[task], self._due[task]
                task.cancel()
            else:
                del self._due[task]

    async def stop(self) -> None:
        """Interrupt what is under way; what does not heed that is left behind."""
        tasks = self.tasks
        self._tasks.clear()
        self._begun.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)

    def _complete(self, state: StepState, output: Any) -> None:
        state.status, state.output, state.error = COMPLETED, output, None
        state.finished, state.changed = time.monotonic(), True

    def _wait(self, state: StepState, waits: Waiting) -> None:
        state.status, state.waits, state.error = WAITING, waits, None
        state.wake = None if waits.timeout_seconds is None else time.monotonic() + waits.timeout_seconds
        self._waiting.add(state)
        fields = {"kind": waits.kind, "timeout_seconds": waits.timeout_seconds}
        self._log.own("info", "Waits for a signal", step_id=state.id, attempt=state.attempt, **fields)

    def _settle(self, prepared: PreparedStep, outcome: Outcome, *, may_retry: bool = True) -> None:
        """Note a try's outcome and arrange the next one."""
        state = prepared.state
        state.changed = True
        if isinstance(outcome, Succeeded):
            self._complete(state, outcome.output)
            return
        if isinstance(outcome, Waiting):
            self._wait(state, outcome)
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
            self._fail(state, outcome)
            return
        state.error = outcome.as_json()
        pause = retry.pause_after(state.attempt, at_least=outcome.retry_after)
        fields = {"code": outcome.code, "next_in_seconds": None if self._resting else round(pause, 3)}
        message = f"The try failed, there will be another one: {outcome.detail}"
        self._log.own("warning", message, step_id=state.id, attempt=state.attempt, **fields)
        state.attempt += 1
        if not self._resting:
            self._launch(prepared, after=pause)

    def _fold(self, state: StepState) -> None:
        try:
            if fold(state):
                state.status, state.finished, state.changed = COMPLETED, time.monotonic(), True
        except StepFailedError as failure:
            self._fail(state, failure)

    def _fail(self, state: StepState, failure: StepFailedError) -> None:
        """For good; with an item its step fails, and the step's other items are given up."""
        state.status, state.error, state.finished, state.changed = FAILED, failure.as_json(), time.monotonic(), True
        message = f"The step failed: {failure.detail}"
        self._log.own("error", message, step_id=state.id, attempt=state.attempt, code=failure.code)
        if not isinstance(state, ItemState) or state.parent.status != RUNNING:
            return
        state.parent.attempt = state.attempt
        self._fail(state.parent, failure_of(state, failure))
        for task, prepared in self._tasks.items():
            if prepared.state in state.parent.items:
                task.cancel()
        for item in state.parent.items:
            if item.status == WAITING:
                item.status, item.changed = CANCELLED, True
        given_up = [prepared for prepared in self._begun if prepared.state in state.parent.items]
        for prepared in given_up:
            self._begun.remove(prepared)
            prepared.state.status, prepared.state.changed = CANCELLED, True

    def _launch(self, prepared: PreparedStep, *, after: float = 0.0) -> None:
        task = asyncio.create_task(attempt(prepared, self._context(prepared.state), after=after))
        self._tasks[task] = prepared
        if after:
            self._due[task] = time.monotonic() + after

    def _context(self, state: StepState) -> StepContext:
        return StepContext(str(self._run.id), state.id, state.attempt, self._run.correlation_id, lines=self._log)


def _is_wanted(state: StepState, scope: Mapping[str, Any]) -> bool:
    if state.step.when is None:
        return True
    try:
        return is_true(state.step.when, scope)
    except ValueError as error:
        raise StepFailedError("when", str(error), retryable=False) from None

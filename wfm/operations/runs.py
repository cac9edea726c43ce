"""Runs: followed, paused, decided about, cancelled, and done again."""

import time
from collections.abc import Callable
from datetime import datetime

from wfm.calls import Body, Call, Everything, Flow, Id, Pause, Procedure, ask, new_key, operation
from wfm.errors import WaitTimeoutError
from wfm.following import LAST_EVENT_HEADER, Events, Following
from wfm.models import (
    AcceptedAgain,
    CancelAnswer,
    PauseAnswer,
    ReplayRequest,
    RunAnswer,
    RunLogLine,
    RunLogPage,
    RunPage,
    RunSummary,
    SignalAnswer,
    SignalRequest,
)

FINAL = frozenset({"completed", "failed", "cancelled"})
FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 5.0
LOG_POLL_SECONDS = 1.0


@operation("GET /api/v1/runs")
def list_runs(
    *,
    workflow_id: Id | None = None,
    status: str | None = None,
    created_from: datetime | None = None,
    created_before: datetime | None = None,
    parent_run_id: Id | None = None,
    sort: str | None = None,
    cursor: str | None = None,
    size: int | None = None,
    count: bool | None = None,
) -> Call[RunPage]:
    """A page of the runs, newest first; ``sort="created_at"``: oldest first."""
    times = {"created_from": created_from, "created_before": created_before}
    which = {"workflow_id": workflow_id, "status": status, **times, "parent_run_id": parent_run_id}
    return Call(RunPage, query={**which, "sort": sort, "cursor": cursor, "size": size, "count": count})


@operation("GET /api/v1/runs/{run_id}")
def get_run(run_id: Id) -> Call[RunAnswer]:
    """Read a run with its data and its steps."""
    return Call(RunAnswer, path={"run_id": run_id})


@operation("GET /api/v1/runs/{run_id}/events")
def open_events(run_id: Id, *, last_event_id: str | None = None) -> Call[None]:
    """One connection that tells what becomes of a run; ``follow_run`` makes as many as it takes."""
    headers = {LAST_EVENT_HEADER: last_event_id} if last_event_id else {}
    return Call(None, path={"run_id": run_id}, headers=headers)


def follow_run(run_id: Id, *, last_event_id: str | None = None, timeout: float | None = None) -> Following:
    """What becomes of a run, as it happens: events of the kinds run and step, and end as the last one.

    After a cut it goes on where it was; with ``last_event_id`` after that event, else everything is told. Raises
    UnreachableError when nothing came for ``retry_seconds`` of tries. With ``timeout`` it ends after so many seconds
    at the next word of the server (it says something every 15 s), without the event ``end``.
    """
    return Following(open_events(run_id, last_event_id=last_event_id), timeout=timeout)


@operation("GET /api/v1/runs/{run_id}/logs")
def list_logs(
    run_id: Id,
    *,
    step: str | None = None,
    level: str | None = None,
    cursor: str | None = None,
    size: int | None = None,
) -> Call[RunLogPage]:
    """A page of what the executor and the agents say about a run, oldest lines first.

    ``level`` is the least urgent one wanted: debug, info, warning or error. ``latest`` of a page is the cursor of
    what comes after it.
    """
    return Call(
        RunLogPage, path={"run_id": run_id}, query={"step": step, "level": level, "cursor": cursor, "size": size}
    )


@operation("POST /api/v1/runs/{run_id}/cancel")
def cancel_run(run_id: Id) -> Call[CancelAnswer]:
    """Ask a run to stop: running steps are interrupted, none is begun any more."""
    return Call(CancelAnswer, path={"run_id": run_id})


@operation("POST /api/v1/runs/{run_id}/pause")
def pause_run(run_id: Id) -> Call[PauseAnswer]:
    """Ask a run to pause: tries under way end, nothing is begun any more."""
    return Call(PauseAnswer, path={"run_id": run_id})


@operation("POST /api/v1/runs/{run_id}/resume")
def resume_run(run_id: Id) -> Call[PauseAnswer]:
    """Let a paused run go on where it was."""
    return Call(PauseAnswer, path={"run_id": run_id})


@operation("POST /api/v1/runs/{run_id}/steps/{step_id}/signal")
def signal_step(run_id: Id, step_id: str, body: SignalRequest | Body) -> Call[SignalAnswer]:
    """Decide what a step waits for. The first decision counts, for good."""
    return Call(SignalAnswer, path={"run_id": run_id, "step_id": step_id}, body=body)


@operation("POST /api/v1/runs/{run_id}/retry")
def retry_run(run_id: Id, *, idempotency_key: str | None = None) -> Call[AcceptedAgain]:
    """Go on with a failed or cancelled run where it ended, as a new run."""
    return Call(AcceptedAgain, path={"run_id": run_id}, headers=new_key(idempotency_key))


@operation("POST /api/v1/runs/{run_id}/replay")
def replay_run(
    run_id: Id, body: ReplayRequest | Body | None = None, *, idempotency_key: str | None = None
) -> Call[AcceptedAgain]:
    """Execute from the beginning what a run executed, as a new run; other input or the current version by the body."""
    return Call(AcceptedAgain, path={"run_id": run_id}, body=body or {}, headers=new_key(idempotency_key))


def wait_for_run(
    run_id: Id, *, timeout: float = 300.0, seen: Callable[[RunAnswer], None] | None = None
) -> Flow[RunAnswer]:
    """Read a run until it is finished, whatever its end; ``seen`` is told each time what was read.

    A run that is paused, or waits for a decision, is not finished: it is waited for.
    Raises WaitTimeoutError after ``timeout`` seconds. The run itself is left alone in any case.
    """
    deadline = time.monotonic() + timeout
    pause = FIRST_POLL_SECONDS
    while True:
        run = yield from ask(get_run(run_id))
        if seen is not None:
            seen(run)
        left = deadline - time.monotonic()
        if run.status in FINAL:
            return run
        if left <= 0:
            raise WaitTimeoutError(run, timeout)
        yield Pause(min(pause, left))
        pause = min(pause * 1.5, LONGEST_POLL_SECONDS)


def follow_logs(
    run_id: Id,
    *,
    seen: Callable[[RunLogLine], None],
    step: str | None = None,
    level: str | None = None,
    timeout: float | None = None,
) -> Flow[str]:
    """Tell ``seen`` every line of a run's log as it comes, until the run has ended; returns the run's status.

    Raises WaitTimeoutError after ``timeout`` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    cursor: str | None = None
    while True:
        page = yield from ask(list_logs(run_id, step=step, level=level, cursor=cursor))
        for line in page.items:
            seen(line)
        cursor = page.latest
        if page.next is not None:
            continue
        if page.run_status in FINAL:
            return page.run_status
        if deadline is not None and time.monotonic() >= deadline:
            run = yield from ask(get_run(run_id))
            raise WaitTimeoutError(run, timeout or 0)
        yield Pause(LOG_POLL_SECONDS)


class RunOperations:
    """Runs: followed, paused, decided about, cancelled, and done again."""

    list = list_runs
    all = Everything(list_runs, RunSummary)
    get = get_run
    events = Events(follow_run, opens=open_events)
    logs = list_logs
    all_logs = Everything(list_logs, RunLogLine)
    follow_logs = Procedure(follow_logs)
    cancel = cancel_run
    pause = pause_run
    resume = resume_run
    signal = signal_step
    retry = retry_run
    replay = replay_run
    wait = Procedure(wait_for_run)

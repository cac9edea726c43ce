"""Runs: followed and cancelled."""

import time
from collections.abc import Callable
from datetime import datetime

from wfm.calls import Call, Everything, Flow, Id, Pause, Procedure, ask, operation
from wfm.errors import WaitTimeoutError
from wfm.models import CancelAnswer, RunAnswer, RunPage, RunSummary

FINAL = frozenset({"completed", "failed", "cancelled"})
FIRST_POLL_SECONDS = 0.1
LONGEST_POLL_SECONDS = 5.0


@operation("GET /api/v1/runs")
def list_runs(
    *,
    workflow_id: Id | None = None,
    status: str | None = None,
    created_from: datetime | None = None,
    created_before: datetime | None = None,
    sort: str | None = None,
    cursor: str | None = None,
    size: int | None = None,
    count: bool | None = None,
) -> Call[RunPage]:
    """A page of the runs, newest first; ``sort="created_at"``: oldest first."""
    times = {"created_from": created_from, "created_before": created_before}
    query = {"workflow_id": workflow_id, "status": status, **times, "sort": sort, "cursor": cursor, "size": size}
    return Call(RunPage, query={**query, "count": count})


@operation("GET /api/v1/runs/{run_id}")
def get_run(run_id: Id) -> Call[RunAnswer]:
    """Read a run with its data and its steps."""
    return Call(RunAnswer, path={"run_id": run_id})


@operation("POST /api/v1/runs/{run_id}/cancel")
def cancel_run(run_id: Id) -> Call[CancelAnswer]:
    """Ask a run to stop: running steps are interrupted, none is begun any more."""
    return Call(CancelAnswer, path={"run_id": run_id})


def wait_for_run(
    run_id: Id, *, timeout: float = 300.0, seen: Callable[[RunAnswer], None] | None = None
) -> Flow[RunAnswer]:
    """Read a run until it is finished, whatever its end; ``seen`` is told each time what was read.

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


class RunOperations:
    """Runs: followed and cancelled."""

    list = list_runs
    all = Everything(list_runs, RunSummary)
    get = get_run
    cancel = cancel_run
    wait = Procedure(wait_for_run)

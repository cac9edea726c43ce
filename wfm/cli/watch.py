"""Shows what becomes of a run as it happens: a line for each event, JSON lines or YAML documents for programs."""

import json
import sys
from datetime import datetime

from wfm.cli.exits import INTERRUPTED, CliError
from wfm.cli.follow import judge, why
from wfm.cli.show import Output, as_yaml, data, plain
from wfm.client import WorkflowClient
from wfm.errors import WaitTimeoutError
from wfm.events import LiveEvent, RunEvent, StepEvent
from wfm.operations.runs import FINAL


def watch(client: WorkflowClient, run_id: str, output: Output, *, after: str | None, seconds: float | None) -> None:
    """Until the run has ended. Raises CliError 5 where it did not complete, WaitTimeoutError after so many seconds."""
    newest: RunEvent | None = None
    has_ended = False
    try:
        for event in client.runs.events(run_id, last_event_id=after, timeout=seconds):
            sys.stdout.write(_shown(event, output))
            # Whoever reads this from a pipe shall have it at once.
            sys.stdout.flush()
            newest = event.data if isinstance(event.data, RunEvent) else newest
            has_ended = event.kind == "end"
    except KeyboardInterrupt:
        raise CliError(f"interrupted; run {run_id} goes on", f"wfm runs watch {run_id}", code=INTERRUPTED) from None
    if newest is not None and has_ended:
        judge(newest)
        return
    # What went before `after` was not told here.
    run = client.runs.get(run_id)
    if run.status not in FINAL:
        raise WaitTimeoutError(run, seconds or 0)
    judge(run)


def _shown(event: LiveEvent, output: Output) -> str:
    if output == "table":
        return plain(_line(event)) + "\n"
    value = {"event": event.kind, "id": event.id, "data": data(event.data)}
    return json.dumps(value, ensure_ascii=False) + "\n" if output == "json" else "---\n" + as_yaml(value)


def _line(event: LiveEvent) -> str:
    found = event.data
    if isinstance(found, StepEvent):
        again = f" at try {found.attempt}" if found.attempt > 1 else ""
        took = _seconds(found.started_at, found.finished_at)
        return f"step {found.id} is {found.status}{again}{took}{why(found.error)}"
    if isinstance(found, RunEvent):
        return f"run {found.id} is {found.status}{why(found.error)}"
    return f"{event.kind} {json.dumps(data(found), ensure_ascii=False)}" if event.kind != "end" else "end"


def _seconds(started: datetime | None, finished: datetime | None) -> str:
    return f" after {(finished - started).total_seconds():.1f} s" if started and finished else ""

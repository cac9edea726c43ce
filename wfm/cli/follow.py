"""Waits for a run, shows how far it is, and leaves it alone whatever happens here."""

from contextlib import nullcontext
from typing import Any
from uuid import UUID

from wfm.cli.exits import INTERRUPTED, RUN_FAILED, CliError
from wfm.cli.show import err, plain
from wfm.client import WorkflowClient
from wfm.models import RunAnswer


def _progress(run: RunAnswer) -> str:
    done = sum(each.status not in ("pending", "running") for each in run.steps)
    busy = ", ".join(each.id for each in run.steps if each.status == "running")
    return plain(
        f"run {run.id} is {run.status}, {done} of {len(run.steps)} steps done" + (f", now {busy}" if busy else "")
    )


def follow(client: WorkflowClient, run_id: UUID | str, seconds: float) -> RunAnswer:
    """The finished run. Raises CliError 130 on Ctrl-C, WaitTimeoutError when it takes longer; the run goes on then."""
    console = err()
    live: Any = console.status(f"run {run_id}") if console.is_terminal else nullcontext()
    told = ""

    def seen(run: RunAnswer) -> None:
        nonlocal told
        if console.is_terminal:
            live.update(_progress(run))
        elif run.status != told:
            console.print(_progress(run), markup=False)
        told = run.status

    try:
        with live:
            return client.runs.wait(run_id, timeout=seconds, seen=seen)
    except KeyboardInterrupt:
        raise CliError(f"interrupted; run {run_id} goes on", f"wfm runs wait {run_id}", code=INTERRUPTED) from None


def judge(run: RunAnswer) -> None:
    """Raises CliError 5 for a run that did not complete."""
    if run.status == "completed":
        return
    error = run.error or {}
    why = plain(str(error.get("message") or error.get("code") or ""))
    raise CliError(f"run {run.id} is {run.status}" + (f": {why}" if why else ""), code=RUN_FAILED)

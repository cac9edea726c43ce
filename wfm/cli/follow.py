"""Waits for a run, shows how far it is, and leaves it alone whatever happens here."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any
from uuid import UUID

from wfm.cli.command import Cli
from wfm.cli.exits import INTERRUPTED, RUN_FAILED, CliError
from wfm.cli.show import err, plain
from wfm.client import WorkflowClient
from wfm.events import RunEvent
from wfm.models import RunAnswer


def _progress(run: RunAnswer) -> str:
    done = sum(each.status not in ("pending", "running", "waiting") for each in run.steps)
    text = f"run {run.id} is {run.status}, {done} of {len(run.steps)} steps done"
    for status, word in (("running", "now"), ("waiting", "to be decided")):
        if found := ", ".join(each.id for each in run.steps if each.status == status):
            text += f", {word} {found}"
    return plain(text)


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


def finish(cli: Cli, run_id: UUID | str, seconds: float) -> None:
    """Waits for a run that was accepted and shows it. Raises CliError 5 where it did not complete."""
    err().print(f"run {run_id} is accepted", markup=False)
    run = follow(cli.client, run_id, seconds)
    cli.show(run)
    judge(run)


def judge(run: RunAnswer | RunEvent) -> None:
    """Raises CliError 5 for a run that did not complete."""
    if run.status == "completed":
        return
    raise CliError(plain(f"run {run.id} is {run.status}{why(run.error)}"), code=RUN_FAILED)


def why(error: Mapping[str, Any] | None) -> str:
    """What a run's or a step's error says, to be appended."""
    found = (error or {}).get("detail") or (error or {}).get("code")
    return f": {found}" if found else ""

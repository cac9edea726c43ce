"""`wfm runs`: what reads them, and cancel; the rest that changes them is in ``run_control``."""

from datetime import datetime
from typing import Annotated, Any

import typer

from wfm.cli.command import All, Cli, Limit, command, group
from wfm.cli.follow import follow, judge
from wfm.cli.watch import watch
from wfm.cli.workflows import workflow_id

app = group("runs", "Runs: followed, paused, decided about, cancelled, done again.")

Run = Annotated[str, typer.Argument(help="The run's id.", metavar="RUN")]
STATUSES = "queued, running, paused, waiting, completed, failed or cancelled."
Time = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"], metavar="TIME")]


@command(
    app,
    "list",
    columns=("id", "status", "workflow_id", "workflow_version", "created_at", "finished_at"),
    examples=["wfm runs list --status failed", "wfm runs list --workflow hello --since 2030-01-31"],
)
def list_runs(
    cli: Cli,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only of this one, by name or id.")] = None,
    status: Annotated[str | None, typer.Option(help=STATUSES)] = None,
    since: Time = None,
    before: Time = None,
    parent: Annotated[str | None, typer.Option(help="Only those that steps of this run began.", metavar="RUN")] = None,
    limit: Limit = 50,
    everything: All = False,
) -> Any:
    """List runs, newest first. Times without an offset are this machine's."""
    found = cli.client.runs.all(
        workflow_id=None if workflow is None else workflow_id(cli, workflow),
        status=status,
        created_from=since and since.astimezone(),
        created_before=before and before.astimezone(),
        parent_run_id=parent,
    )
    return cli.some(found, limit, everything=everything)


@command(app, "get", examples=["wfm runs get 01a20245-580a-721f-b174-27897f913689 --json"])
def get(cli: Cli, run: Run) -> Any:
    """Show a run with its data and its steps."""
    return cli.client.runs.get(run)


@command(app, "wait", examples=["wfm runs wait 01a20245-580a-721f-b174-27897f913689 --wait-seconds 60"])
def wait(
    cli: Cli, run: Run, wait_seconds: Annotated[float, typer.Option(help="How long at most.", min=0)] = 300.0
) -> Any:
    """Wait until a run is finished and show it. Exit code 5 if it failed or was cancelled, 4 if it takes longer.

    A run that is paused, or waits for a decision, is waited for as well.
    """
    found = follow(cli.client, run, wait_seconds)
    cli.show(found)
    judge(found)


@command(
    app,
    "watch",
    examples=[
        "wfm runs watch 01a20245-580a-721f-b174-27897f913689",
        "wfm runs watch 01a20245-580a-721f-b174-27897f913689 --json | jq -c .data",
    ],
)
def watch_run(
    cli: Cli,
    run: Run,
    after: Annotated[str | None, typer.Option(help="Only what came after this event.", metavar="EVENT_ID")] = None,
    wait_seconds: Annotated[
        float | None, typer.Option(help="How long at most, looked at every 15 s; no limit if left out.", min=0.1)
    ] = None,
) -> Any:
    """Show what becomes of a run as it happens, until it has ended: a line, or a JSON line, for each change.

    Exit codes as of `wait`. Ctrl-C leaves the run alone.
    """
    watch(cli.client, run, cli.output, after=after, seconds=wait_seconds)


@command(app, "cancel", examples=["wfm runs cancel 01a20245-580a-721f-b174-27897f913689"])
def cancel(cli: Cli, run: Run) -> Any:
    """Ask a run to stop."""
    return cli.client.runs.cancel(run)

"""`wfm runs`: paused, resumed, decided about, and done again."""

from typing import Annotated, Any

import typer

from wfm.cli.command import Cli, File, Settings, command
from wfm.cli.documents import with_settings
from wfm.cli.follow import finish
from wfm.cli.workflows import Input, Key, Wait, WaitSeconds

_RUN = "01a20245-580a-721f-b174-27897f913689"

Run = Annotated[str, typer.Argument(help="The run's id.", metavar="RUN")]
Step = Annotated[str, typer.Argument(help="The step's id; of an item with its place: ask[0].", metavar="STEP")]
Outcome = Annotated[str, typer.Argument(help="approve or reject.", metavar="OUTCOME")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands to those of runs."""
    command(app, "pause", examples=[f"wfm runs pause {_RUN}"])(pause)
    command(app, "resume", examples=[f"wfm runs resume {_RUN}"])(resume)
    signals = [f'wfm runs signal {_RUN} ask approve --comment "looks good" --set amount=5']
    command(app, "signal", examples=[*signals, f"wfm runs signal {_RUN} ask reject"])(signal)
    command(app, "retry", examples=[f"wfm runs retry {_RUN} --wait"])(retry)
    command(app, "replay", examples=[f"wfm runs replay {_RUN} --current --set name=Bob"])(replay)


def pause(cli: Cli, run: Run) -> Any:
    """Ask a run to pause: tries under way end, nothing is begun any more."""
    return cli.client.runs.pause(run)


def resume(cli: Cli, run: Run) -> Any:
    """Let a paused run go on where it was."""
    return cli.client.runs.resume(run)


def signal(
    cli: Cli,
    run: Run,
    step: Step,
    outcome: Outcome,
    comment: Annotated[str | None, typer.Option("--comment", "-c", help="Why; kept with the decision.")] = None,
    file: File = None,
    settings: Settings = None,
) -> Any:
    """Decide what a step waits for, once and for good.

    A file and --set are data for the steps after it.
    """
    body: dict[str, Any] = {"outcome": outcome}
    body |= {"comment": comment} if comment is not None else {}
    if file is not None or settings:
        body["data"] = cli.body(file, settings or [], below="data")
    return cli.client.runs.signal(run, step, body)


def retry(cli: Cli, run: Run, wait: Wait = False, wait_seconds: WaitSeconds = 300.0, key: Key = None) -> Any:
    """Go on with a failed or cancelled run where it ended, as a new run."""
    accepted = cli.client.runs.retry(run, idempotency_key=key)
    return accepted if not wait else finish(cli, accepted.run_id, wait_seconds)


def replay(
    cli: Cli,
    run: Run,
    run_input: Input = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the input; may be repeated.", metavar="KEY=VALUE")
    ] = None,
    current: Annotated[bool, typer.Option("--current", help="The workflow's current version, not the run's.")] = False,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 300.0,
    key: Key = None,
) -> Any:
    """Execute from the beginning what a run executed, as a new run.

    Without a file it has the input of that run, changed by --set.
    """
    body: dict[str, Any] = {"version": "current"} if current else {}
    if run_input is not None:
        body["input"] = cli.body(run_input, settings or [], below="input")
    elif settings:
        body["input"] = with_settings(cli.client.runs.get(run).input, settings)
    accepted = cli.client.runs.replay(run, body, idempotency_key=key)
    return accepted if not wait else finish(cli, accepted.run_id, wait_seconds)

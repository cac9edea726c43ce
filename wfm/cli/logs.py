"""Shows the log of a run: a line each, JSON for programs."""

import json
import sys
from typing import Annotated, Any

import typer

from wfm.cli.command import Cli, command
from wfm.cli.exits import INTERRUPTED, CliError
from wfm.cli.show import Output, as_yaml, data, plain
from wfm.models import RunLogLine

_RUN = "01a20245-580a-721f-b174-27897f913689"

Run = Annotated[str, typer.Argument(help="The run's id.", metavar="RUN")]


def add_to(app: typer.Typer) -> None:
    """Adds the command to those of runs."""
    command(app, "logs", examples=[f"wfm runs logs {_RUN} --level warning", f"wfm runs logs {_RUN} --follow"])(logs)


def logs(
    cli: Cli,
    run: Run,
    step: Annotated[str | None, typer.Option(help="Only of this step and its items, or of this item: a[0].")] = None,
    level: Annotated[str | None, typer.Option(help="The least urgent one: debug, info, warning or error.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    wait_seconds: Annotated[
        float | None, typer.Option(help="With --follow: how long at most; no limit if left out.", min=0.1)
    ] = None,
) -> Any:
    """Show what the executor and the agents say about a run, oldest first.

    Followed, JSON is a line for each line. Ctrl-C leaves the run alone.
    """
    if not follow:
        lines = list(cli.client.runs.all_logs(run, step=step, level=level))
        if cli.output != "table":
            return lines
        for line in lines:
            _write(line, cli.output)
        return None
    try:
        cli.client.runs.follow_logs(
            run, step=step, level=level, timeout=wait_seconds, seen=lambda line: _write(line, cli.output)
        )
    except KeyboardInterrupt:
        raise CliError(f"interrupted; run {run} goes on", f"wfm runs logs {run} -f", code=INTERRUPTED) from None
    return None


def _write(line: RunLogLine, output: Output) -> None:
    if output == "table":
        text = plain(_text(line))
    elif output == "json":
        text = json.dumps(data(line), ensure_ascii=False)
    else:
        text = f"---\n{as_yaml(line).rstrip()}"
    sys.stdout.write(f"{text}\n")
    # Whoever reads this from a pipe shall have it at once.
    sys.stdout.flush()


def _text(line: RunLogLine) -> str:
    at = line.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    attempt = f" try {line.attempt}" if line.attempt and line.attempt > 1 else ""
    place = f" {line.step_id}{attempt}:" if line.step_id else ""
    fields = "".join(f" {name}={json.dumps(data(value), ensure_ascii=False)}" for name, value in line.fields.items())
    # One line stays one line.
    return " ".join(f"{at} {line.level:7}{place} {line.message}{fields}".splitlines())

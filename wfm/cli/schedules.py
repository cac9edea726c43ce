"""`wfm schedules`."""

from typing import Annotated, Any

import typer

from wfm.cli.command import All, Cli, File, Limit, Settings, Yes, command, confirm, group
from wfm.cli.find import id_of
from wfm.cli.workflows import OfWorkflow, of_workflow, workflow_id
from wfm.models import Preview

app = group("schedules", "Workflows executed by a cron expression.")

Schedule = Annotated[str, typer.Argument(help="Name or id.", metavar="SCHEDULE")]
Count = Annotated[int, typer.Option("--count", "-n", help="How many.", min=1, max=100)]


def _id(cli: Cli, schedule: str) -> str:
    return id_of(cli.client.schedules.all(), schedule, "schedule")


def _body(cli: Cli, file: str | None, settings: list[str] | None, workflow: str | None) -> dict[str, Any]:
    return of_workflow(cli, cli.body(file, settings or []), workflow)


def _times(cli: Cli, found: Preview) -> Any:
    return found if cli.output != "table" else found.times


@command(
    app,
    "list",
    columns=("name", "expression", "time_zone", "next_fire_at", "paused_at", "id"),
    examples=["wfm schedules list", "wfm schedules list --workflow hello"],
)
def list_schedules(cli: Cli, workflow: OfWorkflow = None, limit: Limit = 50, everything: All = False) -> Any:
    """List the schedules by name."""
    wanted = None if workflow is None else workflow_id(cli, workflow)
    return cli.some(cli.client.schedules.all(workflow_id=wanted), limit, everything=everything)


@command(app, "get", examples=["wfm schedules get mornings"])
def get(cli: Cli, schedule: Schedule) -> Any:
    """Show a schedule."""
    return cli.client.schedules.get(_id(cli, schedule))


@command(
    app,
    "create",
    examples=[
        "wfm schedules create -f mornings.yaml --workflow hello",
        'wfm schedules create --workflow hello --set name=mornings --set "expression=30 7 * * MON-FRI"',
    ],
)
def create(cli: Cli, file: File = None, settings: Settings = None, workflow: OfWorkflow = None) -> Any:
    """Create a schedule."""
    return cli.client.schedules.create(_body(cli, file, settings, workflow))


@command(app, "update", examples=["wfm schedules update mornings -f mornings.yaml"])
def update(
    cli: Cli, schedule: Schedule, file: File = None, settings: Settings = None, workflow: OfWorkflow = None
) -> Any:
    """Replace a schedule."""
    return cli.client.schedules.replace(_id(cli, schedule), _body(cli, file, settings, workflow))


@command(app, "next", columns=("at", "local"), examples=["wfm schedules next mornings -n 10"])
def next_times(cli: Cli, schedule: Schedule, count: Count = 5) -> Any:
    """Show the next times of a schedule."""
    return _times(cli, cli.client.schedules.next_times(_id(cli, schedule), count=count))


@command(
    app,
    "preview",
    columns=("at", "local"),
    examples=['wfm schedules preview "30 7 * * MON-FRI" --time-zone Europe/Berlin'],
)
def preview(
    cli: Cli,
    expression: Annotated[str, typer.Argument(help="Five fields of cron.")],
    time_zone: Annotated[str, typer.Option("--time-zone", "-z", help="IANA time zone.")] = "UTC",
    count: Count = 5,
) -> Any:
    """Show the next times of an expression, before there is a schedule."""
    return _times(cli, cli.client.schedules.preview({"expression": expression, "time_zone": time_zone, "count": count}))


@command(app, "pause", examples=["wfm schedules pause mornings"])
def pause(cli: Cli, schedule: Schedule) -> Any:
    """Begin no more runs until it is resumed."""
    return cli.client.schedules.pause(_id(cli, schedule))


@command(app, "resume", examples=["wfm schedules resume mornings"])
def resume(cli: Cli, schedule: Schedule) -> Any:
    """Begin runs again."""
    return cli.client.schedules.resume(_id(cli, schedule))


@command(app, "delete", examples=["wfm schedules delete mornings --yes"])
def delete(cli: Cli, schedule: Schedule, yes: Yes = False) -> Any:
    """Delete a schedule; its runs stay."""
    found = _id(cli, schedule)
    confirm(f"Delete the schedule {schedule}?", yes=yes)
    cli.client.schedules.delete(found)

"""`wfm workflows`."""

from typing import Annotated, Any

import typer

from wfm.cli.apply import apply_all
from wfm.cli.command import All, Cli, Limit, Settings, Yes, command, confirm, group
from wfm.cli.documents import read
from wfm.cli.exits import CliError
from wfm.cli.find import id_of, is_id
from wfm.cli.follow import finish
from wfm.cli.refusals import not_valid

app = group("workflows", "Workflows: defined, tried out, executed.")

Workflow = Annotated[str, typer.Argument(help="Name or id.", metavar="WORKFLOW")]
Definition = Annotated[str, typer.Option("--file", "-f", help="JSON or YAML; - for stdin.", metavar="FILE")]
Input = Annotated[
    str | None, typer.Option("--input", "-i", help="The run's input as JSON or YAML; - for stdin.", metavar="FILE")
]
InputSettings = Annotated[
    list[str] | None, typer.Option("--set", help="A field of the input; may be repeated.", metavar="KEY=VALUE")
]
Key = Annotated[
    str | None, typer.Option("--idempotency-key", help="The same key again gives the same run; made up if left out.")
]


OfWorkflow = Annotated[str | None, typer.Option("--workflow", "-w", help="Name or id of the workflow.")]
Wait = Annotated[bool, typer.Option("--wait", "-w", help="Until it is finished; exit code 5 if it fails.")]
WaitSeconds = Annotated[float, typer.Option(help="How long at most, with --wait.", min=0)]


def workflow_id(cli: Cli, workflow: str) -> str:
    """The id of a workflow that is named."""
    return id_of(cli.client.workflows.all(), workflow, "workflow")


def of_workflow(cli: Cli, body: dict[str, Any], workflow: str | None) -> dict[str, Any]:
    """A body with the id of the workflow that an option or the body itself names."""
    named = workflow or body.get("workflow_id")
    # A file says the workflow by its name as well: its id is another one on each server.
    if isinstance(named, str) and not is_id(named):
        return body | {"workflow_id": workflow_id(cli, named)}
    return body | ({"workflow_id": named} if named else {})


@command(app, "list", columns=("name", "version", "id", "updated_at"), examples=["wfm workflows list --all"])
def list_workflows(cli: Cli, limit: Limit = 50, everything: All = False) -> Any:
    """List the workflows by name."""
    return cli.some(cli.client.workflows.all(), limit, everything=everything)


@command(app, "get", examples=["wfm workflows get hello -o yaml", "wfm workflows get hello --version 2"])
def get(
    cli: Cli, workflow: Workflow, version: Annotated[int | None, typer.Option(help="Of this version.", min=1)] = None
) -> Any:
    """Show a workflow with its steps."""
    found = workflow_id(cli, workflow)
    return cli.client.workflows.get(found) if version is None else cli.client.workflows.version(found, version)


@command(app, "create", examples=["wfm workflows create -f hello.yaml"])
def create(cli: Cli, file: Definition, settings: Settings = None) -> Any:
    """Create a workflow; `apply` also changes one that is there."""
    return cli.client.workflows.create(cli.body(file, settings or []))


@command(app, "update", examples=["wfm workflows update hello -f hello.yaml"])
def update(cli: Cli, workflow: Workflow, file: Definition, settings: Settings = None) -> Any:
    """Give a workflow a new version, whatever it is called in the file."""
    return cli.client.workflows.replace(workflow_id(cli, workflow), cli.body(file, settings or []))


@command(
    app,
    "apply",
    columns=("name", "outcome", "version"),
    examples=["wfm workflows apply -f hello.yaml", "wfm workflows apply -f hello.yaml --dry-run"],
)
def apply(
    cli: Cli,
    file: Definition,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only validate, show and plan; store nothing.")] = False,
    run_input: Input = None,
) -> Any:
    """Create the workflows of a file, or give those that differ a new version; shows the difference.

    Nothing is stored unless all of them are valid. With --dry-run nothing is stored at all; a workflow that is stored
    as it is in the file is also planned, with --input.
    """
    return apply_all(cli, file, dry_run=dry_run, run_input=read(run_input).value if run_input else {})


@command(app, "validate", examples=["wfm workflows validate -f hello.yaml"])
def validate(cli: Cli, file: Definition, settings: Settings = None) -> Any:
    """Say everything that is wrong with a workflow; nothing is stored. Exit code 1 if something is."""
    answer = cli.client.workflows.validate(cli.body(file, settings or []))
    if not answer.valid:
        raise not_valid(answer.problems)
    return answer if cli.output != "table" else "valid"


@command(app, "plan", examples=["wfm workflows plan hello --set name=Ada -o yaml"])
def plan(cli: Cli, workflow: Workflow, run_input: Input = None, settings: InputSettings = None) -> Any:
    """Say what a run would do with an input; nothing is executed."""
    body = cli.body(run_input, settings or [], below="input")
    return cli.client.workflows.plan(workflow_id(cli, workflow), body)


@command(
    app,
    "limits",
    examples=[
        "wfm workflows limits hello",
        "wfm workflows limits hello --max-running 5",
        "wfm workflows limits hello --max-starts 100 --per-seconds 60",
        "wfm workflows limits hello --none",
    ],
)
def limits(
    cli: Cli,
    workflow: Workflow,
    max_running: Annotated[int | None, typer.Option(help="So many runs at a time.", min=1)] = None,
    max_starts: Annotated[int | None, typer.Option(help="So many runs begin in --per-seconds.", min=1)] = None,
    per_seconds: Annotated[int | None, typer.Option(help="With --max-starts.", min=1)] = None,
    none: Annotated[bool, typer.Option("--none", help="Take all limits away.")] = False,
) -> Any:
    """Show the limits of a workflow's runs, or set all of them: what is left out is not limited any more."""
    given = {"max_running": max_running, "max_starts": max_starts, "per_seconds": per_seconds}
    wanted = {name: value for name, value in given.items() if value is not None}
    if wanted and none:
        raise CliError("--none goes with no other limit", "leave one of them out")
    found = workflow_id(cli, workflow)
    if not wanted and not none:
        return cli.client.workflows.limits(found)
    return cli.client.workflows.set_limits(found, wanted)


@command(
    app,
    "execute",
    examples=[
        "wfm workflows execute hello --set name=Ada --wait",
        "wfm workflows execute hello -i order.json --idempotency-key order-17",
    ],
)
def execute(
    cli: Cli,
    workflow: Workflow,
    run_input: Input = None,
    settings: InputSettings = None,
    priority: Annotated[int, typer.Option(help="From 0 to 9; higher ones are taken up first.", min=0, max=9)] = 0,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 300.0,
    key: Key = None,
) -> Any:
    """Execute a workflow."""
    body = cli.body(run_input, settings or [], below="input")
    found = workflow_id(cli, workflow)
    accepted = cli.client.workflows.execute(found, body, priority=priority, idempotency_key=key)
    return accepted if not wait else finish(cli, accepted.run_id, wait_seconds)


@command(
    app,
    "execute-many",
    examples=[
        "wfm workflows execute-many hello -i inputs.yaml",
        "jq -c .orders orders.json | wfm workflows execute-many hello -i -",
    ],
)
def execute_many(
    cli: Cli,
    workflow: Workflow,
    inputs: Annotated[str, typer.Option("--inputs", "-i", help="A list, JSON or YAML; - for stdin.", metavar="FILE")],
    key: Key = None,
) -> Any:
    """Execute a workflow once for each input of a list, however long; prints the runs' ids."""
    found = read(inputs).value
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CliError(
            f"{inputs} must hold a list of inputs, each a mapping", "for instance: [{name: Ada}, {name: Bob}]"
        )
    runs = cli.client.workflows.execute_many(workflow_id(cli, workflow), found, idempotency_key=key)
    return [str(each) for each in runs] if cli.output != "table" else "\n".join(map(str, runs)) or None


@command(app, "delete", examples=["wfm workflows delete hello --yes"])
def delete(cli: Cli, workflow: Workflow, yes: Yes = False) -> Any:
    """Delete a workflow that was never executed."""
    found = workflow_id(cli, workflow)
    confirm(f"Delete the workflow {workflow}?", yes=yes)
    cli.client.workflows.delete(found)

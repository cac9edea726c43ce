"""`wfm agents`."""

from typing import Annotated, Any

import typer

from wfm.cli.command import All, Cli, File, Limit, Settings, Yes, command, confirm, group
from wfm.cli.exits import NOT_FOUND, CliError
from wfm.cli.find import id_of

app = group("agents", "What steps call.")

Agent = Annotated[str, typer.Argument(help="Name or id.", metavar="AGENT")]


def _id(cli: Cli, agent: str) -> str:
    return id_of(cli.client.agents.all(), agent, "agent")


@command(
    app, "list", columns=("name", "kind", "id", "updated_at"), examples=["wfm agents list", "wfm agents list --json"]
)
def list_agents(cli: Cli, limit: Limit = 50, everything: All = False) -> Any:
    """List the agents by name."""
    return cli.some(cli.client.agents.all(), limit, everything=everything)


@command(app, "get", examples=["wfm agents get mailer", "wfm agents get mailer -o yaml"])
def get(cli: Cli, agent: Agent) -> Any:
    """Show an agent."""
    return cli.client.agents.get(_id(cli, agent))


@command(
    app,
    "kinds",
    columns=("kind", "package"),
    examples=["wfm agents kinds", "wfm agents kinds http -o yaml"],
)
def kinds(
    cli: Cli, kind: Annotated[str | None, typer.Argument(help="Only this one, with its settings.")] = None
) -> Any:
    """List the kinds that agents can be of; of a named one what its settings must be."""
    found = cli.client.agents.kinds().items
    if kind is None:
        return found
    for each in found:
        if each.kind == kind:
            return each
    known = ", ".join(each.kind for each in found)
    raise CliError(f"there are no agents of the kind {kind!r}", f"there are: {known}", code=NOT_FOUND)


@command(
    app,
    "create",
    examples=[
        "wfm agents create -f mailer.yaml",
        "wfm agents create --set name=pause --set kind=delay --set settings.seconds=2",
    ],
)
def create(cli: Cli, file: File = None, settings: Settings = None) -> Any:
    """Create an agent from a file, fields, or both."""
    return cli.client.agents.create(cli.body(file, settings or []))


@command(
    app,
    "update",
    examples=["wfm agents update mailer -f mailer.yaml", "wfm agents update pause --set settings.seconds=3"],
)
def update(cli: Cli, agent: Agent, file: File = None, settings: Settings = None) -> Any:
    """Replace an agent by a file; without one, change only the fields that are set."""
    stored = cli.client.agents.get(_id(cli, agent))
    if file is None:
        from wfm.cli.documents import with_settings

        known = {"name": stored.name, "kind": stored.kind, "settings": stored.settings}
        return cli.client.agents.replace(stored.id, with_settings(known, settings or []))
    return cli.client.agents.replace(stored.id, cli.body(file, settings or []))


@command(app, "delete", examples=["wfm agents delete mailer --yes"])
def delete(cli: Cli, agent: Agent, yes: Yes = False) -> Any:
    """Delete an agent."""
    found = _id(cli, agent)
    confirm(f"Delete the agent {agent}?", yes=yes)
    cli.client.agents.delete(found)

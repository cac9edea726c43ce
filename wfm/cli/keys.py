"""`wfm keys` and `wfm audit`: what administrators look after."""

from datetime import datetime
from typing import Annotated, Any

import typer

from wfm.cli.command import All, Cli, Limit, Yes, command, confirm, group
from wfm.cli.private_file import SecretFile, shown_once

app = group("keys", "API keys.")
audit = group("audit", "What was done, and by whom.")


@command(app, "list", columns=("name", "role", "scopes", "prefix", "expires_at", "revoked_at", "last_used_at", "id"))
def list_keys(cli: Cli, limit: Limit = 50, everything: All = False) -> Any:
    """List the keys, newest first."""
    return cli.some(cli.client.keys.all(), limit, everything=everything)


@command(
    app,
    "create",
    examples=["wfm keys create pipeline --role operator --scope runs:execute --scope runs:read --to pipeline.key"],
)
def create(
    cli: Cli,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    scopes: Annotated[list[str] | None, typer.Option("--scope", help="Only for this; may be repeated.")] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"], metavar="TIME", help="When it ends.")
    ] = None,
    to: SecretFile = None,
) -> Any:
    """Create a key. It is shown this once, or written into a file."""
    body: dict[str, Any] = {"name": name, "role": role}
    body |= {"scopes": scopes} if scopes else {}
    body |= {"expires_at": expires.astimezone()} if expires else {}
    return shown_once(lambda: cli.client.keys.create(body), "key", to)


@command(app, "revoke", examples=["wfm keys revoke 01a20245-580a-721f-b174-27897f913689 --yes"])
def revoke(
    cli: Cli, key: Annotated[str, typer.Argument(help="The key's id.", metavar="KEY_ID")], yes: Yes = False
) -> Any:
    """Revoke a key; it is refused from now on."""
    confirm(f"Revoke the key {key}?", yes=yes)
    cli.client.keys.revoke(key)


@command(
    audit,
    "list",
    columns=("at", "actor", "action", "subject_type", "subject_id", "correlation_id"),
    examples=["wfm audit list --action workflow.update", "wfm audit list --subject-type api_key --all --json"],
)
def list_audit(
    cli: Cli,
    actor: Annotated[str | None, typer.Option(help="Only by this one.")] = None,
    action: Annotated[str | None, typer.Option(help="For instance workflow.create.")] = None,
    subject_type: Annotated[str | None, typer.Option(help="For instance workflow.")] = None,
    subject_id: Annotated[str | None, typer.Option(help="Only about this one.")] = None,
    limit: Limit = 50,
    everything: All = False,
) -> Any:
    """List what was done, newest first."""
    found = cli.client.audit.all(actor=actor, action=action, subject_type=subject_type, subject_id=subject_id)
    return cli.some(found, limit, everything=everything)

"""`wfm webhooks`."""

from typing import Annotated, Any

import typer

from wfm.cli.command import All, Cli, File, Limit, Settings, Yes, command, confirm, group
from wfm.cli.documents import with_settings
from wfm.cli.find import id_of
from wfm.cli.private_file import SecretFile, shown_once
from wfm.cli.workflows import OfWorkflow, of_workflow

app = group("webhooks", "The ends of runs, told to other systems.")

Webhook = Annotated[str, typer.Argument(help="Name or id.", metavar="WEBHOOK")]
Told = Annotated[
    list[str] | None,
    typer.Option("--event", help="run.completed, run.failed or run.cancelled; may be repeated.", metavar="EVENT"),
]


def _id(cli: Cli, webhook: str) -> str:
    return id_of(cli.client.webhooks.all(), webhook, "webhook")


def _body(cli: Cli, body: dict[str, Any], events: list[str] | None, workflow: str | None) -> dict[str, Any]:
    return of_workflow(cli, body | ({"events": events} if events else {}), workflow)


@command(
    app,
    "list",
    columns=("name", "url", "events", "workflow_id", "failing_since", "disabled_at", "id"),
    examples=["wfm webhooks list"],
)
def list_webhooks(cli: Cli, limit: Limit = 50, everything: All = False) -> Any:
    """List the webhooks by name."""
    return cli.some(cli.client.webhooks.all(), limit, everything=everything)


@command(app, "get", examples=["wfm webhooks get pager"])
def get(cli: Cli, webhook: Webhook) -> Any:
    """Show a webhook, without its secret."""
    return cli.client.webhooks.get(_id(cli, webhook))


@command(
    app,
    "create",
    examples=[
        "wfm webhooks create --set name=pager --set url=https://pager.example/in --event run.failed --to pager.secret",
        "wfm webhooks create -f pager.yaml --workflow hello",
    ],
)
def create(
    cli: Cli,
    file: File = None,
    settings: Settings = None,
    events: Told = None,
    workflow: OfWorkflow = None,
    to: SecretFile = None,
) -> Any:
    """Create a webhook. Its secret is shown this once, or written into a file."""
    body = _body(cli, cli.body(file, settings or []), events, workflow)
    return shown_once(lambda: cli.client.webhooks.create(body), "secret", to)


@command(
    app,
    "update",
    examples=["wfm webhooks update pager -f pager.yaml", "wfm webhooks update pager --event run.failed"],
)
def update(
    cli: Cli,
    webhook: Webhook,
    file: File = None,
    settings: Settings = None,
    events: Told = None,
    workflow: OfWorkflow = None,
) -> Any:
    """Replace a webhook by a file; without one, change only what is given. Its secret stays."""
    stored = cli.client.webhooks.get(_id(cli, webhook))
    if file is None:
        known = stored.model_dump(mode="json", include={"name", "url", "events", "workflow_id"})
        body = dict(with_settings(known, settings or []))
    else:
        body = cli.body(file, settings or [])
    return cli.client.webhooks.replace(stored.id, _body(cli, body, events, workflow))


@command(app, "enable", examples=["wfm webhooks enable pager"])
def enable(cli: Cli, webhook: Webhook) -> Any:
    """Send again, first what was waiting when it was switched off."""
    return cli.client.webhooks.enable(_id(cli, webhook))


@command(app, "disable", examples=["wfm webhooks disable pager"])
def disable(cli: Cli, webhook: Webhook) -> Any:
    """Send nothing more: runs that end from now on are not told."""
    return cli.client.webhooks.disable(_id(cli, webhook))


@command(app, "rotate-secret", examples=["wfm webhooks rotate-secret pager --to pager.secret"])
def rotate_secret(cli: Cli, webhook: Webhook, to: SecretFile = None) -> Any:
    """Replace the secret. The new one is shown this once, or written into a file; the old one counts for 24 hours."""
    found = _id(cli, webhook)
    return shown_once(lambda: cli.client.webhooks.rotate_secret(found), "secret", to)


@command(
    app,
    "deliveries",
    columns=("created_at", "event", "status", "attempts", "last_status", "last_error", "run_id", "id"),
    examples=["wfm webhooks deliveries pager --status dead"],
)
def deliveries(
    cli: Cli,
    webhook: Webhook,
    status: Annotated[str | None, typer.Option(help="pending, delivered or dead.")] = None,
    limit: Limit = 50,
    everything: All = False,
) -> Any:
    """List what was and will be sent, newest first."""
    found = cli.client.webhooks.all_deliveries(_id(cli, webhook), status=status)
    return cli.some(found, limit, everything=everything)


@command(app, "redeliver", examples=["wfm webhooks redeliver pager 01a20245-580a-721f-b174-27897f913689"])
def redeliver(
    cli: Cli, webhook: Webhook, delivery: Annotated[str, typer.Argument(help="Its id.", metavar="DELIVERY")]
) -> Any:
    """Send a delivery again, under the same id."""
    return cli.client.webhooks.redeliver(_id(cli, webhook), delivery)


@command(app, "delete", examples=["wfm webhooks delete pager --yes"])
def delete(cli: Cli, webhook: Webhook, yes: Yes = False) -> Any:
    """Delete a webhook with its deliveries."""
    found = _id(cli, webhook)
    confirm(f"Delete the webhook {webhook}?", yes=yes)
    cli.client.webhooks.delete(found)

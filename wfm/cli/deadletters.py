"""`wfm dead-letters`."""

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from wfm.cli.command import All, Cli, Limit, command, group
from wfm.cli.private_file import private_file
from wfm.cli.show import err

app = group("dead-letters", "Messages that could not be read or delivered.")

Letter = Annotated[str, typer.Argument(help="The dead letter's id.", metavar="LETTER")]


@command(
    app,
    "list",
    columns=("first_seen_at", "reason", "state", "topic", "place", "times", "id"),
    examples=["wfm dead-letters list --state open"],
)
def list_dead_letters(
    cli: Cli,
    state: Annotated[str | None, typer.Option(help="open, requeued or discarded.")] = None,
    reason: Annotated[str | None, typer.Option(help="unreadable or too-large.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only of this topic.")] = None,
    limit: Limit = 50,
    everything: All = False,
) -> Any:
    """List dead letters, newest first."""
    found = cli.client.dead_letters.all(state=state, reason=reason, topic=topic)
    return cli.some(found, limit, everything=everything)


@command(app, "get", examples=["wfm dead-letters get 01a20245-580a-721f-b174-27897f913689"])
def get(cli: Cli, letter: Letter) -> Any:
    """Show a dead letter with its headers, without its payload."""
    return cli.client.dead_letters.get(letter)


@command(app, "payload", examples=["wfm dead-letters payload 01a20245-580a-721f-b174-27897f913689 --to letter.bin"])
def payload(
    cli: Cli,
    letter: Letter,
    to: Annotated[Path | None, typer.Option(help="Write its bytes into this new file, for you only.")] = None,
) -> Any:
    """Show what is in a dead letter, for administrators: it may come from anywhere and hold anything."""
    found = cli.client.dead_letters.payload(letter)
    if found.kept != "whole":
        err().print(f"not all of it was kept: {found.kept}", style="dim", markup=False)
    if to is None:
        return found if cli.output != "table" else found.payload
    is_text = found.encoding == "utf-8"
    with private_file(to) as stream:
        stream.write(found.payload.encode() if is_text else base64.b64decode(found.payload))
    err().print(f"the payload is in {to}", markup=False)
    return None


@command(app, "requeue", examples=["wfm dead-letters requeue 01a20245-580a-721f-b174-27897f913689"])
def requeue(cli: Cli, letter: Letter) -> Any:
    """Send the message again, once however often it is asked."""
    return cli.client.dead_letters.requeue(letter)


@command(app, "discard", examples=["wfm dead-letters discard 01a20245-580a-721f-b174-27897f913689"])
def discard(cli: Cli, letter: Letter) -> Any:
    """Note that nothing is to be done about the message; it can still be read."""
    return cli.client.dead_letters.discard(letter)

"""What every command has: the options of the connection and the output, and a client that is closed at the end."""

import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from wfm.cli.access import Given, resolve
from wfm.cli.documents import Document, read, with_settings
from wfm.cli.exits import CliError
from wfm.cli.show import Output, err, show
from wfm.client import WorkflowClient

T = TypeVar("T")

_CONNECTION = "Connection"

COMMON: dict[str, tuple[Any, Any]] = {
    "output": (
        Annotated[str, typer.Option("--output", "-o", help="table, json or yaml.", metavar="FORMAT")],
        "table",
    ),
    "as_json": (Annotated[bool, typer.Option("--json", help="The same as -o json.")], False),
    "url": (
        Annotated[str | None, typer.Option(help="Where the API is. [WFM_URL]", rich_help_panel=_CONNECTION)],
        None,
    ),
    "profile": (
        Annotated[str | None, typer.Option(help="What `wfm login` kept. [WFM_PROFILE]", rich_help_panel=_CONNECTION)],
        None,
    ),
    "ca_file": (
        Annotated[Path | None, typer.Option(help="Authorities to believe. [WFM_CA_FILE]", rich_help_panel=_CONNECTION)],
        None,
    ),
    "insecure": (
        Annotated[
            bool, typer.Option("--insecure", help="Look at no certificate: NOT safe.", rich_help_panel=_CONNECTION)
        ],
        False,
    ),
    "api_key_file": (
        Annotated[Path | None, typer.Option(help="An API key. [WFM_API_KEY(_FILE)]", rich_help_panel=_CONNECTION)],
        None,
    ),
    "token_file": (
        Annotated[Path | None, typer.Option(help="A bearer token. [WFM_TOKEN(_FILE)]", rich_help_panel=_CONNECTION)],
        None,
    ),
    "username": (
        Annotated[str | None, typer.Option(help="Who logs in. [WFM_USERNAME]", rich_help_panel=_CONNECTION)],
        None,
    ),
    "password_file": (
        Annotated[Path | None, typer.Option(help="The password. [WFM_PASSWORD(_FILE)]", rich_help_panel=_CONNECTION)],
        None,
    ),
    "timeout": (
        Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1, rich_help_panel=_CONNECTION)],
        30.0,
    ),
}
"""The options that every command has, with their defaults."""


@dataclass
class Cli:
    """What a command works with."""

    given: Given
    output: Output
    columns: Sequence[str] = ()
    document: Document | None = None
    """The file that was sent, so that what is wrong with it is told with its line."""
    _client: WorkflowClient | None = field(default=None, repr=False)

    @property
    def client(self) -> WorkflowClient:
        """The client, made when it is wanted."""
        if self._client is None:
            self._client = resolve(self.given).client()
        return self._client

    def show(self, value: Any) -> None:
        """Writes a result; what a command returns is shown without asking."""
        show(value, self.output, self.columns)

    def close(self) -> None:
        """Ends its connections."""
        if self._client is not None:
            self._client.close()

    def body(self, file: str | None, settings: Sequence[str], *, below: str = "") -> dict[str, Any]:
        """What a file and ``--set`` say together; the file is kept for messages."""
        value: Any = {}
        if file is not None:
            found = read(file)
            self.document = Document(found.value, found.name, found.node, below)
            value = found.value
        if not isinstance(value, dict):
            raise CliError(f"{file} holds a {type(value).__name__}; it must be a mapping of fields")
        return dict(with_settings(value, settings))

    def some(self, items: Iterator[T], limit: int, *, everything: bool) -> list[T]:
        """The first items, and a word when there are more."""
        if everything:
            return list(items)
        found = list(islice(items, limit + 1))
        if len(found) > limit:
            err().print(f"these are the first {limit}; --all shows all of them", style="dim", markup=False)
        return found[:limit]


def output_of(given: str, *, as_json: bool) -> Output:
    """How the result is shown."""
    for known in get_args(Output):
        if given == known:
            return "json" if as_json else known
    raise CliError(f"--output is {given!r}; it must be table, json or yaml")


RUNNING: list[Cli] = []
"""The command that runs, for the words about its failure."""


def command(
    app: typer.Typer, name: str, *, columns: Sequence[str] = (), examples: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds a function to the commands: it gets a Cli first, and what it returns is shown."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        own = list(inspect.signature(function).parameters.values())[1:]
        common = [
            inspect.Parameter(each, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for each, (kind, default) in COMMON.items()
        ]

        def run(**arguments: Any) -> None:
            shared = {each: arguments.pop(each) for each in COMMON}
            output = output_of(shared["output"], as_json=shared.pop("as_json"))
            given = Given(**{each.name: shared[each.name] for each in fields(Given)})
            cli = Cli(given, output, columns)
            RUNNING[:] = [cli]
            try:
                cli.show(function(cli, **arguments))
            finally:
                cli.close()

        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
        vars(run)["__signature__"] = inspect.Signature([*parameters, *common])
        run.__annotations__ = {each.name: each.annotation for each in (*parameters, *common)}
        run.__doc__ = function.__doc__
        epilog = "\n\n".join(("Examples:", *examples)) if examples else None
        app.command(name, epilog=epilog)(run)
        return function

    return decorate


def group(name: str, meaning: str) -> typer.Typer:
    """The commands of one subject."""
    return typer.Typer(name=name, help=meaning, no_args_is_help=True, pretty_exceptions_enable=False)


Limit = Annotated[int, typer.Option("--limit", "-n", help="How many at most.", min=1)]
All = Annotated[bool, typer.Option("--all", "-a", help="All of them.")]
File = Annotated[str | None, typer.Option("--file", "-f", help="JSON or YAML; - for stdin.", metavar="FILE")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A field: key=value, a.b=value; may be repeated.", metavar="KEY=VALUE")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str, *, yes: bool) -> None:
    """Asks a person; without one there refuses."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CliError(f"{question} There is nobody to ask.", "add --yes")
    if not typer.confirm(question, err=True):
        raise CliError("nothing was done", code=1)

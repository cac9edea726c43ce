"""What the modules of commands share: the app they add to, common arguments, ways to answer."""

import json
import sys
from typing import Annotated, Any, NoReturn

import typer

from ops.context import Context
from ops.home import Home
from ops.records import CommandLog

app = typer.Typer(
    name="deploy-api.sh",
    help="Deploys, checks and operates stacks of the Workflow Management API.\n\n"
    "`dev` does everything from a bare machine to a verified stack. Every command can be interrupted and run again.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StackName = Annotated[str, typer.Argument(help="Which stack: the NAME of a Pulumi.NAME.yaml.", metavar="[STACK]")]
StackOption = Annotated[str, typer.Option("--stack", "-s", help="Which stack.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs, not a table for people.")]

current: dict[str, Context] = {}
"""The context of the command that runs, so that a failure finds its log."""


def context_of(command: str) -> Context:
    """The context of this run; made once."""
    return current.setdefault("context", Context(Home.of(), CommandLog(Home.of().logs, command)))


def print_json(document: Any) -> None:
    """The command's answer for programs."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def exit_with(code: int) -> NoReturn:
    """Ends the command."""
    raise typer.Exit(code)

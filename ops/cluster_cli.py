"""The commands `./deploy-api.sh cluster ...`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ops.console import is_terminal, out
from ops.context import Context
from ops.errors import OperatorError
from ops.home import Home
from ops.records import CommandLog

app = typer.Typer(
    help="The one-node Kubernetes of this machine, made from package registries alone.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Kubeconfig = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Another cluster to use; `$KUBECONFIG` says the same.")
]


def _context(command: str) -> Context:
    home = Home.of()
    return Context(home, CommandLog(home.logs, f"cluster-{command}"))


@app.command()
def up(kubeconfig: Kubeconfig = None) -> None:
    """Bring the cluster up, or back to what it should be. Uses another cluster where a kubeconfig names one."""
    from airgap.node.layout import Node
    from ops import cluster

    context = _context("up")
    if other := cluster.other_kubeconfig(context.home, kubeconfig):
        server = cluster.check_answers(other)
        context.progress.say(f"the cluster of {other} is used, and it answers ({server}); nothing was started here")
        return
    cluster.up(context.home, context.progress)
    context.progress.say(f"the cluster works: export KUBECONFIG={Node.of(context.home.root).kubeconfig}")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False) -> None:
    """Show what runs and what works. Exit code 1 unless all is well."""
    from ops import cluster

    found = cluster.status(_context("status").home)
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    elif not found["parts"]:
        raise OperatorError("no cluster runs on this machine", "./deploy-api.sh cluster up")
    else:
        out.print(cluster.status_table(found))
    raise typer.Exit(0 if found["healthy"] else 1)


@app.command()
def down(
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete its data too: objects, volumes, images, keys.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take the cluster down and keep its data; `up` goes on with it."""
    from ops import cluster

    context = _context("down")
    if purge and not yes:
        if not is_terminal():
            raise OperatorError("--purge deletes the cluster's data, and nobody is here to agree", "add --yes")
        typer.confirm("This deletes the cluster with everything in it. Go on?", abort=True)
    found = cluster.down(context.home, context.progress, purge)
    kept = "its data is gone" if purge else "its data is kept"
    context.progress.say(f"ended: {', '.join(found) or 'nothing was running'}; {kept}")

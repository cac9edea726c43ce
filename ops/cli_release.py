"""The commands of releases: what is pushed, deployed, proved, recorded and taken back."""

from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli_common import AsJson, app, context_of, exit_with, print_json
from ops.console import err, out
from ops.errors import OperatorError

if TYPE_CHECKING:
    from ops.releases import Release, Releases

WATCH_SECONDS = 60.0

Prod = Annotated[str, typer.Option("--stack", "-s", help="Which stack, say rehearsal.")]
Released = Annotated[str, typer.Argument(help="Which stack: the NAME of a Pulumi.NAME.yaml.", metavar="[STACK]")]


@app.command()
def push(stack: Released = "prod", as_json: AsJson = False) -> None:
    """Bring this tree's images into the registry of a stack; print each by its digest there."""
    from ops.release_tools import ClusterTools

    pushed = ClusterTools(context_of("push"), stack).images()
    if as_json:
        print_json(pushed)
        return
    for name, reference in sorted(pushed.items()):
        out.print(f"{name:<18} {reference}", markup=False)


@app.command()
def prod(
    stack: Prod = "prod",
    watch: Annotated[float, typer.Option(min=0, help="How many seconds to look at the release before it counts.")] = (
        WATCH_SECONDS
    ),
    as_json: AsJson = False,
) -> None:
    """Release this tree: validate, build, push, back up, deploy, verify, watch, report. Goes back by itself."""
    from ops.locks import exclusive
    from ops.release import make_release
    from ops.release_tools import ClusterTools
    from ops.releases import Releases

    context = context_of("prod")
    context.home.make()
    releases = Releases(context.home.releases(stack))
    lock = context.home.locks / f"release-{stack}.lock"
    with exclusive(lock, f"releasing to stack {stack}", context.progress.say):
        release = make_release(ClusterTools(context, stack), releases, stack, context.progress.say, watch)
    _close(releases, release, as_json)


@app.command()
def rollback(
    stack: Released = "prod",
    to: Annotated[str | None, typer.Option(metavar="ID", help="Which release; the last good one without it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept that the schema's way back loses data.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring back what an earlier release deployed, its schema revision too, and verify it."""
    from ops.locks import exclusive
    from ops.release_tools import ClusterTools
    from ops.releases import Releases
    from ops.rollback import roll_back

    context = context_of("rollback")
    context.home.make()
    releases = Releases(context.home.releases(stack))
    lock = context.home.locks / f"release-{stack}.lock"
    with exclusive(lock, f"releasing to stack {stack}", context.progress.say):
        release = roll_back(ClusterTools(context, stack), releases, stack, context.progress.say, to, yes)
    _close(releases, release, as_json)


@app.command()
def releases(stack: Released = "prod", as_json: AsJson = False) -> None:
    """List what was released to a stack: when, from which commit, how it ended, what runs."""
    from ops.release_report import releases_table
    from ops.releases import Releases

    found = Releases(context_of("releases").home.releases(stack))
    if as_json:
        print_json([each.summary() for each in found.all()])
    elif not found.all():
        raise OperatorError(f"nothing was released to stack {stack} yet", f"./deploy-api.sh prod --stack {stack}")
    else:
        out.print(releases_table(found.all(), found.current()))


def _close(releases: "Releases", release: "Release", as_json: bool) -> None:
    """Shows how it ended; the exit code is 0 only for a verified one."""
    from ops.release_report import REPORT, render

    if as_json:
        print_json(release.as_json())
    else:
        out.print(render(release), markup=False)
        err.print(f"report: {releases.path(release) / REPORT}", markup=False)
    exit_with(0 if release.outcome == "verified" else 1)

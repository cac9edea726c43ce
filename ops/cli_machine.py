"""The commands of this machine: setting it up, the way from nothing to a verified stack, the tests."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from ops.cli_common import AsJson, app, context_of, exit_with, print_json
from ops.console import err
from ops.errors import OperatorError
from ops.home import PROJECT_DIR


@app.command()
def setup() -> None:
    """Set this machine up: Docker engine, Pulumi CLI and plugins, base image, images. Done once; resumable."""
    from ops.setup.machine import set_up

    context = context_of("setup")
    ran = set_up(context.home, context.progress)
    context.progress.say(f"this machine is ready ({', '.join(ran) if ran else 'nothing was to be done'})")


@app.command()
def dev() -> None:
    """Everything for the stack `dev`: set-up, deployment, verification, and how to go on."""
    from ops.first_light import bring_up_and_verify

    bring_up_and_verify(context_of("dev"), "dev")


@app.command()
def env(as_json: AsJson = False) -> None:
    """Print the variables with which `pulumi` typed by hand works here: eval "$(./deploy-api.sh env)"."""
    from ops.environment import pulumi_environment, shell_exports

    variables = pulumi_environment(context_of("env").home)
    if as_json:
        print_json(variables)
    else:
        sys.stdout.write(shell_exports(variables) + "\n")


@app.command("test")
def run_tests(
    ring: Annotated[list[str] | None, typer.Option(help="Run only this ring (may be repeated).")] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", "-x", help="Stop after the first ring that fails.")] = False,
) -> None:
    """Run the tests, ring by ring, fast ones first: lint, unit, airgap, images, service, stack."""
    from ops import testing
    from ops.rings import RINGS, find

    try:
        rings = find(ring or [])
    except KeyError as error:
        known = ", ".join(r.name for r in RINGS)
        raise OperatorError(f"there is no ring {error.args[0]}", f"name one of: {known}") from None
    outcomes = testing.run_rings(context_of("test"), rings, fail_fast)
    err.print()
    for line in testing.closing_lines(outcomes, rings):
        err.print(line, markup=False)
    exit_with(1 if any(outcome.why for outcome in outcomes) or len(outcomes) < len(rings) else 0)


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the load: it works, but measures little.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Measure only this part (may be repeated).")] = None,
    executors: Annotated[int, typer.Option(help="Replicas of the executor.", min=1, max=8)] = 1,
    peers: Annotated[bool, typer.Option("--peers", help="Beside DBOS and Temporal, with ratios, instead.")] = False,
    without: Annotated[list[str] | None, typer.Option(help="With --peers: leave this one out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the service on this machine: its programs, a real Postgres and a real Kafka, all started for it."""
    from ops.environment import pulumi_environment
    from ops.setup.machine import set_up

    context = context_of("bench")
    set_up(context.home, context.progress)
    usual = [*(["--quick"] if quick else []), *(["--json"] if as_json else [])]
    if peers:
        chosen = ["bench.peers", *(word for peer in without or [] for word in ("--without", peer))]
    else:
        chosen = ["bench.service", *(word for part in only or [] for word in ("--only", part))]
        chosen += ["--executors", str(executors)]
    words = [sys.executable, "-m", *chosen, *usual]
    variables = {**os.environ, **pulumi_environment(context.home)}
    exit_with(subprocess.run(words, cwd=PROJECT_DIR, env=variables, check=False).returncode)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def wfm(words: typer.Context) -> None:
    """The API from the command line: `wfm --help` says more (docs/client.md)."""
    from wfm.cli.main import run

    exit_with(run(words.args))

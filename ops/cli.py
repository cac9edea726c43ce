"""The commands of `./deploy-api.sh`: each a thin arrangement of the parts of this package."""

import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from ops.console import err, is_terminal, out
from ops.context import Context
from ops.errors import OperatorError
from ops.home import Home
from ops.records import CommandLog

UNEXPECTED = 70
INTERRUPTED = 130

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


def _context(command: str) -> Context:
    return _current.setdefault("context", Context(Home.of(), CommandLog(Home.of().logs, command)))


_current: dict[str, Context] = {}


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _exit(code: int) -> NoReturn:
    raise typer.Exit(code)


@app.command()
def setup() -> None:
    """Set this machine up: Docker engine, Pulumi CLI and plugins, base image, images. Done once; resumable."""
    from ops.setup.machine import set_up

    context = _context("setup")
    ran = set_up(context.home, context.progress)
    context.progress.say(f"this machine is ready ({', '.join(ran) if ran else 'nothing was to be done'})")


@app.command()
def dev() -> None:
    """Everything for the stack `dev`: set-up, deployment, verification, and how to go on."""
    from ops.first_light import bring_up_and_verify

    bring_up_and_verify(_context("dev"), "dev")


@app.command()
def up(stack: StackName = "dev") -> None:
    """Deploy a stack, or bring a stopped or damaged one back to what its description says."""
    from ops import deploy
    from ops.first_light import print_access

    context = _context("up")
    deploy.prepare(context, stack)
    print_access(deploy.up(context, stack).outputs, stack)


@app.command()
def preview(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Show what `up` would change; changes nothing."""
    from ops import deploy
    from ops.setup.machine import set_up

    context = _context("preview")
    context.stack(stack)
    set_up(context.home, context.progress)
    changes = deploy.preview(context, stack)
    if as_json:
        _print_json({"stack": stack, "counts": changes.counts, "changed": changes.drift})
        return
    for name, operation in sorted(changes.drift.items()):
        out.print(f"{operation:<20} {name}", markup=False)
    out.print(str(changes))


@app.command()
def env(as_json: AsJson = False) -> None:
    """Print the variables with which `pulumi` typed by hand works here: eval "$(./deploy-api.sh env)"."""
    from ops.environment import pulumi_environment, shell_exports

    variables = pulumi_environment(_context("env").home)
    if as_json:
        _print_json(variables)
    else:
        sys.stdout.write(shell_exports(variables) + "\n")


@app.command()
def status(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Show each part of a stack: its state, health and published port. Exit code 1 unless all are well."""
    from ops.status import stack_status, status_table

    found = stack_status(_context("status"), stack)
    if as_json:
        _print_json(found)
    elif not found["parts"]:
        raise OperatorError(f"stack {stack} is not deployed on this machine", f"./deploy-api.sh up {stack}")
    else:
        out.print(status_table(found))
    _exit(0 if found["healthy"] else 1)


@app.command()
def health(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Probe a stack: /health, /health/ready, the monitoring pages, and each container. Exit code 1 on a failure."""
    from ops.health import health_table, stack_health
    from ops.status import stack_status

    found = stack_status(_context("health"), stack)
    if not found["parts"] and not as_json:
        raise OperatorError(f"stack {stack} is not deployed on this machine", f"./deploy-api.sh up {stack}")
    result = stack_health(found)
    if as_json:
        _print_json(result)
    else:
        out.print(health_table(result))
    _exit(0 if result["healthy"] else 1)


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="Which part (api, executor, kafka, ...); all without it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    since: Annotated[str | None, typer.Option(help="Only what is younger: 90s, 10m, 2h, 1d.")] = None,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last lines of each part.")] = None,
    stack: StackOption = "dev",
) -> None:
    """Print what the containers of a stack write."""
    from ops import logs as container_logs
    from ops.docker_client import connect

    client = connect()
    if follow:
        client.api.timeout = None  # type: ignore[assignment]
    chosen = container_logs.choose(client, stack, part)
    width = max(map(len, chosen)) if len(chosen) > 1 else 0

    def write(name: str, line: str) -> None:
        sys.stdout.write(f"{name:<{width}} | {line}\n" if width else f"{line}\n")
        sys.stdout.flush()

    container_logs.show(chosen, write, follow, since, tail)


@app.command()
def migrate(stack: StackName = "dev") -> None:
    """Run the stack's migrations job once more and show its log; its exit code is the command's."""
    from ops.docker_client import connect
    from ops.locks import exclusive
    from ops.migrate import RUN_SECONDS
    from ops.migrate import migrate as run_migrations

    context = _context("migrate")
    context.home.make()
    lock = context.home.locks / f"stack-{stack}.lock"
    with exclusive(lock, f"changing stack {stack}", context.progress.say):
        code = run_migrations(connect(timeout=RUN_SECONDS), stack, lambda line: out.print(line, markup=False))
    context.progress.say(f"migrations of stack {stack} {'succeeded' if code == 0 else f'failed with exit code {code}'}")
    _exit(code)


@app.command()
def stop(stack: StackName = "dev") -> None:
    """Take the programs of a stack away and keep its data; `up` or `dev` brings them back."""
    from ops.docker_client import connect
    from ops.locks import exclusive
    from ops.stop import stop as stop_programs

    context = _context("stop")
    context.home.make()
    lock = context.home.locks / f"stack-{stack}.lock"
    alone = exclusive(lock, f"changing stack {stack}", context.progress.say)
    with alone, context.progress.task(f"Stopping stack {stack}") as report:
        stopped = stop_programs(connect(), stack, report)
    context.progress.say(f"stopped: {', '.join(stopped) or 'nothing was running'}; the data is kept")


@app.command()
def destroy(
    stack: StackName = "dev",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a stack with its data. Asks first."""
    from ops import deploy

    context = _context("destroy")
    context.home.make()
    if not yes:
        if not is_terminal():
            raise OperatorError(f"destroy deletes the data of stack {stack}, and nobody is here to agree", "add --yes")
        typed = typer.prompt(
            f"This deletes stack {stack} with all its data. Type the stack's name to go on", default=""
        )
        if typed != stack:
            raise OperatorError("nothing was deleted", f"type {stack} when asked, or add --yes")
    deploy.destroy(context, stack)
    context.progress.say(f"stack {stack} is gone")


@app.command()
def verify(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Check a live stack against the catalogue. Exit code 1 when a check fails."""
    from ops import verify as verification

    record = verification.verify(_context("verify"), stack)
    if as_json:
        _print_json(record)
    else:
        out.print(verification.verification_table(record))
        for line in [*verification.figure_lines(record), verification.summary_line(record)]:
            out.print(line, markup=False)
    _exit(0 if verification.passed(record) else 1)


@app.command()
def outputs(stack: StackName = "dev") -> None:
    """Print the outputs of a stack as JSON; secret ones are not shown."""
    _print_json(_context("outputs").live_outputs(stack))


@app.command()
def password(
    stack: StackName = "dev",
    show: Annotated[bool, typer.Option("--show", help="Print it though the output is not a terminal.")] = False,
) -> None:
    """Print the generated password of the stack's administrator."""
    if not show and not sys.stdout.isatty():
        raise OperatorError("the output is not a terminal, so a password might land in a file", "add --show")
    value = _context("password").live_outputs(stack, secrets=True).get("adminPassword")
    if not value:
        raise OperatorError(f"stack {stack} has no administrator's password", f"./deploy-api.sh up {stack}")
    sys.stdout.write(f"{value}\n")


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
    outcomes = testing.run_rings(_context("test"), rings, fail_fast)
    err.print()
    for line in testing.closing_lines(outcomes, rings):
        err.print(line, markup=False)
    _exit(1 if any(outcome.why for outcome in outcomes) or len(outcomes) < len(rings) else 0)


def _explain(reason: str, mend: str) -> None:
    err.print(f"error: {reason}\nmend:  {mend}", markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 well, 1 an explained failure, 2 wrong usage, 70 unexpected, 130
    interrupted."""
    signal.signal(signal.SIGTERM, _as_interrupt)
    _current.clear()
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        result = app(args=given, standalone_mode=False, prog_name="deploy-api.sh")
    except OperatorError as error:
        _explain(error.reason, error.mend)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001  # the last resort, which explains or records every failure
        return _report(error)
    if result == INTERRUPTED:
        err.print("interrupted; the command can be run again and goes on from here")
    return result if isinstance(result, int) else 0


def _as_interrupt(_number: int, _frame: object) -> None:
    """A polite end is an interrupt: what was begun is wound up the same way."""
    raise KeyboardInterrupt


def _report(error: Exception) -> int:
    """Failures of the other packages bring their own reason and mend; the rest is unexpected and goes to the log."""
    if (show := getattr(error, "show", None)) and (code := getattr(error, "exit_code", None)) is not None:
        show()
        return int(code)
    if (reason := getattr(error, "reason", None)) and (mend := getattr(error, "mend", None)):
        _explain(" ".join(str(reason).split()), " ".join(str(mend).split()))
        return 1
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        _explain(f"the disk is full ({error.filename or 'while writing'})", "free disk space and run the command again")
        return 1
    context = _context("unexpected")
    context.record.write("".join(traceback.format_exception(error)))
    text = " ".join(str(error).split())[:200]
    _explain(f"unexpected {type(error).__name__}: {text}", f"the full story is in {context.log}")
    return UNEXPECTED

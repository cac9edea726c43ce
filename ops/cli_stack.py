"""The commands that deploy, look at and take away one stack, on whatever it runs."""

import sys
from typing import Annotated

import typer

from ops.cli_common import AsJson, StackName, StackOption, app, context_of, exit_with, print_json
from ops.console import is_terminal, out
from ops.errors import OperatorError


@app.command()
def up(stack: StackName = "dev") -> None:
    """Deploy a stack, or bring a stopped or damaged one back to what its description says."""
    from ops import deploy
    from ops.first_light import print_access

    context = context_of("up")
    deploy.prepare(context, stack)
    print_access(deploy.up(context, stack).outputs, stack)


@app.command()
def preview(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Show what `up` would change; changes nothing."""
    from ops import deploy
    from ops.setup.machine import set_up

    context = context_of("preview")
    described = context.stack(stack)
    set_up(context.home, context.progress)
    if described.target == "kubernetes":
        from ops.preflight import check_cluster

        check_cluster(context, described)
    changes = deploy.preview(context, stack)
    if as_json:
        print_json({"stack": stack, "counts": changes.counts, "changed": changes.drift})
        return
    for name, operation in sorted(changes.drift.items()):
        out.print(f"{operation:<20} {name}", markup=False)
    out.print(str(changes))


@app.command()
def status(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Show each part of a stack: its state, health and published port. Exit code 1 unless all are well."""
    from ops.status import release_lines, stack_status, status_table

    found = stack_status(context_of("status"), stack)
    if as_json:
        print_json(found)
    elif not found["parts"]:
        raise OperatorError(f"stack {stack} is not deployed on this machine", f"./deploy-api.sh up {stack}")
    else:
        out.print(status_table(found))
        for line in release_lines(found):
            out.print(line, markup=False)
    exit_with(0 if found["healthy"] else 1)


@app.command()
def health(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Probe a stack: /health, /health/ready, the monitoring pages, and each container. Exit code 1 on a failure."""
    from ops.health import health_table, stack_health
    from ops.status import stack_status

    found = stack_status(context_of("health"), stack)
    if not found["parts"] and not as_json:
        raise OperatorError(f"stack {stack} is not deployed on this machine", f"./deploy-api.sh up {stack}")
    result = stack_health(found)
    if as_json:
        print_json(result)
    else:
        out.print(health_table(result))
    exit_with(0 if result["healthy"] else 1)


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="Which part (api, executor, kafka, ...); all without it.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    since: Annotated[str | None, typer.Option(help="Only what is younger: 90s, 10m, 2h, 1d.")] = None,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last lines of each part.")] = None,
    stack: StackOption = "dev",
) -> None:
    """Print what the containers of a stack write."""
    from ops.live import live_stack
    from ops.logs import show

    with live_stack(context_of("logs"), stack) as live:
        chosen = live.log_sources(part, follow)
        width = max(map(len, chosen)) if len(chosen) > 1 else 0

        def write(name: str, line: str) -> None:
            sys.stdout.write(f"{name:<{width}} | {line}\n" if width else f"{line}\n")
            sys.stdout.flush()

        show(chosen, write, follow, since, tail)


@app.command()
def migrate(stack: StackName = "dev") -> None:
    """Run the stack's migrations job once more and show its log; its exit code is the command's."""
    from ops.live import live_stack
    from ops.locks import exclusive
    from ops.migrate import RUN_SECONDS

    context = context_of("migrate")
    context.home.make()
    lock = context.home.locks / f"stack-{stack}.lock"
    alone = exclusive(lock, f"changing stack {stack}", context.progress.say)
    with alone, live_stack(context, stack, seconds=RUN_SECONDS) as live:
        code = live.migrate(lambda line: out.print(line, markup=False))
    context.progress.say(f"migrations of stack {stack} {'succeeded' if code == 0 else f'failed with exit code {code}'}")
    exit_with(code)


@app.command()
def stop(stack: StackName = "dev") -> None:
    """Take the programs of a stack away and keep its data; `up` or `dev` brings them back."""
    from ops.live import live_stack
    from ops.locks import exclusive

    context = context_of("stop")
    context.home.make()
    lock = context.home.locks / f"stack-{stack}.lock"
    alone = exclusive(lock, f"changing stack {stack}", context.progress.say)
    with alone, live_stack(context, stack) as live, context.progress.task(f"Stopping stack {stack}") as report:
        stopped = live.stop(report)
    context.progress.say(f"stopped: {', '.join(stopped) or 'nothing was running'}; the data is kept")


@app.command()
def destroy(
    stack: StackName = "dev",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Also the data that kubernetes.keepData would keep.")
    ] = False,
) -> None:
    """Delete a stack; with its data, unless its description keeps that (kubernetes.keepData). Asks first."""
    from ops import deploy

    context = context_of("destroy")
    context.home.make()
    keep_data = not with_data and deploy.keeps_data(context, stack)
    if not yes:
        deleted = "ends" if keep_data else "deletes the data of"
        if not is_terminal():
            raise OperatorError(f"destroy {deleted} stack {stack}, and nobody is here to agree", "add --yes")
        told = f"ends stack {stack}; its data stays" if keep_data else f"deletes stack {stack} with all its data"
        typed = typer.prompt(f"This {told}. Type the stack's name to go on", default="")
        if typed != stack:
            raise OperatorError("nothing was deleted", f"type {stack} when asked, or add --yes")
    deploy.destroy(context, stack, keep_data)
    if keep_data:
        context.progress.say(
            f"stack {stack} is gone and its data is kept: `up` uses it again, `destroy --with-data` ends it"
        )
    else:
        context.progress.say(f"stack {stack} is gone")


@app.command()
def verify(stack: StackName = "dev", as_json: AsJson = False) -> None:
    """Check a live stack against the catalogue. Exit code 1 when a check fails."""
    from ops import verify as verification

    record = verification.verify(context_of("verify"), stack)
    if as_json:
        print_json(record)
    else:
        out.print(verification.verification_table(record))
        for line in [*verification.figure_lines(record), verification.summary_line(record)]:
            out.print(line, markup=False)
    exit_with(0 if verification.passed(record) else 1)


@app.command()
def outputs(stack: StackName = "dev") -> None:
    """Print the outputs of a stack as JSON; secret ones are not shown."""
    print_json(context_of("outputs").live_outputs(stack))


@app.command()
def password(
    stack: StackName = "dev",
    show: Annotated[bool, typer.Option("--show", help="Print it though the output is not a terminal.")] = False,
) -> None:
    """Print the generated password of the stack's administrator."""
    if not show and not sys.stdout.isatty():
        raise OperatorError("the output is not a terminal, so a password might land in a file", "add --show")
    value = context_of("password").live_outputs(stack, secrets=True).get("adminPassword")
    if not value:
        raise OperatorError(f"stack {stack} has no administrator's password", f"./deploy-api.sh up {stack}")
    sys.stdout.write(f"{value}\n")

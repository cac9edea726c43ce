"""Bringing a stack up, showing what would change, and taking it away."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ops import fingerprint, leftovers
from ops.context import Context
from ops.docker_client import connect
from ops.errors import OperatorError
from ops.events import Changes
from ops.health import await_ready
from ops.locks import exclusive
from ops.setup.machine import set_up
from ops.setup.ports import check_ports


def prepare(context: Context, stack: str) -> None:
    """Refuses a wrong description, sets the machine up, and sees that the ports are free."""
    described = context.stack(stack)
    set_up(context.home, context.progress)
    check_ports(described.published_ports, context.published_by(stack), stack)


class Deployed(NamedTuple):
    """What a deployment did, and the outputs of the stack after it."""

    changes: Changes
    outputs: Mapping[str, Any]


def up(context: Context, stack: str) -> Deployed:
    """Deploys on a machine that is set up; heals what an earlier, cut-off run left, and what was changed by hand."""
    engine, progress = context.engine, context.progress
    with exclusive(context.home.locks / f"stack-{stack}.lock", f"changing stack {stack}", progress.say):
        with progress.task(f"Stack {stack}") as report:
            engine.ensure(stack)
            if engine.release_dead_lock(stack):
                report("released the lock of a process that is gone")
            leftovers.recover(engine, stack, report)
            client = connect()
            try:
                as_deployed = fingerprint.untouched(context.home, client, stack)
                fingerprint.forget(context.home, stack)
                changes = engine.up(stack, report, refresh=not as_deployed)
                fingerprint.record(context.home, client, stack)
            finally:
                client.close()
            outputs = engine.outputs(stack)
            await_ready(outputs.get("urls") or {}, report)
        progress.say(f"  {changes}")
        return Deployed(changes, outputs)


def preview(context: Context, stack: str) -> Changes:
    """What `up` would change."""
    with context.progress.task(f"Preview of stack {stack}") as report:
        context.engine.ensure(stack)
        return context.engine.preview(stack, report, refresh=True)


def destroy(context: Context, stack: str) -> None:
    """Deletes the stack, its data, and all that carries its label; leaves its description and the images."""
    engine, progress = context.engine, context.progress
    with exclusive(context.home.locks / f"stack-{stack}.lock", f"changing stack {stack}", progress.say):
        with progress.task(f"Destroying stack {stack}") as report:
            if engine.exists(stack):
                engine.release_dead_lock(stack)
                leftovers.recover(engine, stack, report, refuse_foreign=False)
                fingerprint.forget(context.home, stack)
                engine.destroy(stack, report)
                engine.remove(stack)
            client = connect()
            try:
                leftovers.remove(client, leftovers.find(client, stack), report)
                rest = leftovers.find(client, stack)
            finally:
                client.close()
        if rest.count:
            raise OperatorError(f"left over of stack {stack}: {rest}", "end what uses it and run the command again")

"""Bringing a stack up, showing what would change, and taking it away."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ops import fingerprint, secret_fingerprints
from ops.context import Context
from ops.errors import OperatorError
from ops.events import Changes
from ops.health import await_ready, probe_urls, trusting
from ops.live import live_stack
from ops.locks import exclusive
from ops.reports import record_preview
from ops.setup.machine import set_up
from ops.setup.ports import check_ports


def prepare(context: Context, stack: str) -> None:
    """Refuses a wrong description, sets the machine up, and sees that the ports are free or the cluster is fit."""
    described = context.stack(stack)
    set_up(context.home, context.progress)
    if described.target == "kubernetes":
        from ops.preflight import check_cluster

        check_cluster(context, described)
        return
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
            with live_stack(context, stack) as live:
                live.recover(engine, report)
                live.resume(report)
                as_deployed = fingerprint.untouched(context.home, live, stack)
                fingerprint.forget(context.home, stack)
                changes = engine.up(stack, report, refresh=not as_deployed)
                live.deployed(context.home)
                fingerprint.record(context.home, live, stack)
            secret_fingerprints.record(context, stack, changed=changes.total > 0)
            outputs = engine.outputs(stack)
            await_ready(probe_urls(outputs), report, trust=trusting(outputs))
        progress.say(f"  {changes}")
        return Deployed(changes, outputs)


def preview(context: Context, stack: str) -> Changes:
    """What `up` would change."""
    with context.progress.task(f"Preview of stack {stack}") as report:
        context.engine.ensure(stack)
        changes = context.engine.preview(stack, report, refresh=True)
    record_preview(context.home, stack, changes.steps)
    return changes


KEPT_WITH_DATA = ("**workflow:infra:Secrets$**", "**::authority", "**$kubernetes:core/v1:Namespace::namespace")
"""What the next `up` needs to take the data up again, as patterns of URNs: the passwords of its logins, the passphrase
of its backups, the authority that its clients trust, and the namespace that the volume claims are in."""


def keeps_data(context: Context, stack: str) -> bool:
    """Whether the stack's description says that its data outlives it."""
    described = context.stack(stack)
    return described.target == "kubernetes" and described.kubernetes.keep_data


def destroy(context: Context, stack: str, keep_data: bool = False) -> None:
    """Deletes the stack, its data, and all that carries its label; leaves its description and the images.

    With `keep_data` its volumes stay, and in the state what `up` needs to use them again.
    """
    engine, progress = context.engine, context.progress
    with exclusive(context.home.locks / f"stack-{stack}.lock", f"changing stack {stack}", progress.say):
        with progress.task(f"Destroying stack {stack}") as report, live_stack(context, stack) as live:
            if engine.exists(stack):
                engine.release_dead_lock(stack)
                live.recover(engine, report, refuse_foreign=False)
                fingerprint.forget(context.home, stack)
                engine.destroy(stack, report, keep=KEPT_WITH_DATA if keep_data else ())
                if not keep_data:
                    engine.remove(stack)
                    secret_fingerprints.forget(context, stack)
            rest = live.remove_leftovers(report, keep_data)
            if not keep_data:
                context.home.cluster(stack).unlink(missing_ok=True)
        if rest:
            raise OperatorError(f"left over of stack {stack}: {rest}", "end what uses it and run the command again")

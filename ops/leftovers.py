"""What a killed or interrupted `up` made but could not record, and what nobody's state knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from docker import DockerClient
from docker.errors import APIError, NotFound

from ops.console import Report
from ops.engine import Engine
from ops.errors import OperatorError
from ops.parts import STACK_LABEL


@dataclass(frozen=True)
class Leftovers:
    """Engine objects that carry the stack's label, by id (volumes by name), each with its name."""

    containers: dict[str, str]
    networks: dict[str, str]
    volumes: dict[str, str]

    @property
    def count(self) -> int:
        """How many there are in all."""
        return len(self.containers) + len(self.networks) + len(self.volumes)

    def __str__(self) -> str:
        return ", ".join(sorted([*self.containers.values(), *self.networks.values(), *self.volumes.values()]))


def find(client: DockerClient, stack: str) -> Leftovers:
    """All that carries the label of the stack."""
    label: dict[str, str | list[str] | bool] = {"label": f"{STACK_LABEL}={stack}"}
    return Leftovers(
        {str(c.id): str(c.name) for c in client.containers.list(all=True, filters=label, ignore_removed=True)},
        {str(n.id): str(n.name) for n in client.networks.list(filters=label)},
        {str(v.id): str(v.name) for v in client.volumes.list(filters=label)},
    )


def remove(client: DockerClient, what: Leftovers, report: Report) -> None:
    """Removes them, containers first. What is already gone is fine; a refusal is an OperatorError."""
    kinds: tuple[tuple[str, Mapping[str, str], Callable[[str], None]], ...] = (
        ("container", what.containers, lambda i: client.api.remove_container(i, force=True, v=True)),
        ("network", what.networks, client.api.remove_network),
        ("volume", what.volumes, client.api.remove_volume),
    )
    for kind, things, delete in kinds:
        for identity, name in things.items():
            report(f"removing {kind} {name}")
            try:
                delete(identity)
            except NotFound:
                continue
            except APIError as error:
                reason = f"the engine refused to remove {kind} {name}: {error.explanation}"
                raise OperatorError(reason, "end what uses it and run the command again") from error


def recover(engine: Engine, client: DockerClient, stack: str, report: Report, refuse_foreign: bool = True) -> None:
    """Makes a stack whose last operation was cut off ready for the next one.

    Its unrecorded containers and networks hold nothing (data is in volumes) and are in the way by name, so they go.
    Raises OperatorError when the engine has containers of a stack of that name that this state never knew.
    """
    state = engine.export(stack)
    recorded = {str(resource.get("id")) for resource in state.get("resources") or []}
    pending = state.get("pending_operations") or []
    found = find(client, stack)
    unknown = Leftovers(
        {i: name for i, name in found.containers.items() if i not in recorded},
        {i: name for i, name in found.networks.items() if i not in recorded},
        {},
    )
    if refuse_foreign and unknown.count and not state.get("resources") and not pending:
        raise OperatorError(
            f"the engine runs a stack {stack} that this machine's state does not know: {unknown}",
            f"set WORKFLOW_HOME to where it was deployed from, or delete it: ./deploy-api.sh destroy {stack}",
        )
    if pending:
        report("tidying up after an operation that was cut off")
        remove(client, unknown, report)
        engine.refresh(stack, report)

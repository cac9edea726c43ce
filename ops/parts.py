"""The parts of a live stack as the Docker engine shows them. Found by label, so any stack name will do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container

STACK_LABEL = "workflow.stack"
PART_LABEL = "workflow.part"
KIND_LABEL = "workflow.kind"

Inventory = Mapping[str, Mapping[str, Any]]
"""The stack output of that name: container, image, kind, uid and ports by part."""

Verdict = Literal["ok", "starting", "failed", "stopped", "absent"]


@dataclass(frozen=True)
class Part:
    """One container of a stack, or a part that should have one and has none (`state` is then `absent`)."""

    name: str
    container: str
    image: str
    kind: str
    state: str
    health: str | None = None
    exit_code: int | None = None
    restarts: int = 0
    started_at: str = ""
    ports: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """What the state means for this kind: a job is fine when it ended well, a program when it is healthy."""
        if self.state == "absent":
            return "absent"
        if self.kind == "job":
            if self.state == "running":
                return "starting"
            return "ok" if self.exit_code == 0 else "failed"
        if self.state in {"created", "restarting"} or self.health == "starting":
            return "starting"
        if self.state != "running":
            return "stopped" if self.exit_code in {0, 137, 143} else "failed"
        return "failed" if self.health == "unhealthy" else "ok"

    def as_json(self) -> dict[str, Any]:
        """The shape that `status --json` promises."""
        return {
            "part": self.name,
            "container": self.container,
            "image": self.image,
            "kind": self.kind,
            "state": self.state,
            "health": self.health,
            "verdict": self.verdict,
            "exitCode": self.exit_code,
            "restarts": self.restarts,
            "startedAt": self.started_at or None,
            "ports": self.ports,
        }


def containers(client: DockerClient, stack: str) -> dict[str, Container]:
    """The containers of a stack by part name, stopped ones too."""
    found: dict[str, Container] = {}
    for item in client.containers.list(all=True, filters={"label": f"{STACK_LABEL}={stack}"}, ignore_removed=True):
        found[item.labels.get(PART_LABEL) or item.name or item.id or "?"] = item
    return found


def live_parts(
    client: DockerClient, stack: str, inventory: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Part]:
    """All parts that exist or, by the stack's `inventory` output, should exist; ordered by name."""
    inventory = inventory or {}
    parts = {name: _part(name, item, inventory.get(name, {})) for name, item in containers(client, stack).items()}
    for name, wanted in inventory.items():
        if name not in parts and wanted.get("container"):
            parts[name] = _named(client, name, wanted)
    return [parts[name] for name in sorted(parts)]


def _named(client: DockerClient, name: str, wanted: Mapping[str, Any]) -> Part:
    try:
        return _part(name, client.containers.get(str(wanted["container"])), wanted)
    except NotFound:
        kind = str(wanted.get("kind", "service"))
        return Part(name, str(wanted["container"]), str(wanted.get("image", "")), kind, "absent")


def _part(name: str, item: Container, wanted: Mapping[str, Any]) -> Part:
    attributes = item.attrs
    state = attributes["State"]
    published = attributes.get("NetworkSettings", {}).get("Ports") or {}
    return Part(
        name=name,
        container=str(item.name),
        image=str(attributes["Config"]["Image"]),
        kind=str(item.labels.get(KIND_LABEL) or wanted.get("kind") or "service"),
        state=str(state["Status"]),
        # The engine keeps the last health of a container that no longer runs.
        health=state["Health"]["Status"] if state.get("Health") and state["Status"] == "running" else None,
        exit_code=None if state["Status"] in {"running", "created"} else int(state["ExitCode"]),
        restarts=int(attributes.get("RestartCount", 0)),
        started_at="" if state["StartedAt"].startswith("0001") else str(state["StartedAt"]),
        ports={inner: f"{b[0]['HostIp']}:{b[0]['HostPort']}" for inner, b in sorted(published.items()) if b},
    )

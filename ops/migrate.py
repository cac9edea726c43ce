"""Runs the migrations of a live stack once more, exactly as the stack runs them."""

import secrets
from collections.abc import Callable
from typing import Any

from docker import DockerClient

from ops.errors import OperatorError
from ops.logs import whole_lines
from ops.parts import STACK_LABEL, containers

PART = "migrations"
RUN_SECONDS = 600
_KEPT = ("Image", "Cmd", "Entrypoint", "Env", "User", "WorkingDir", "StopSignal")


def one_shot_config(attributes: dict[str, Any], stack: str) -> dict[str, Any]:
    """The configuration of a container that does what the inspected one did, in the form the engine takes."""
    config = {key: attributes["Config"][key] for key in _KEPT if attributes["Config"].get(key)}
    host = dict(attributes["HostConfig"])
    host.update({"AutoRemove": False, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "PortBindings": {}})
    networks: dict[str, dict[str, Any]] = {name: {} for name in attributes["NetworkSettings"]["Networks"]}
    return {
        **config,
        "Labels": {STACK_LABEL: stack, "workflow.part": f"{PART}-again", "workflow.kind": "job"},
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": networks},
    }


def migrate(client: DockerClient, stack: str, write: Callable[[str], None]) -> int:
    """Runs the job, its log given to `write` as it comes; returns its exit code and leaves no container behind."""
    job = containers(client, stack).get(PART)
    if job is None:
        raise OperatorError(f"stack {stack} has no {PART} job on this machine", f"./deploy-api.sh up {stack}")
    name = f"{job.name}-again-{secrets.token_hex(3)}"
    created = client.api.create_container_from_config(one_shot_config(job.attrs, stack), name)  # type: ignore[no-untyped-call]
    container = client.containers.get(created["Id"])
    try:
        container.start()
        for line in whole_lines(container.logs(stream=True, follow=True)):
            write(line)
        return int(container.wait(timeout=RUN_SECONDS)["StatusCode"])
    finally:
        container.remove(force=True)

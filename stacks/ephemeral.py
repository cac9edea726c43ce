"""Short-lived copies of a stack, with names and ports of their own, for tests on a real engine."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from stacks.load import config_file
from stacks.model import NODE_PORTS, PROJECT

PREFIX = "test-"


def ephemeral_name() -> str:
    """A stack name that no other test run uses."""
    return f"{PREFIX}{secrets.token_hex(3)}"


@contextmanager
def ephemeral_stack(project: Path, base: str = "dev", name: str | None = None, **overrides: Any) -> Iterator[str]:
    """Writes `Pulumi.<name>.yaml`, a copy of `base` that collides with nothing, and removes it at the end.

    `overrides` are config keys without their namespace, merged one level deep. The caller brings the stack up and down.
    """
    name = name or ephemeral_name()
    document = yaml.safe_load(config_file(base, project).read_text())
    config = document["config"]
    published = ("api", "prometheus", "alertmanager", "grafana", "kafka")
    own: dict[str, dict[str, Any]] = {
        part: {"publishedPort": port} for part, port in zip(published, _free_ports(len(published)), strict=True)
    }
    own["docker"] = {"prefix": f"{name}-", "network": f"{name}-network"}
    for key, value in [*own.items(), *overrides.items()]:
        merged = {**config.get(f"{PROJECT}:{key}", {}), **value} if isinstance(value, dict) else value
        config[f"{PROJECT}:{key}"] = merged
    path = config_file(name, project)
    path.write_text(yaml.safe_dump({"config": config}))
    try:
        yield name
    finally:
        path.unlink(missing_ok=True)


def free_node_ports(count: int) -> list[int]:
    """Ports of the range that a cluster publishes at its nodes, drawn by lot so that two stacks hardly meet."""
    return secrets.SystemRandom().sample(NODE_PORTS, count)


def _free_ports(count: int) -> list[int]:
    """Free ports of the loopback address, all different."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]

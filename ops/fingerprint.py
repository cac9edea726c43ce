"""Whether anything of a live stack was changed since its last deployment, told from the engine alone in a moment.

A refresh reads every resource through its provider and makes each `up` several seconds slower. It is only needed when
something was changed behind Pulumi's back, and that is what comparing two fingerprints tells.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from docker import DockerClient

from ops.home import Home
from ops.parts import STACK_LABEL

Attributes = Mapping[str, Any]


def fingerprint(containers: Iterable[Attributes], networks: Iterable[Attributes], volumes: Iterable[Attributes]) -> str:
    """A hash over what an operator can change of these, given as the engine's inspection shows them.

    What changes by itself (health, times, process numbers, addresses, who is connected to a network) is left out.
    """
    parts = {
        "containers": sorted(json.dumps(_container(each), sort_keys=True) for each in containers),
        "networks": sorted(
            json.dumps(
                {key: value for key, value in each.items() if key not in ("Containers", "Created")}, sort_keys=True
            )
            for each in networks
        ),
        "volumes": sorted(json.dumps(dict(each), sort_keys=True) for each in volumes),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def live_fingerprint(client: DockerClient, stack: str) -> str:
    """The fingerprint of all that carries the label of the stack."""
    label: dict[str, str | list[str] | bool] = {"label": f"{STACK_LABEL}={stack}"}
    return fingerprint(
        [each.attrs for each in client.containers.list(all=True, filters=label, ignore_removed=True)],
        [each.attrs for each in client.networks.list(filters=label)],
        [each.attrs for each in client.volumes.list(filters=label)],
    )


class Fingerprinted(Protocol):
    """A live stack, on whatever it runs."""

    def fingerprint(self) -> str:
        """Changes when somebody changes the stack by hand."""


def untouched(home: Home, live: Fingerprinted, stack: str) -> bool:
    """Whether the live stack is as its last `up` here left it."""
    recorded = home.fingerprint(stack)
    return recorded.exists() and recorded.read_text() == live.fingerprint()


def record(home: Home, live: Fingerprinted, stack: str) -> None:
    """Notes how the stack is now."""
    recorded = home.fingerprint(stack)
    recorded.parent.mkdir(mode=0o700, exist_ok=True)
    recorded.write_text(live.fingerprint())


def forget(home: Home, stack: str) -> None:
    """Notes that nothing is known of the stack."""
    home.fingerprint(stack).unlink(missing_ok=True)


def _container(attributes: Attributes) -> dict[str, Any]:
    state = attributes["State"]
    networks = attributes["NetworkSettings"]["Networks"]
    return {
        "id": attributes["Id"],
        "image": attributes["Image"],
        "config": attributes["Config"],
        "host": attributes["HostConfig"],
        "mounts": sorted(json.dumps(mount, sort_keys=True) for mount in attributes["Mounts"]),
        "networks": {name: sorted(network.get("Aliases") or []) for name, network in networks.items()},
        "state": [state["Status"], 0 if state["Status"] == "running" else state["ExitCode"]],
    }

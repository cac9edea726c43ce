"""What can be reached from outside, and by which ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from policies.view.pods import Pod
from policies.view.resources import Resource
from policies.view.values import Value

_INTERNAL_BALANCERS = {
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "networking.gke.io/load-balancer-type": "internal",
    "cloud.google.com/load-balancer-type": "internal",
}
"""Annotations by which the clouds' load balancers are told to stay inside."""


@dataclass(frozen=True)
class Opening:
    """One port that the outside reaches: its own number, and that of the program behind it."""

    where: Value
    number: float | None
    inner: str | None
    """The program's port, as a number or a name."""


def is_outside(address: str | None) -> bool:
    """Whether a port bound to this address of the machine is reached from outside; no address means all of them."""
    if not address:
        return True
    try:
        found = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address != "localhost"
    return found.is_unspecified or not (found.is_loopback or found.is_private or found.is_link_local)


def is_public(service: Resource) -> bool:
    """Whether a Service of a cluster is reached from outside. Raises NotKnownError."""
    spec = service.inputs["spec"]
    if spec["externalIPs"].items():
        return True
    kind = spec["type"].text()
    if kind == "LoadBalancer":
        notes = service.inputs.at("metadata", "annotations").entries()
        told = {name: (notes[name].text() or "").lower() for name in _INTERNAL_BALANCERS if name in notes}
        return not any(told[name] == inside for name, inside in _INTERNAL_BALANCERS.items() if name in told)
    return kind == "NodePort"


def openings_of_service(service: Resource) -> Iterator[Opening]:
    """The ports of a Service that the outside reaches. Raises NotKnownError."""
    if is_public(service):
        for port in service.inputs.at("spec", "ports").items():
            inner = port["targetPort"].text() if port["targetPort"].is_given else port["port"].text()
            yield Opening(port["port"], port["port"].number(), inner)


def openings_of_container(resource: Resource) -> Iterator[Opening]:
    """The ports of a Docker container that the outside reaches. Raises NotKnownError."""
    for port in resource.inputs["ports"].items():
        if is_outside(port["ip"].text()):
            where = port["external"] if port["external"].is_given else port["internal"]
            yield Opening(where, port["external"].number(), port["internal"].text())


def host_ports(pod: Pod) -> Iterator[Opening]:
    """The ports of the node that a pod takes for itself. Raises NotKnownError."""
    for container in pod.containers:
        for port in container.spec["ports"].items():
            if not port["hostPort"].is_absent and is_outside(port["hostIP"].text()):
                yield Opening(port["hostPort"], port["hostPort"].number(), port["containerPort"].text())

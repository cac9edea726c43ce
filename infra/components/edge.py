"""The proxy in front of the API."""

from collections.abc import Mapping
from pathlib import Path

import pulumi

from infra.edge.nginx_config import HEALTH_PORT, HTTP_PORT, HTTPS_PORT, render
from infra.endpoints import Placed
from infra.targets import Target
from infra.trust import AUTHORITY_FILE, CERTIFICATE_FILE, IDENTITY_FILES, KEY_FILE, Trust
from infra.workload import WORLD, Health, HttpCheck, Kind, Port, Workload, http_probe
from stacks.errors import StackError
from stacks.model import Stack
from stacks.parts.edge import Edge, EdgeCertificate

ORDERED_SECRET = "edge-public-certificate"  # noqa: S105 - a name
"""Where cert-manager puts the certificate it was asked for."""

DRAIN_SECONDS = 8
"""How long a leaving replica takes connections: until every node knows that it is leaving."""


class EdgeProxy(pulumi.ComponentResource):
    """nginx: the only way in from outside."""

    def __init__(self, stack: Stack, edge: Edge, target: Target, image: str, trust: Trust, api: Placed) -> None:
        super().__init__("workflow:infra:EdgeProxy", "edge-proxy")
        ordered = edge.certificate.source == "cert-manager"
        if ordered:
            self._order(edge, target)
        self.placed = target.place(
            Workload(
                part="edge",
                image=image,
                kind=Kind.SERVICE,
                resources=edge.resources,
                config_files={"nginx.conf": render(edge, api_port=stack.api.port, api_prefix=stack.api.prefix)},
                secret_files=self._identity(stack, edge, trust),
                foreign_secrets={ORDERED_SECRET: {CERTIFICATE_FILE: CERTIFICATE_FILE, KEY_FILE: KEY_FILE}}
                if ordered
                else {},
                # nginx.conf too is read again, but whoever switches maintenance on wants to know when it is.
                rereads=IDENTITY_FILES,
                ports=[
                    Port(HTTPS_PORT, edge.published_port, peers=[WORLD], service=443),
                    Port(HTTP_PORT, edge.published_http_port, peers=[WORLD], service=80),
                    Port(HEALTH_PORT, peers=["prometheus"]),
                ],
                health=Health(
                    http_probe(HEALTH_PORT, "/edge/health"), edge.health, probe=HttpCheck(HEALTH_PORT, "/edge/health")
                ),
                stop_signal="SIGQUIT",
                stop_seconds=edge.answer_seconds + 5,
                drain_seconds=DRAIN_SECONDS,
                replicas=edge.replicas,
                exposure=edge.service_type,
            ),
            parent=self,
            needs=[api.resource],
        )
        self.register_outputs({})

    def _order(self, edge: Edge, target: Target) -> None:
        # Imported here: a stack on Docker must not pay a second for the SDK of a target it does not use.
        from infra.targets.kubernetes.target import KubernetesTarget

        if not isinstance(target, KubernetesTarget):
            raise TypeError("cert-manager lives in a cluster, so the description must have been refused")
        target.custom(
            ORDERED_SECRET, "cert-manager.io/v1", "Certificate", certificate_order(edge.hosts, edge.certificate), self
        )

    def _identity(self, stack: Stack, edge: Edge, trust: Trust) -> Mapping[str, pulumi.Input[str]]:
        if edge.certificate.source == "stack":
            return trust.identity("edge", edge.hosts)
        if trust.authority is None:
            raise TypeError("the API is trusted by the stack's authority, so the description must have been refused")
        known: dict[str, pulumi.Input[str]] = {AUTHORITY_FILE: trust.authority}
        if edge.certificate.source == "files":
            known[CERTIFICATE_FILE] = _read(stack, "certificate", edge.certificate.certificate)
            known[KEY_FILE] = pulumi.Output.secret(_read(stack, "key", edge.certificate.key))
        return known


def certificate_order(hosts: tuple[str, ...], certificate: EdgeCertificate) -> dict[str, object]:
    """What cert-manager is asked for: a certificate like the stack's own, renewed by cert-manager itself."""
    return {
        "secretName": ORDERED_SECRET,
        "commonName": hosts[0],
        "dnsNames": list(hosts),
        "privateKey": {"algorithm": "ECDSA", "size": 256, "encoding": "PKCS8", "rotationPolicy": "Always"},
        "issuerRef": {"name": certificate.issuer, "kind": certificate.issuer_kind, "group": "cert-manager.io"},
    }


def _read(stack: Stack, key: str, path: str | None) -> str:
    try:
        return Path(path or "").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not PEM text"
        raise StackError(
            stack.name, [f"workflow-platform:edge.certificate.{key} is {path}, which cannot be read: {reason}"]
        ) from None

"""What every cluster brings besides Kubernetes itself: DNS, figures of use, storage. Applied at each start."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

from airgap.node.api import Api, condition
from airgap.node.layout import CLUSTER_DOMAIN, DNS_SERVICE_ADDRESS, NODE_NAME, Node

_MANIFESTS = Path(__file__).parent / "manifests"
DEPLOYMENTS = {
    "CoreDNS": ("kube-system", "coredns"),
    "metrics-server": ("kube-system", "metrics-server"),
    "storage class local-path": ("local-path-storage", "local-path-provisioner"),
}


def render(node: Node, references: Mapping[str, str], resolver: str) -> str:
    """All manifests with this node's images and certificates; `resolver` is the resolv.conf of pods."""
    certificate = (node.pki / "metrics-server.crt").read_bytes()
    values = {f"IMAGE_{name.upper().replace('-', '_')}": reference for name, reference in references.items()}
    values |= {
        "CLUSTER_DOMAIN": CLUSTER_DOMAIN,
        "DNS_SERVICE_ADDRESS": DNS_SERVICE_ADDRESS,
        # Without a server to ask, names of the outside are refused at once instead of being asked for in vain.
        "FORWARD": "forward . /etc/resolv.conf" if "nameserver" in resolver else "# no server outside the cluster",
        "VOLUMES": str(node.volumes),
        "AUTHORITY": b64encode((node.pki / "ca.crt").read_bytes()).decode(),
        "METRICS_CERTIFICATE": b64encode(certificate).decode(),
        "METRICS_CERTIFICATE_HASH": hashlib.sha256(certificate).hexdigest()[:16],
        "METRICS_KEY": b64encode((node.pki / "metrics-server.key").read_bytes()).decode(),
    }
    texts = []
    for path in sorted(_MANIFESTS.glob("*.yaml")):
        # Shell variables of the scripts in there are written `$NAME`; ours are `${NAME}` and all of them are known.
        text = path.read_text()
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        if unknown := re.findall(r"\$\{(\w+)\}", text):
            raise ValueError(f"{path.name} names {unknown}, which nothing gives")
        texts.append(text)
    return "---\n".join(texts)


def readiness(api: Api) -> dict[str, bool]:
    """What of the cluster works, by the name that people know it by."""
    found = {f"node {NODE_NAME}": condition(api.get(f"/api/v1/nodes/{NODE_NAME}"), "Ready")}
    for name, (namespace, deployment) in DEPLOYMENTS.items():
        document = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
        found[name] = _is_rolled_out(document)
    measured = api.get("/apis/metrics.k8s.io/v1beta1/nodes")
    found["metrics-server"] = found["metrics-server"] and bool(isinstance(measured, dict) and measured["items"])
    return found


def _is_rolled_out(deployment: object) -> bool:
    if not isinstance(deployment, dict):
        return False
    status = deployment["status"]
    return (
        condition(deployment, "Available")
        and status.get("observedGeneration") == deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == deployment["spec"]["replicas"]
        and status.get("availableReplicas", 0) >= deployment["spec"]["replicas"]
    )

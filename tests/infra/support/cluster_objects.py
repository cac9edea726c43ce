"""The objects of one stack on a cluster, by part."""

import base64
from collections.abc import Iterable

from ops.kube import Api, Thing
from tests.infra.support import pod_facts
from tests.infra.support.pod_facts import Pod, Spec
from tests.infra.support.stack_outputs import StackOutputs

PART = "workflow.part"
SILENCE_SECONDS = 30.0
"""Between two pieces of a text."""

CARRIERS = {
    "service": ("/apis/apps/v1", "deployments"),
    "daemon": ("/apis/apps/v1", "daemonsets"),
    "stateful": ("/apis/apps/v1", "statefulsets"),
    "job": ("/apis/batch/v1", "jobs"),
    "schedule": ("/apis/batch/v1", "cronjobs"),
}
DESCRIBED = (
    ("/api/v1", "pods"),
    ("/api/v1", "configmaps"),
    ("/api/v1", "services"),
    ("/api/v1", "serviceaccounts"),
    ("/api/v1", "persistentvolumeclaims"),
    ("/api/v1", "events"),
    *CARRIERS.values(),
    ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    ("/apis/networking.k8s.io/v1", "networkpolicies"),
)
"""What who may look at a namespace but not at its secrets can read."""


class ClusterObjects:
    """Everything in the stack's namespace, read anew at each call."""

    def __init__(self, api: Api, outputs: StackOutputs) -> None:
        self.api = api
        self.namespace = outputs.network
        self._inventory = outputs.inventory

    def path(self, group: str, plural: str, name: str = "") -> str:
        """The API's path of a list in the namespace, or of one object."""
        return f"{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def items(self, group: str, plural: str, selector: str = "") -> list[Thing]:
        """All objects of a kind in the namespace."""
        return self.api.items(self.path(group, plural), selector)

    def find(self, group: str, plural: str, name: str) -> Thing | None:
        """One object of the namespace, or None."""
        return self.api.find(self.path(group, plural, name))

    def carrier(self, part: str) -> Thing:
        """The Deployment, DaemonSet, StatefulSet, Job or CronJob of a part."""
        deployed = self._inventory[part]
        return self.api.get(self.path(*CARRIERS[deployed.kind], deployed.object))

    def pods(self, part: str) -> list[Pod]:
        """The pods of a part that are not about to end, by name. Of a job: those of the job that is deployed now."""
        deployed = self._inventory[part]
        selector = f"{PART}={part}" + (f",job-name={deployed.object}" if deployed.kind == "job" else "")
        found = self.items("/api/v1", "pods", selector)
        staying = [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
        return sorted(staying, key=lambda pod: str(pod["metadata"]["name"]))

    def all_pods(self) -> list[Pod]:
        """Every pod of the namespace."""
        return self.items("/api/v1", "pods")

    def specs(self, part: str) -> list[Spec]:
        """How the containers of a part are made: as its pods are, or as its template says where none is there now."""
        if pods := self.pods(part):
            return [pod["spec"] for pod in pods]
        spec = self.carrier(part)["spec"]
        spec = spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec
        return [spec["template"]["spec"]]

    def secrets(self, part: str) -> dict[str, str]:
        """The secret files of a part by name; certificates, which are public, are left out."""
        data = self.all_files(part)
        return {name: text.strip() for name, text in data.items() if "BEGIN CERTIFICATE" not in text}

    def all_files(self, part: str) -> dict[str, str]:
        """The secret files of a part by name, certificates too."""
        found = self.find("/api/v1", "secrets", f"{part}-secrets") or {}
        return {name: base64.b64decode(text).decode() for name, text in (found.get("data") or {}).items()}

    def claims(self) -> dict[str, Thing]:
        """The namespace's volume claims by name."""
        return {str(each["metadata"]["name"]): each for each in self.items("/api/v1", "persistentvolumeclaims")}

    def described(self) -> Iterable[tuple[str, Thing]]:
        """Everything of the stack that is readable without a right on secrets, each with a name for people."""
        for group, plural in DESCRIBED:
            for each in self.items(group, plural):
                yield f"{plural} {each['metadata']['name']}", each


def text(api: Api, path: str) -> str:
    """A text of the cluster's API, for instance a pod's log. Raises ClusterRefusalError."""
    return b"".join(api.lines(path, SILENCE_SECONDS)).decode(errors="replace")


def told_by_pod(pods: Iterable[Pod], faults: Iterable[list[str]]) -> list[str]:
    """Faults of several pods, each with its pod's name."""
    return [f"{pod['metadata']['name']}: {fault}" for pod, found in zip(pods, faults, strict=True) for fault in found]


def replica_numbers(carrier: Thing) -> tuple[int, int, int]:
    """How many replicas there should be, how many are ready, and how many are as described."""
    status = carrier.get("status") or {}
    if "desiredNumberScheduled" in status:  # a daemon's controller says how many nodes want one
        names = ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled")
        wanted, ready, updated = (int(status.get(name) or 0) for name in names)
        return wanted, ready, updated
    wanted = int(carrier["spec"].get("replicas", 1))
    return wanted, int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0)


def container_id(pod: Pod) -> str:
    """What identifies the present run of a pod's container."""
    return next((str(each.get("containerID")) for each in pod["status"].get("containerStatuses") or ()), "")


def image_digest(pod: Pod) -> str:
    """The digest of the image that a pod's container really runs."""
    ids = [str(each.get("imageID") or "") for each in pod["status"].get("containerStatuses") or ()]
    return ids[0].rpartition("@")[2] if ids else ""


def main_port(spec: Spec) -> int:
    """The first declared port of a pod's container. Raises IndexError when there is none."""
    ports = pod_facts.container(spec).get("ports") or []
    return int(ports[0]["containerPort"])

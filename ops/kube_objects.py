"""Which objects a stack has on a cluster, how they are found, and what tells that one was changed."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ops.kube import Api, Thing
from ops.parts import STACK_LABEL

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "pulumi"

_NOT_BY_HAND = (
    "deployment.kubernetes.io/",
    "deprecated.daemonset.template.generation",
    "autoscaling.alpha.kubernetes.io/",
    "kubectl.kubernetes.io/last-applied",
)


class Collection(NamedTuple):
    """One kind of object: its name for people, its group and version, and its plural in paths."""

    kind: str
    group: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "") -> str:
        """Where the API lists them."""
        root = f"/api/{self.group}" if "/" not in self.group else f"/apis/{self.group}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if self.namespaced else f"{root}/{self.plural}"


DEPLOYMENT = Collection("Deployment", "apps/v1", "deployments")
DAEMON_SET = Collection("DaemonSet", "apps/v1", "daemonsets")
STATEFUL_SET = Collection("StatefulSet", "apps/v1", "statefulsets")
JOB = Collection("Job", "batch/v1", "jobs")
CRON_JOB = Collection("CronJob", "batch/v1", "cronjobs")
SECRET = Collection("Secret", "v1", "secrets")
CLAIM = Collection("PersistentVolumeClaim", "v1", "persistentvolumeclaims")
VOLUME = Collection("PersistentVolume", "v1", "persistentvolumes", namespaced=False)
POD = Collection("Pod", "v1", "pods")
NAMESPACE = Collection("Namespace", "v1", "namespaces", namespaced=False)
NODE = Collection("Node", "v1", "nodes", namespaced=False)
AUTOSCALER = Collection("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers")

MANAGED = (
    DEPLOYMENT,
    DAEMON_SET,
    STATEFUL_SET,
    JOB,
    CRON_JOB,
    AUTOSCALER,
    Collection("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Collection("Service", "v1", "services"),
    Collection("ConfigMap", "v1", "configmaps"),
    SECRET,
    Collection("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Collection("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
    Collection("Role", "rbac.authorization.k8s.io/v1", "roles"),
    Collection("ServiceAccount", "v1", "serviceaccounts"),
    Collection("LimitRange", "v1", "limitranges"),
    Collection("ResourceQuota", "v1", "resourcequotas"),
    Collection("Certificate", "cert-manager.io/v1", "certificates"),
    Collection("PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", namespaced=False),
)
"""All kinds that a stack is made of, but its namespace; what uses something comes before what it uses."""


def selector(stack: str) -> str:
    """The labels of everything that Pulumi made for a stack, and of nothing that a program made by itself."""
    return f"{STACK_LABEL}={stack},{MANAGED_BY}={MANAGER}"


def managed(api: Api, stack: str, namespace: str) -> Iterator[tuple[Collection, Thing]]:
    """Every object that Pulumi made for the stack, its namespace last. Of secrets only the metadata is read."""
    for collection in MANAGED:
        path = collection.path(namespace)
        for thing in api.items(path, selector(stack), metadata_only=collection is SECRET):
            yield collection, thing
    found = api.find(f"{NAMESPACE.path()}/{namespace}")
    if found and is_ours(found, stack):
        yield NAMESPACE, found


def is_ours(thing: Thing, stack: str) -> bool:
    """Whether the labels say that Pulumi made it for this stack."""
    labels = thing["metadata"].get("labels") or {}
    return labels.get(STACK_LABEL) == stack and labels.get(MANAGED_BY) == MANAGER


def address(collection: Collection, thing: Thing) -> str:
    """Kind and name, for people."""
    return f"{collection.kind} {thing['metadata']['name']}"


def fingerprint(things: Iterable[tuple[Collection, Thing]]) -> str:
    """A hash over what somebody can change of these objects.

    What the cluster changes by itself is left out: status, versions, who wrote what, and the number of replicas where
    an autoscaler holds it. Of a secret its version speaks, so that its content need not be read.
    """
    known = list(things)
    scaled = {each["spec"]["scaleTargetRef"]["name"] for kind, each in known if kind is AUTOSCALER}
    told = sorted(json.dumps(_told(kind, each, scaled), sort_keys=True) for kind, each in known)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _told(collection: Collection, thing: Thing, scaled: set[str]) -> Thing:
    data = thing["metadata"]
    annotations = {k: v for k, v in (data.get("annotations") or {}).items() if not k.startswith(_NOT_BY_HAND)}
    body = {key: value for key, value in thing.items() if key not in {"metadata", "status", "kind", "apiVersion"}}
    if collection is DEPLOYMENT and data["name"] in scaled:
        body["spec"] = {key: value for key, value in body["spec"].items() if key != "replicas"}
    return {
        "kind": collection.kind,
        "uid": data["uid"],
        "labels": data.get("labels") or {},
        "annotations": annotations,
        "version": data["resourceVersion"] if collection is SECRET else "",
        "body": body,
    }

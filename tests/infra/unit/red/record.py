"""Records what the checks of a production stack read: `python -m tests.infra.unit.red.record NAMESPACE`.

Only reads, with the user's kubeconfig, and keeps of each object what some check looks at. No secret is read; times and
the addresses of machines are left out. What is recorded has to be a stack on which the checks pass.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

from ops.home import Home
from ops.kube import Api, Thing, connect
from tests.infra.support.cluster_objects import PART

CONTAINER = ("name", "image", "env", "ports", "livenessProbe", "readinessProbe")
STATE = ("name", "containerID", "restartCount")
POD_SPEC = ("serviceAccountName", "priorityClassName", "topologySpreadConstraints", "affinity")
LABELS = (PART, "workflow.kind", "role", "job-name", "app.kubernetes.io/name", "kubernetes.io/service-name")
LISTS = {
    "/api/v1": ("pods", "services", "resourcequotas", "limitranges"),
    "/apis/apps/v1": ("deployments", "statefulsets"),
    "/apis/autoscaling/v2": ("horizontalpodautoscalers",),
    "/apis/batch/v1": ("jobs", "cronjobs"),
    "/apis/discovery.k8s.io/v1": ("endpointslices",),
    "/apis/networking.k8s.io/v1": ("networkpolicies",),
    "/apis/policy/v1": ("poddisruptionbudgets",),
    "/apis/rbac.authorization.k8s.io/v1": ("roles", "rolebindings"),
}
WITHOUT_PODS = {"job", "schedule"}
"""Kinds of parts whose pods come and go; what carries them is recorded."""


def chosen(document: Thing, names: Iterable[str]) -> Thing:
    """Only these entries."""
    return {name: document[name] for name in names if name in document}


def pod_spec(spec: Thing) -> Thing:
    """What the checks look at in how a pod is made."""
    containers = []
    for each in spec["containers"]:
        kept = chosen(each, CONTAINER)
        kept["env"] = [entry for entry in each.get("env") or () if "value" in entry]
        containers.append(kept)
    return {**chosen(spec, POD_SPEC), "containers": containers}


def conditions(status: Thing) -> list[Thing]:
    """Kinds and answers, without times and words."""
    return [chosen(each, ("type", "status")) for each in status.get("conditions") or ()]


def carrier_spec(spec: Thing) -> Thing:
    """Replicas, strategy and template of what carries a part."""
    kept = chosen(spec, ("replicas", "strategy", "schedule", "suspend"))
    if "template" in spec:
        kept["template"] = {"spec": pod_spec(spec["template"]["spec"])}
    if "jobTemplate" in spec:
        template = spec["jobTemplate"]["spec"]["template"]
        kept["jobTemplate"] = {"spec": {"template": {"spec": pod_spec(template["spec"])}}}
    return kept


def kept(plural: str, document: Thing) -> Thing:
    """What the checks look at in an object of this kind."""
    metadata = document["metadata"]
    found: Thing = {"metadata": {"name": metadata["name"]}}
    if labels := chosen(metadata.get("labels") or {}, LABELS):
        found["metadata"]["labels"] = labels
    spec, status = document.get("spec") or {}, document.get("status") or {}
    match plural:
        case "pods":
            states = [chosen(each, STATE) for each in status["containerStatuses"]]
            told = {"podIP": status["podIP"], "conditions": conditions(status), "containerStatuses": states}
            found |= {"spec": pod_spec(spec), "status": told}
        case "deployments" | "statefulsets" | "cronjobs" | "jobs":
            found |= {"spec": carrier_spec(spec), "status": {"conditions": conditions(status)}}
        case "services":
            found["spec"] = chosen(spec, ("type", "ports", "externalIPs"))
        case "resourcequotas":
            found["status"] = chosen(status, ("hard", "used"))
        case "poddisruptionbudgets":
            found["status"] = chosen(status, ("currentHealthy", "desiredHealthy"))
        case "horizontalpodautoscalers":
            found["spec"] = chosen(spec, ("minReplicas", "maxReplicas"))
            found["status"] = {**chosen(status, ("currentReplicas",)), "conditions": conditions(status)}
        case "endpointslices":
            ends = document.get("endpoints") or ()
            found["endpoints"] = [chosen(each, ("addresses", "conditions")) for each in ends]
        case "roles" | "rolebindings":
            found |= chosen(document, ("rules", "roleRef"))
        case _:
            found["spec"] = spec
    return found


def worth(plural: str, document: Thing) -> bool:
    """Whether a check would miss the object: of the pods those that serve now, and no job that a schedule has made."""
    labels = document["metadata"].get("labels") or {}
    if plural == "pods":
        ready = {each["type"]: each["status"] for each in document["status"].get("conditions") or ()}.get("Ready")
        gone = document["metadata"].get("deletionTimestamp")
        return ready == "True" and not gone and labels.get("workflow.kind") not in WITHOUT_PODS
    if plural == "jobs":
        return labels.get("workflow.kind") == "job"
    if plural == "endpointslices":
        return labels.get("kubernetes.io/service-name") == "api"
    return True


def node(document: Thing) -> Thing:
    """A node without its addresses."""
    status = {"conditions": conditions(document["status"])}
    return {"metadata": {"name": document["metadata"]["name"]}, "status": status}


def recorded(api: Api, namespace: str) -> dict[str, Any]:
    """Lists and single objects by the API's paths."""
    lists: dict[str, list[Thing]] = {"/api/v1/nodes": [node(each) for each in api.items("/api/v1/nodes")]}
    for group, plurals in LISTS.items():
        for plural in plurals:
            path = f"{group}/namespaces/{namespace}/{plural}"
            lists[path] = [kept(plural, each) for each in api.items(path) if worth(plural, each)]
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    lists[bindings] = [
        {"metadata": {"name": each["metadata"]["name"]}, **chosen(each, ("roleRef", "subjects"))}
        for each in api.items(bindings)
        if any(subject.get("namespace") == namespace for subject in each.get("subjects") or ())
    ]
    found = api.get(f"/api/v1/namespaces/{namespace}")
    enforced = {name: value for name, value in found["metadata"]["labels"].items() if "pod-security" in name}
    objects: dict[str, Thing] = {
        "/version": chosen(api.get("/version"), ("gitVersion",)),
        f"/api/v1/namespaces/{namespace}": {"metadata": {"name": namespace, "labels": enforced}},
    }
    for each in lists["/api/v1/nodes"]:
        path = f"/api/v1/nodes/{each['metadata']['name']}/proxy/configz"
        logs = chosen(api.get(path)["kubeletconfig"], ("containerLogMaxSize", "containerLogMaxFiles"))
        objects[path] = {"kubeletconfig": logs}
    return {"lists": lists, "objects": objects}


def written(recording: Thing) -> str:
    """As JSON, one object a line."""
    separator = ",\n"
    lists = [
        f"{json.dumps(path)}: [\n" + separator.join(json.dumps(each, sort_keys=True) for each in things) + "\n]"
        for path, things in sorted(recording["lists"].items())
    ]
    objects = [f"{json.dumps(path)}: {json.dumps(each)}" for path, each in sorted(recording["objects"].items())]
    return f'{{"lists": {{\n{separator.join(lists)}\n}},\n"objects": {{\n{separator.join(objects)}\n}}}}\n'


if __name__ == "__main__":
    sys.stdout.write(written(recorded(connect(Home.of(), None), sys.argv[1])))

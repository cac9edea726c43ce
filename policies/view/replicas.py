"""How many replicas of a program there are, and who decides it."""

from __future__ import annotations

from policies.view.deployment import Deployment
from policies.view.pods import Pod
from policies.view.resources import Resource, Snapshot
from policies.view.selectors import namespace_of
from policies.view.values import Value


def autoscaler_of(snapshot: Snapshot, resource: Resource) -> Resource | None:
    """The autoscaler that changes the number of a resource's replicas. Raises NotKnownError."""
    for each in snapshot.of("HorizontalPodAutoscaler"):
        target = each.inputs.at("spec", "scaleTargetRef")
        meant = target["kind"].text() == resource.kind and target["name"].text() == resource.object_name.text()
        if meant and namespace_of(each) == namespace_of(resource):
            return each
    return None


def least_replicas(snapshot: Snapshot, resource: Resource) -> tuple[Value, float]:
    """The fewest replicas, and the field that says so; the cluster's own default is 1. Raises NotKnownError."""
    scaler = autoscaler_of(snapshot, resource)
    said = scaler.inputs.at("spec", "minReplicas") if scaler else resource.inputs.at("spec", "replicas")
    number = said.number()
    return said, 1 if number is None else number


def most_replicas(deployment: Deployment, pod: Pod) -> float:
    """The most replicas that autoscaling and a rollout bring; one where the machines decide. Raises NotKnownError."""
    spec = pod.resource.inputs["spec"]
    scaler = autoscaler_of(deployment, pod.resource)
    told = (scaler.inputs.at("spec", "maxReplicas") if scaler else spec["replicas"]).number()
    surge = spec.at("strategy", "rollingUpdate", "maxSurge").number() or 0 if pod.kind == "Deployment" else 0
    return (1 if told is None else told) + surge

"""How many of a program there can be at a time, and what they may take together."""

from __future__ import annotations

from math import ceil

from policies.view.pods import Container, Pod
from policies.view.resources import Snapshot
from policies.view.values import Value

KUBERNETES_SURGE = "25%"
"""How many more a rolling update starts where nothing is said: Kubernetes' own default."""


def most_replicas(snapshot: Snapshot, pod: Pod) -> int:
    """The most that may be described or scaled to, without those of a rolling update. Raises NotKnownError.

    Of a DaemonSet it is one, for nobody knows the nodes here.
    """
    if pod.target != "kubernetes" or pod.kind not in ("Deployment", "StatefulSet", "ReplicaSet"):
        return 1
    scaled = [
        int(each.inputs.at("spec", "maxReplicas").number() or 0)
        for each in snapshot.of("HorizontalPodAutoscaler")
        if _is_scaled_by(pod, each.inputs.at("spec", "scaleTargetRef"))
    ]
    described = pod.resource.inputs.at("spec", "replicas").number()
    return max([1 if described is None else int(described), *scaled])


def surge(pod: Pod, replicas: int) -> int:
    """How many more there are in a rolling update. Raises NotKnownError."""
    if pod.target != "kubernetes" or pod.kind != "Deployment":
        return 0
    strategy = pod.resource.inputs.at("spec", "strategy")
    if strategy["type"].text() == "Recreate":
        return 0
    given = strategy.at("rollingUpdate", "maxSurge").text() or KUBERNETES_SURGE
    return ceil(replicas * float(given[:-1]) / 100) if given.endswith("%") else int(float(given))


def most_instances(snapshot: Snapshot, pod: Pod) -> int:
    """The most that can be there at a time. Raises NotKnownError."""
    replicas = most_replicas(snapshot, pod)
    return replicas + surge(pod, replicas)


def memory_of(pod: Pod) -> float:
    """The memory, in MiB, that one of it may take at most; 0 where it is not limited. Raises NotKnownError."""
    return _most_of([each.memory_limit for each in pod.main], [each.memory_limit for each in _first(pod)])


def cores_of(pod: Pod) -> float:
    """The cores that one of it may take at most; 0 where they are not limited. Raises NotKnownError."""
    return _most_of([each.cpu_limit for each in pod.main], [each.cpu_limit for each in _first(pod)])


def _first(pod: Pod) -> list[Container]:
    return [each for each in pod.containers if each.role == "init"]


def _most_of(together: list[Value], one_by_one: list[Value]) -> float:
    """Containers run side by side, those before them one after the other."""
    return max([sum(each.number() or 0 for each in together), *(each.number() or 0 for each in one_by_one)])


def _is_scaled_by(pod: Pod, target: Value) -> bool:
    return target["kind"].text() == pod.kind and target["name"].text() == pod.resource.object_name.text()

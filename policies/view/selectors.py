"""Which pods the selectors of services, policies and budgets mean."""

from __future__ import annotations

from collections.abc import Mapping

from policies.view.pods import Pod
from policies.view.resources import Resource
from policies.view.values import Value

Labels = Mapping[str, str]


def namespace_of(resource: Resource) -> str:
    """The namespace that an object names; empty for that of its provider. Raises NotKnownError."""
    return resource.inputs.at("metadata", "namespace").text() or ""


def labels_of(pod: Pod) -> Labels:
    """The labels that a pod is made with. Raises NotKnownError."""
    return {name: value.text() or "" for name, value in pod.metadata["labels"].entries().items()}


def matches(selector: Value, labels: Labels) -> bool:
    """Whether a label selector means such a pod; an empty one means every pod. Raises NotKnownError."""
    for name, value in selector["matchLabels"].entries().items():
        if labels.get(name) != value.text():
            return False
    return all(_holds(each, labels) for each in selector["matchExpressions"].items())


def selects(service: Resource, pod: Pod) -> bool:
    """Whether a service may lead to a pod: it has none of the asked labels with another value.

    Labels that the pod does not have from the start may be given to it later, such as the role of a database's member.
    """
    asked = service.inputs.at("spec", "selector").entries()
    labels = labels_of(pod)
    shared = [name for name in asked if name in labels]
    return bool(shared) and all(labels[name] == asked[name].text() for name in shared)


def pods_of_service(service: Resource, pods: tuple[Pod, ...]) -> list[Pod]:
    """The pods that a service leads to. Raises NotKnownError."""
    home = namespace_of(service)
    here = [pod for pod in pods if pod.target == "kubernetes" and namespace_of(pod.resource) == home]
    return [pod for pod in here if selects(service, pod)]


def _holds(expression: Value, labels: Labels) -> bool:
    key, operator = expression["key"].text() or "", expression["operator"].text()
    values = expression["values"].texts()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) == (operator == "Exists")

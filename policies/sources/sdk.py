"""What Pulumi's policy SDK hands over, as a deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pulumi_policy.proxy import UnknownValueError, _is_unknown

from policies.view.deployment import Deployment
from policies.view.resources import Resource
from policies.view.values import ABSENT, UNKNOWN, Value, plain

STACK = "pulumi:pulumi:Stack"


def inputs_of(props: Mapping[str, Any]) -> Value:
    """The inputs without the SDK's proxies, which raise at the first unknown and so leave the rest unseen."""
    return Value(_opened(props))


def resource_of(urn: str, kind: str, name: str, props: Mapping[str, Any], protect: bool = False) -> Resource:
    """One resource, alone."""
    return Resource(urn=urn, type=kind, name=name, inputs=inputs_of(props), protect=protect)


def deployment_of(
    resources: Iterable[Any], inputs: Mapping[str, Value] | None = None, outputs: Any = ABSENT
) -> Deployment:
    """The resources of a StackValidationArgs.

    Those have what the provider answered; `inputs` has by URN what the program asked for, where it was seen before.
    The stack's own outputs are those of its resource when they are not given.
    """
    resources = list(resources)
    for each in resources:
        if each.resource_type == STACK and outputs is ABSENT:
            outputs = _opened(each.props)
    given = inputs or {}
    found = [
        Resource(
            urn=each.urn,
            type=each.resource_type,
            name=each.name,
            inputs=given.get(each.urn) or inputs_of(each.props),
            parent=each.parent.urn if each.parent else each.opts.parent if each.opts else None,
            dependencies=frozenset(other.urn for other in each.dependencies),
            property_dependencies={
                name: frozenset(other.urn for other in others) for name, others in each.property_dependencies.items()
            },
            protect=bool(each.opts.protect) if each.opts else False,
        )
        for each in resources
    ]
    return Deployment(stack_of(found), [_with_image(each, found) for each in found], outputs)


def _with_image(resource: Resource, others: list[Resource]) -> Resource:
    """A Docker container with the name of its image, where the program takes the id that the engine tells later."""
    if resource.kind != "Container" or not resource.inputs["image"].is_unknown:
        return resource
    sources = resource.property_dependencies.get("image", frozenset())
    for other in others:
        if other.urn in sources and other.kind == "RemoteImage":
            content = {**resource.inputs.content, "image": other.inputs["name"].content}
            return replace(resource, inputs=Value(content))
    return resource


def stack_of(resources: Iterable[Resource]) -> str:
    """The stack's name, which every URN has."""
    for each in resources:
        return each.urn.split("::")[0].rpartition(":")[2]
    return ""


def _opened(given: Any) -> Any:
    if isinstance(given, Mapping):
        return plain({key: _entry(given, key) for key in given}, _is_unknown_text)
    return plain(given, _is_unknown_text)


def _entry(given: Any, key: Any) -> Any:
    try:
        value = given[key]
    except UnknownValueError:
        return UNKNOWN
    if isinstance(value, Mapping):
        return {inner: _entry(value, inner) for inner in value}
    if not isinstance(value, str) and hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        return [_entry(value, index) for index in range(len(value))]
    return value


REDACTED = "[secret]"
"""What `pulumi policy analyze --file` hands over for a secret that it can't decrypt."""


def _is_unknown_text(text: str) -> bool:
    return text == REDACTED or bool(_is_unknown(text))

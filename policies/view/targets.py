"""Filters for rules about one target only."""

from dataclasses import dataclass
from typing import Any

from policies.view.resources import Resource
from policies.view.values import Value


def on_kubernetes(subject: Any) -> bool:
    """Whether a resource, or what is in it, is of a cluster."""
    return _resource(subject).target == "kubernetes"


def on_docker(subject: Any) -> bool:
    """Whether a resource, or what is in it, is of a Docker engine."""
    return _resource(subject).target == "docker"


@dataclass(frozen=True)
class Place:
    """A field of a resource, for findings about how several resources fit together."""

    resource: Resource
    path: str


def place(resource: Resource, field: Value | str) -> Place:
    """Where something is."""
    return Place(resource, field.path if isinstance(field, Value) else field)


def _resource(subject: Any) -> Resource:
    found = subject if isinstance(subject, Resource) else subject.resource
    if not isinstance(found, Resource):
        raise TypeError("not a resource, nor part of one")
    return found

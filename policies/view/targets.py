"""Filters for rules about one target only."""

from typing import Any

from policies.view.resources import Resource


def on_kubernetes(subject: Any) -> bool:
    """Whether a resource, or what is in it, is of a cluster."""
    return _resource(subject).target == "kubernetes"


def on_docker(subject: Any) -> bool:
    """Whether a resource, or what is in it, is of a Docker engine."""
    return _resource(subject).target == "docker"


def place(resource: Resource, path: str) -> str:
    """Where something is, for findings about how several resources fit together."""
    return f"{resource.kind} {resource.name}: {path}"


def is_of_a_rehearsal(subject: Any) -> bool:
    """Whether it belongs to a rehearsal of production, whose data are nobody's."""
    return "rehearsal" in _resource(subject).urn.split("::")[0]


def _resource(subject: Any) -> Resource:
    found = subject if isinstance(subject, Resource) else subject.resource
    if not isinstance(found, Resource):
        raise TypeError("not a resource, nor part of one")
    return found

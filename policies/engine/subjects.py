"""What rules are asked about, and how it is found in a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.engine.rule import Rule
from policies.view.credentials import Credential
from policies.view.deployment import Deployment
from policies.view.parts import Platform, PlatformPart
from policies.view.pods import Container, Pod
from policies.view.project import Project
from policies.view.resources import Resource

SUBJECTS = (Container, Pod, Resource, Credential, PlatformPart, Platform, Deployment, Project)

OF_ONE_RESOURCE = (Container, Pod, Resource)
"""These can be judged by one resource alone, so that the engine can refuse it before it is made."""

NOTHING = {
    Container: "no container is deployed",
    Pod: "no program is deployed",
    Resource: "no such resource is deployed",
    Credential: "no such secret is deployed",
    PlatformPart: "the deployment has no such part of the workflow platform",
    Platform: "the deployment is not of the workflow platform",
    Deployment: "nothing is deployed",
    Project: "the project's own files were not given",
}
"""Why a rule was not applicable."""


def subjects(rule: Rule, deployment: Deployment, project: Project | None = None) -> Iterator[Any]:
    """Everything that the rule has to look at. Raises NotKnownError where that can't be told."""
    for found in _all(rule, deployment, project):
        resource = resource_of(found)
        if rule.kinds and (resource is None or resource.kind not in rule.kinds):
            continue
        if rule.where(found):
            yield found


def _all(rule: Rule, deployment: Deployment, project: Project | None) -> Iterator[Any]:
    if rule.on is Project:
        yield from [project] if project is not None else []
    elif rule.on is Deployment:
        yield from [deployment] if deployment.resources else []
    elif rule.on is Platform:
        yield from [deployment.platform] if deployment.parts() else []
    elif rule.on is PlatformPart:
        parts = deployment.platform.parts
        yield from (part for name, part in parts.items() if not rule.parts or name in rule.parts)
    elif rule.on is Resource:
        yield from deployment.resources
    elif rule.on is Credential:
        yield from deployment.credentials
    else:
        for pod in deployment.pods:
            if not rule.parts or pod.part in rule.parts:
                yield from [pod] if rule.on is Pod else pod.containers


def resource_of(subject: Any) -> Resource | None:
    """The resource that a subject is or is part of; None for what is about the whole deployment."""
    if isinstance(subject, Resource):
        return subject
    found = getattr(subject, "resource", None)
    return found if isinstance(found, Resource) else None

"""What Check refuses, and what it fills in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure
from airgap.provider.operation import ResourceError
from airgap.provider.wire import UNKNOWN, reveal

from .awaiting import custom
from .objects import DELETION_PROPAGATION, TIMEOUT_SECONDS, WAIT_FOR, annotation, type_of_token

_OFFICIAL = "install the official kubernetes plugin for it"
_NOT_OBJECTS = ("kubernetes:helm.sh/", "kubernetes:yaml", "kubernetes:kustomize")


def refuse_token(token: str, inputs: Mapping[str, Any]) -> None:
    """Raises ResourceError for resources of the SDK that are no objects, and for lists and patches of objects."""
    if token.startswith(_NOT_OBJECTS):
        raise ResourceError(f"{token} is not served by this plugin, which makes single objects; {_OFFICIAL}")
    kind = type_of_token(token).kind
    said = reveal(inputs.get("kind"))
    if kind.endswith("Patch") and said != kind:
        raise ResourceError(f"{token}: patches of objects that others made are not served by this plugin; {_OFFICIAL}")
    if kind.endswith("List") and "items" in inputs:
        raise ResourceError(
            f"{token}: lists exist for YAML manifests and Helm charts and cannot be created; make its objects"
        )


def with_type(token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with apiVersion and kind: the ones given, else what the token stands for."""
    wanted = type_of_token(token)
    return {"apiVersion": wanted.api_version, "kind": wanted.kind, **inputs}


def check(inputs: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with an object before the server is asked."""
    plain = reveal(inputs)
    failures = [
        Failure(name, f"{name} must be a text that is known before the deployment")
        for name in ("apiVersion", "kind")
        if not isinstance(plain.get(name), str) or not plain[name]
    ]
    metadata = plain.get("metadata")
    if metadata is not None and metadata is not UNKNOWN and not isinstance(metadata, Mapping):
        return [*failures, Failure("metadata", "metadata must be an object")]
    for key in ("name", "namespace"):
        value = metadata.get(key) if isinstance(metadata, Mapping) else None
        if value is not None and value is not UNKNOWN and (not isinstance(value, str) or not value):
            failures.append(Failure(f"metadata.{key}", f"metadata.{key} must be a text that is not empty"))
    return failures + _check_annotations(plain)


def _check_annotations(plain: Mapping[str, Any]) -> list[Failure]:
    wrong = {}
    seconds = annotation(plain, TIMEOUT_SECONDS)
    if seconds and not seconds.isdigit():
        wrong[TIMEOUT_SECONDS] = "must be a whole number of seconds"
    policy = annotation(plain, DELETION_PROPAGATION)
    if policy and policy.lower() not in ("orphan", "background", "foreground"):
        wrong[DELETION_PROPAGATION] = "must be orphan, background or foreground"
    asked = annotation(plain, WAIT_FOR)
    if asked and (reason := custom.problem(asked)):
        wrong[WAIT_FOR] = reason
    return [Failure(f'metadata.annotations["{key}"]', f"the annotation {key} {why}") for key, why in wrong.items()]

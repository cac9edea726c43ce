"""The API server's refusals as one line that says what is wrong, with which object, and what would mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airgap.provider.operation import ResourceError

from .client import ApiError
from .objects import called, metadata

_IMMUTABLE = ("field is immutable", "Forbidden: updates to", "is forbidden: updates to", "may not be changed")


def already_there(item: Mapping[str, Any]) -> str:
    """An object of this name exists, and not by this stack."""
    return (
        f"{called(item)} exists already and is not in this stack; remove it, choose another name, bring it into the "
        "stack (pulumi import, or an alias when it was renamed in the program), or take it over with the provider's "
        "upsertExistingObjects"
    )


def explained(error: ApiError, item: Mapping[str, Any], changing: bool) -> ResourceError:
    """The refusal of an apply in one line."""
    what = called(item)
    held = [cause for cause in error.causes if cause.get("reason") == "FieldManagerConflict"]
    if held:
        fields = ", ".join(f"{cause.get('field')} ({_manager(str(cause.get('message')))})" for cause in held)
        return ResourceError(
            f"{what}: other managers have set these fields otherwise: {fields}; leave them to them (out of the "
            'program, or ignore_changes), or take them with the annotation pulumi.com/patchForce: "true" or the '
            "provider's enablePatchForce"
        )
    message = " ".join(str(error).split())
    if error.missing and message.startswith("namespaces "):
        return ResourceError(f"{what}: {message}; create the namespace first (depends_on), or correct its name")
    if changing and any(text in message for text in _IMMUTABLE):
        return ResourceError(
            f"{what}: {message}; it cannot be changed in place: replace it (pulumi up --replace URN, or the option "
            "replace_on_changes)"
        )
    return ResourceError(f"{what}: {message}")


def not_gone(left: Mapping[str, Any]) -> str:
    """Why an object that was deleted is still there."""
    finalizers = metadata(left).get("finalizers") or []
    conditions = (left.get("status") or {}).get("conditions") or []
    said = [
        str(found.get("message"))
        for found in conditions
        if left.get("kind") == "Namespace" and found.get("status") == "True" and found.get("message")
    ]
    held = [f"finalizers {', '.join(finalizers)} hold it"] if finalizers else []
    return "; ".join(["it is deleted but not gone", *held, *said])


def _manager(message: str) -> str:
    """The name in `conflict with "kubectl-edit" using apps/v1`."""
    parts = message.split('"')
    return parts[1] if len(parts) > 2 else message

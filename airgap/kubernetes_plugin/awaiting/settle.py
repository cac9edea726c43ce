"""Waiting itself: look, pause, look again, until the object is of use, has failed, or the time is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airgap.provider.operation import Operation, ResourceError

from ..client import ApiError, Client, UnreachableError
from ..objects import SKIP_AWAIT, WAIT_FOR, Type, annotated, annotation, type_of
from . import custom, parts, workloads
from .look import READY, Failed, Look, Looker, Ready, Waiting

_FIRST_SECONDS = 0.1
_AT_MOST_SECONDS = 1.0
_AWAY_SECONDS = 30.0

_LOOKERS: Mapping[tuple[str, str], Looker] = {
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("batch", "Job"): workloads.job,
    ("", "Pod"): workloads.pod,
    ("", "Service"): parts.service,
    ("", "PersistentVolumeClaim"): parts.volume_claim,
    ("", "PersistentVolume"): parts.volume,
    ("", "Namespace"): parts.namespace,
    ("", "ResourceQuota"): parts.quota,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): parts.definition,
}
_ON_REFRESH = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("batch", "Job")})


class NotReadyError(ResourceError):
    """It is there, but not of use; `live` is how it is now."""

    def __init__(self, reason: str, live: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.live = live


def settle(
    client: Client,
    path: str,
    live: Mapping[str, Any],
    inputs: Mapping[str, Any],
    operation: Operation,
    tell: Callable[[str], None] = lambda line: None,
) -> Mapping[str, Any]:
    """Wait until the object at `path` is of use; what it is then. `tell` hears what is waited for.

    Raises NotReadyError when it fails, is removed meanwhile, the time is over or the deployment is cancelled.
    """
    if not waited_for(inputs):
        return live
    pause, away, said = _FIRST_SECONDS, 0.0, ""
    while True:
        try:
            found = judge(client, live, inputs)
            away = 0.0
        except UnreachableError as error:
            # An API server that is being replaced is away for a moment; the time of the operation bounds the rest.
            found = Waiting(str(error))
            away = away or operation.elapsed()
            if operation.elapsed() - away > _AWAY_SECONDS:
                raise NotReadyError(str(error), live) from None
        if isinstance(found, Ready):
            return live
        if isinstance(found, Failed):
            raise NotReadyError(found.reason, live)
        if found.reason != said:
            said = found.reason
            tell(said)
        try:
            operation.pause(pause)
        except ResourceError as error:
            raise NotReadyError(f"{found.reason} ({error})", live) from None
        pause = min(pause * 1.5, _AT_MOST_SECONDS)
        live = _again(client, path, live)


def _again(client: Client, path: str, live: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return client.get(path)
    except UnreachableError:
        return live
    except ApiError as error:
        if error.missing:
            raise NotReadyError("it was removed while it was waited for", live) from None
        raise


def waited_for(inputs: Mapping[str, Any]) -> bool:
    """Whether there is anything to wait for."""
    if annotated(inputs, SKIP_AWAIT):
        return False
    return bool(annotation(inputs, WAIT_FOR)) or _key(type_of(inputs)) in _LOOKERS


def judge(client: Client, live: Mapping[str, Any], inputs: Mapping[str, Any]) -> Look:
    """One look at a live object. An annotation that says what to wait for takes the place of what the kind has."""
    if (live.get("metadata") or {}).get("deletionTimestamp"):
        return Waiting("it is being removed")
    asked = annotation(inputs, WAIT_FOR)
    if asked:
        return custom.look(asked, live)
    looker = _LOOKERS.get(_key(type_of(live)))
    return looker(client, live) if looker else READY


def shortcoming(client: Client, live: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """Why a workload is not of use at this moment, for a refresh; empty when it is, or is not waited for."""
    if not waited_for(inputs) or _key(type_of(live)) not in _ON_REFRESH:
        return ""
    found = judge(client, live, inputs)
    return "" if isinstance(found, Ready) else found.reason


def _key(wanted: Type) -> tuple[str, str]:
    return (wanted.group, wanted.kind)

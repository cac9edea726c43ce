"""Deployment, StatefulSet, DaemonSet, Job and Pod: when a roll-out is through, and when it has failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..client import Client
from .look import READY, Failed, Look, Waiting, condition, holds, observed, spec, status, words
from .pods import reasons, trouble

_UNSEEN = Waiting("its controller has not seen it yet")


def deployment(client: Client, item: Mapping[str, Any]) -> Look:
    """All replicas are of the latest template and available, and none of an older one is left."""
    if spec(item).get("paused"):
        return READY
    if not observed(item):
        return _UNSEEN
    wanted = spec(item).get("replicas", 1)
    found = status(item)
    updated, total, available = (found.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas"))
    progress = condition(item, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return Failed(_joined(words(progress), _troubles(client, item)))
    if updated < wanted:
        refused = condition(item, "ReplicaFailure")
        said = f"{updated} of {wanted} replicas are updated"
        return Waiting(_joined(said, [words(refused)] if refused else _troubles(client, item)))
    if total > updated:
        return Waiting(_joined(f"{total - updated} replicas of before are still there", _troubles(client, item)))
    if available < updated:
        return Waiting(_joined(f"{available} of {wanted} replicas are available", _troubles(client, item)))
    return READY


def stateful_set(client: Client, item: Mapping[str, Any]) -> Look:
    """All replicas are ready and, where the strategy updates them by itself, of the latest revision."""
    if not observed(item):
        return _UNSEEN
    wanted, found = spec(item).get("replicas", 1), status(item)
    strategy = spec(item).get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") == "RollingUpdate":
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        due, updated = max(wanted - partition, 0), found.get("updatedReplicas", 0)
        latest = partition > 0 or found.get("currentRevision") == found.get("updateRevision")
        if updated < due or (wanted and not latest):
            return Waiting(_joined(f"{updated} of {due} replicas are updated", _troubles(client, item)))
    if found.get("readyReplicas", 0) < wanted:
        said = f"{found.get('readyReplicas', 0)} of {wanted} replicas are ready"
        return Waiting(_joined(said, _troubles(client, item)))
    if found.get("replicas", 0) > wanted:
        return Waiting(f"{found['replicas'] - wanted} replicas too many are still there")
    return READY


def daemon_set(client: Client, item: Mapping[str, Any]) -> Look:
    """One pod is available on each node that wants one, of the latest template unless updated by hand."""
    if not observed(item):
        return _UNSEEN
    found = status(item)
    wanted = found.get("desiredNumberScheduled", 0)
    by_hand = (spec(item).get("updateStrategy") or {}).get("type") == "OnDelete"
    updated = wanted if by_hand else found.get("updatedNumberScheduled", 0)
    if updated < wanted:
        return Waiting(_joined(f"{updated} of {wanted} pods are updated", _troubles(client, item)))
    if found.get("numberAvailable", 0) < wanted:
        said = f"{found.get('numberAvailable', 0)} of {wanted} pods are available"
        return Waiting(_joined(said, _troubles(client, item)))
    return READY


def job(client: Client, item: Mapping[str, Any]) -> Look:
    """It is complete; a suspended one is not waited for."""
    if holds(item, "Complete") or spec(item).get("suspend"):
        return READY
    if holds(item, "Failed"):
        return Failed(_joined(words(condition(item, "Failed")), _troubles(client, item)))
    return Waiting(_joined("it has not ended", _troubles(client, item)))


def pod(client: Client, item: Mapping[str, Any]) -> Look:
    """It is ready, or has come to a good end."""
    if status(item).get("phase") == "Succeeded" or holds(item, "Ready"):
        return READY
    why = trouble(item)
    if status(item).get("phase") == "Failed":
        return Failed(why or "it has failed")
    return Waiting(why or "it is not ready")


def _troubles(client: Client, item: Mapping[str, Any]) -> list[str]:
    labels = (spec(item).get("selector") or {}).get("matchLabels") or {}
    found = item["metadata"]
    owner = "" if item.get("kind") == "Deployment" else str(found["uid"])
    return reasons(client, str(found["namespace"]), labels, owner)


def _joined(said: str, further: list[str]) -> str:
    return "; ".join([said, *further])

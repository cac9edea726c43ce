"""Why pods are not ready, in one line each; never anything that a program has logged, for it may hold secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airgap.provider.operation import ResourceError

from ..client import Client
from .look import condition, holds, status, words

_AT_MOST = 3
_HARMLESS = frozenset({"ContainerCreating", "PodInitializing", ""})


def reasons(client: Client, namespace: str, labels: Mapping[str, str], owner: str = "") -> list[str]:
    """One line for each of the first few pods with these labels that are in trouble.

    With `owner` (a uid) only those that it controls.
    """
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    try:
        found = client.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector, limit="100")
    except ResourceError:
        return []  # the reason for the wait matters more than why this could not be looked up
    pods = found.get("items") or []
    lines = [f"pod {pod['metadata']['name']}: {why}" for pod in pods if _owned(pod, owner) and (why := trouble(pod))]
    more = len(lines) - _AT_MOST
    return lines[:_AT_MOST] + ([f"and {more} more"] if more > 0 else [])


def _owned(pod: Mapping[str, Any], owner: str) -> bool:
    return not owner or any(ref.get("uid") == owner for ref in pod["metadata"].get("ownerReferences") or [])


def trouble(pod: Mapping[str, Any]) -> str:
    """Why a pod is not ready; empty when it is, or when there is nothing to say yet."""
    if status(pod).get("phase") == "Succeeded" or holds(pod, "Ready"):
        return ""
    if condition(pod, "PodScheduled").get("status") == "False":
        return f"not scheduled ({words(condition(pod, 'PodScheduled'))})"
    states = [*(status(pod).get("initContainerStatuses") or []), *(status(pod).get("containerStatuses") or [])]
    for state in states:
        why = _container_trouble(state)
        if why:
            return f"container {state['name']} {why}"
    if status(pod).get("phase") == "Failed":
        return words(status(pod)) or "it has failed"
    running = [state["name"] for state in states if "running" in (state.get("state") or {}) and not state.get("ready")]
    if running and holds(pod, "PodScheduled"):
        return f"container {running[0]} runs, but is not ready (its readiness probe fails)"
    return ""


def _container_trouble(found: Mapping[str, Any]) -> str:
    state = found.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    if waiting and waiting.get("reason", "") not in _HARMLESS:
        earlier = (found.get("lastState") or {}).get("terminated") or {}
        last = f", it ended with {_end(earlier)}" if earlier else ""
        return f"waits: {words(waiting)}{last}"
    if ended and ended.get("exitCode") != 0:
        return f"ended with {_end(ended)}"
    return ""


def _end(ended: Mapping[str, Any]) -> str:
    """Exit code and reason; not the termination message, which is written by the program."""
    reason = ended.get("reason") or ""
    return f"exit code {ended.get('exitCode')}{f' ({reason})' if reason not in ('', 'Error', 'Completed') else ''}"

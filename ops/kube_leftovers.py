"""What a stack leaves on a cluster: after an operation that was cut off, and after its end."""

import time
from collections.abc import Callable
from typing import Any

from ops.console import Report
from ops.errors import OperatorError
from ops.kube import Api, Thing
from ops.kube_objects import (
    CLAIM,
    JOB,
    NAMESPACE,
    POD,
    VOLUME,
    Collection,
    address,
    is_ours,
    managed,
)
from ops.parts import STACK_LABEL

GONE_SECONDS = 180.0
POLL_SECONDS = 1.0

Found = list[tuple[Collection, Thing]]


def unrecorded(found: Found, state: dict[str, Any]) -> Found:
    """The objects that the state does not know. It knows them by kind and by `namespace/name`."""
    known = {
        (str(each.get("type", "")).rsplit(":", 1)[-1], str(each.get("id", "")))
        for each in state.get("resources") or []
        if str(each.get("type", "")).startswith("kubernetes:")
    }
    return [(kind, thing) for kind, thing in found if (kind.kind, _identity(thing)) not in known]


def foreign(found: Found, state: dict[str, Any]) -> Found:
    """What somebody else's state deployed or kept here: a state that kept its data has its namespace."""
    return [] if state.get("resources") or state.get("pending_operations") else found


def refuse_foreign(api: Api, stack: str, namespace: str, state: dict[str, Any]) -> None:
    """Raises OperatorError when the cluster runs a stack of that name that this machine's state never knew."""
    if others := foreign(list(managed(api, stack, namespace)), state):
        names = ", ".join(address(*each) for each in others[:5])
        raise OperatorError(
            f"the cluster has a stack {stack} that this machine's state does not know: {names}, ...",
            f"set WORKFLOW_HOME to where it was deployed from, or end it: ./deploy-api.sh destroy {stack} --with-data",
        )


def remove_unrecorded(api: Api, stack: str, namespace: str, state: dict[str, Any], report: Report) -> None:
    """Deletes what a cut-off operation made and could not record; it would be in the way by its name.

    Data is not among it: it is in volume claims, which the stack's objects only refer to. For the same reason the
    namespace goes only when nobody's volume is in it.
    """
    for collection, thing in unrecorded(list(managed(api, stack, namespace)), state):
        if collection is NAMESPACE and api.items(CLAIM.path(namespace)):
            continue
        report(f"removing {address(collection, thing)}")
        api.delete(f"{collection.path(namespace)}/{thing['metadata']['name']}")


def remove_all(
    api: Api, stack: str, namespace: str, keep_data: bool, report: Report, pause: Callable[[float], None] = time.sleep
) -> str:
    """Deletes whatever of the stack Pulumi left, waits until it is gone, and returns what still is there, in words.

    With `keep_data` the namespace with its volume claims is what stays on purpose.
    """
    for collection in (JOB, POD):
        for thing in api.items(collection.path(namespace), f"{STACK_LABEL}={stack}"):
            api.delete(f"{collection.path(namespace)}/{thing['metadata']['name']}")
    for collection, thing in list(managed(api, stack, namespace)):
        if collection is NAMESPACE and keep_data:
            continue
        report(f"removing {address(collection, thing)}")
        api.delete(f"{collection.path(namespace)}/{thing['metadata']['name']}")
    deadline = time.monotonic() + GONE_SECONDS
    while rest := _rest(api, stack, namespace, keep_data):
        if time.monotonic() > deadline:
            break
        report(f"waiting for the end of {', '.join(rest[:5])}")
        pause(POLL_SECONDS)
    return ", ".join(rest)


def _rest(api: Api, stack: str, namespace: str, keep_data: bool) -> list[str]:
    rest = [address(*each) for each in managed(api, stack, namespace) if not (keep_data and each[0] is NAMESPACE)]
    rest += [address(POD, pod) for pod in api.items(POD.path(namespace), f"{STACK_LABEL}={stack}")]
    if keep_data:
        return rest
    found = api.find(f"{NAMESPACE.path()}/{namespace}")
    if found is None or is_ours(found, stack):
        rest += [address(CLAIM, each) for each in api.items(CLAIM.path(namespace))]
        rest += [address(VOLUME, each) for each in api.items(VOLUME.path()) if _bound_in(each, namespace)]
    return rest


def _bound_in(volume: Thing, namespace: str) -> bool:
    """Whether the volume still holds a claim of that namespace. A released one is the storage class's own wish."""
    claim = volume["spec"].get("claimRef") or {}
    released = (volume.get("status") or {}).get("phase") == "Released"
    keeps = volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain"
    return claim.get("namespace") == namespace and not (released and keeps)


def _identity(thing: Thing) -> str:
    data = thing["metadata"]
    return f"{data['namespace']}/{data['name']}" if data.get("namespace") else str(data["name"])

"""Services, storage, definitions and what else has to be there before it is of use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..client import ApiError, Client
from .look import READY, Failed, Look, Waiting, condition, holds, spec, status, words


def service(client: Client, item: Mapping[str, Any]) -> Look:
    """Something ready stands behind it, and a load balancer has an address; headless ones are not waited for."""
    asked = spec(item)
    kind = asked.get("type", "ClusterIP")
    if kind == "ExternalName" or asked.get("clusterIP") == "None":
        return READY
    if asked.get("selector") and not _backed(client, item):
        return Waiting(f"no pod that it selects is ready ({_selector(asked['selector'])})")
    if kind == "LoadBalancer" and not (status(item).get("loadBalancer") or {}).get("ingress"):
        return Waiting("no load balancer has given it an address")
    return READY


def _backed(client: Client, item: Mapping[str, Any]) -> bool:
    found = item["metadata"]
    path = f"/apis/discovery.k8s.io/v1/namespaces/{found['namespace']}/endpointslices"
    slices = client.get(path, labelSelector=f"kubernetes.io/service-name={found['name']}").get("items") or []
    return any(
        (end.get("conditions") or {}).get("ready", True) for part in slices for end in part.get("endpoints") or []
    )


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def volume_claim(client: Client, item: Mapping[str, Any]) -> Look:
    """It is bound; one whose class waits for the first pod is not waited for."""
    phase = status(item).get("phase")
    if phase == "Bound":
        return READY
    if phase == "Lost":
        return Failed("its volume is lost")
    name = spec(item).get("storageClassName")
    if not name:
        return Waiting("it is not bound; there is no default storage class" if name is None else "it is not bound")
    try:
        found = client.get(f"/apis/storage.k8s.io/v1/storageclasses/{name}")
    except ApiError as error:
        if error.missing:
            return Waiting(f"there is no storage class {name!r}")
        raise
    if found.get("volumeBindingMode") == "WaitForFirstConsumer":
        return READY
    return Waiting(f"it is not bound by the storage class {name!r}")


def volume(client: Client, item: Mapping[str, Any]) -> Look:
    """It can be claimed, or is."""
    phase = status(item).get("phase")
    if phase in ("Available", "Bound", "Released"):
        return READY
    return Failed(words(status(item)) or "it has failed") if phase == "Failed" else Waiting("it is not available")


def namespace(client: Client, item: Mapping[str, Any]) -> Look:
    """It is active; one of this name that is still going makes a new one wait."""
    phase = status(item).get("phase")
    return READY if phase == "Active" else Waiting(f"it is {str(phase or 'not active').lower()}")


def definition(client: Client, item: Mapping[str, Any]) -> Look:
    """Its kind is served."""
    if condition(item, "NamesAccepted").get("status") == "False":
        return Failed(words(condition(item, "NamesAccepted")))
    return READY if holds(item, "Established") else Waiting("its kind is not served yet")


def quota(client: Client, item: Mapping[str, Any]) -> Look:
    """Its limits are the ones counted with."""
    return READY if status(item).get("hard") == spec(item).get("hard") else Waiting("its limits are not in force yet")

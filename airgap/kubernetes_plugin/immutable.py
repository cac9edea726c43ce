"""Which properties of which kinds cannot be changed in place: a change of one needs a new object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Difference

from .changes import Path, difference
from .configuration import Settings
from .objects import AUTONAMED, REPLACE_UNREADY, annotated, name_of, namespace_of, type_of


def _paths(*texts: str) -> tuple[Path, ...]:
    return tuple(tuple(text.split(".")) for text in texts)


_SELECTOR = _paths("spec.selector")
_FIXED: Mapping[tuple[str, str], tuple[Path, ...]] = {
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "ReplicaSet"): _SELECTOR,
    ("apps", "StatefulSet"): _paths(
        "spec.podManagementPolicy", "spec.selector", "spec.serviceName", "spec.volumeClaimTemplates"
    ),
    ("apps", "ControllerRevision"): _paths("data"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _paths(
        "spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"
    ),
    ("batch", "Job"): _paths(
        "spec.completions", "spec.selector", "spec.template", "spec.completionMode", "spec.manualSelector",
        "spec.podFailurePolicy", "spec.backoffLimitPerIndex", "spec.successPolicy", "spec.managedBy",
    ),
    ("certificates.k8s.io", "CertificateSigningRequest"): _paths("spec"),
    ("discovery.k8s.io", "EndpointSlice"): _paths("addressType"),
    ("networking.k8s.io", "IngressClass"): _paths("spec.controller"),
    ("node.k8s.io", "RuntimeClass"): _paths("handler"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _paths("roleRef"),
    ("rbac.authorization.k8s.io", "RoleBinding"): _paths("roleRef"),
    ("scheduling.k8s.io", "PriorityClass"): _paths("value", "preemptionPolicy"),
    ("storage.k8s.io", "CSIDriver"): _paths("spec.attachRequired", "spec.volumeLifecycleModes"),
    ("storage.k8s.io", "StorageClass"): _paths("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    ("storage.k8s.io", "VolumeAttachment"): _paths("spec"),
    ("", "PersistentVolume"): _paths(
        "spec.awsElasticBlockStore", "spec.azureDisk", "spec.azureFile", "spec.cephfs", "spec.cinder", "spec.csi",
        "spec.fc", "spec.flexVolume", "spec.flocker", "spec.gcePersistentDisk", "spec.glusterfs", "spec.hostPath",
        "spec.iscsi", "spec.local", "spec.nfs", "spec.photonPersistentDisk", "spec.portworxVolume", "spec.quobyte",
        "spec.rbd", "spec.scaleIO", "spec.storageos", "spec.vsphereVolume", "spec.volumeMode",
    ),
    ("", "PersistentVolumeClaim"): _paths("spec"),
    ("", "Pod"): _paths("spec"),
    ("", "ResourceQuota"): _paths("spec.scopes", "spec.scopeSelector"),
    ("", "Secret"): _paths("type"),
    ("", "Service"): _paths("spec.clusterIP", "spec.clusterIPs", "spec.healthCheckNodePort", "spec.loadBalancerClass"),
}  # fmt: skip
_EXEMPT: Mapping[tuple[str, str], tuple[Path, ...]] = {
    ("", "PersistentVolumeClaim"): _paths("spec.resources", "spec.volumeAttributesClassName"),
    ("", "Pod"): _paths("spec.activeDeadlineSeconds", "spec.tolerations"),
}
_IDENTITY = _paths("kind", "metadata.name", "metadata.namespace")
_DATA = _paths("data", "binaryData", "stringData", "immutable")


def compare(
    old: Mapping[str, Any], new: Mapping[str, Any], settings: Settings, namespaced: bool, ignored: list[str]
) -> Difference:
    """What a change of inputs means for the object: nothing, an update in place, or a new object.

    The old one goes first when the name stays; with an automatic name the new one gets a name of its own and comes
    first. `namespaced` says whether a namespace in the inputs means anything for the kind.
    """
    old, new = _in_namespace(old, namespaced), _in_namespace(new, namespaced)
    kind = (type_of(old).group, str(old.get("kind", "")))
    fixed = [*_IDENTITY, *_FIXED.get(kind, ())]
    if type_of(old).group != type_of(new).group:
        fixed += _paths("apiVersion")
    mutable = {"ConfigMap": settings.mutable_config_maps, "Secret": settings.mutable_secrets}
    if kind[0] == "" and kind[1] in mutable and (old.get("immutable") is True or not mutable[kind[1]]):
        fixed += _DATA
    found = difference(old, new, fixed, _EXEMPT.get(kind, ()), ignored)
    return delete_first(old, new, found)


def delete_first(old: Mapping[str, Any], new: Mapping[str, Any], found: Difference) -> Difference:
    """The same difference, with the order of a replacement: two objects cannot have one name at a time."""
    stays = name_of(old) == name_of(new) and namespace_of(old) == namespace_of(new)
    return Difference(found.changes, found.replaces, bool(found.replaces) and stays and not annotated(new, AUTONAMED))


def replaced_unready(found: Difference) -> Difference:
    """The same difference for an object that is to be made anew because it did not get ready."""
    path = f'metadata.annotations["{REPLACE_UNREADY}"]'
    return Difference({**found.changes, path: "update"}, found.replaces | {path}, found.delete_first)


def _in_namespace(item: Mapping[str, Any], namespaced: bool) -> dict[str, Any]:
    """The inputs with the namespace that they mean: none for a kind that has none, `default` when none is named."""
    found = dict(item.get("metadata") or {}) if isinstance(item.get("metadata") or {}, Mapping) else None
    if found is None:
        return dict(item)
    if namespaced:
        found.setdefault("namespace", "default")
    else:
        found.pop("namespace", None)
    return {**item, "metadata": found}

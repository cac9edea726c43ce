"""The provider's own inputs (`kubernetes:kubeconfig` and the like), checked and turned into settings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airgap.provider.answers import Difference, Failure
from airgap.provider.operation import ResourceError
from airgap.provider.wire import UNKNOWN, Secret, has_unknown, reveal

from .changes import difference
from .kubeconfig import Access, load

_TEXTS = ("cluster", "clusterIdentifier", "context", "kubeconfig", "namespace", "renderYamlToDirectory")
_SWITCHES = {
    "alwaysRender": "",
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "enableServerSideApply": "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY",
    "skipUpdateUnreachable": "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE",
    "suppressDeprecationWarnings": "PULUMI_K8S_SUPPRESS_DEPRECATION_WARNINGS",
    "suppressHelmHookWarnings": "PULUMI_K8S_SUPPRESS_HELM_HOOK_WARNINGS",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
}
_REFUSED = {
    "helmReleaseSettings": "Helm releases are not served by it; install the official kubernetes plugin",
    "kubeClientSettings": "it needs no limits of its own: 64 connections at the most, and 30 s for each answer",
}
_OF_THE_ENGINE = frozenset({"version", "pluginDownloadURL", "__internal"})
KNOWN = frozenset({*_TEXTS, *_SWITCHES, *_REFUSED})
"""Every input that the official provider has."""


@dataclass(frozen=True)
class Settings:
    """The provider's inputs, as far as this plugin carries them out; `known` is false while the cluster is not made."""

    kubeconfig: str = ""
    context: str = ""
    cluster: str = ""
    namespace: str = ""
    render_to: str = ""
    always_render: bool = False
    delete_unreachable: bool = False
    skip_unreachable: bool = False
    suppress_deprecations: bool = False
    mutable_config_maps: bool = True
    mutable_secrets: bool = True
    force: bool = False
    upsert: bool = False
    known: bool = True

    def access(self) -> Access:
        """The way into the cluster. Raises ResourceError when there is none."""
        return load(self.kubeconfig, self.context, self.cluster)


def structured(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with switches as booleans: the SDK sends provider inputs that are not strings as JSON."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in _OF_THE_ENGINE:
            continue
        inner = value.value if isinstance(value, Secret) else value
        if name in _SWITCHES and isinstance(inner, str):
            inner = {"true": True, "false": False}.get(inner.lower(), inner)
        elif name == "kubeconfig" and isinstance(inner, Mapping):
            inner = json.dumps(reveal(inner))
        found[name] = Secret(inner) if isinstance(value, Secret) else inner
    return found


def check(values: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with the provider's inputs."""
    failures = []
    for name, value in reveal(structured(values)).items():
        if name in _REFUSED:
            failures.append(Failure(name, f"{name} is not carried out by this plugin: {_REFUSED[name]}"))
        elif name not in KNOWN:
            failures.append(Failure(name, f"{name} is no input of the provider; known are {', '.join(sorted(KNOWN))}"))
        elif value is UNKNOWN:
            continue
        elif name in _SWITCHES and not isinstance(value, bool):
            failures.append(Failure(name, f"{name} must be true or false"))
        elif name in _TEXTS and not isinstance(value, str):
            failures.append(Failure(name, f"{name} must be a text"))
    if reveal(structured(values)).get("enableServerSideApply") is False:
        reason = "this plugin applies on the server side only; install the official kubernetes plugin for the other way"
        failures.append(Failure("enableServerSideApply", reason))
    return failures


def settings(values: Mapping[str, Any]) -> Settings:
    """The settings from checked inputs; what is not given there is taken from the documented PULUMI_K8S_ variables."""
    plain = reveal(structured(values))
    given = {name: value for name, value in plain.items() if value is not UNKNOWN}

    def switch(name: str, default: bool = False) -> bool:
        value = given.get(name)
        if value is None and _SWITCHES[name]:
            value = {"true": True, "false": False}.get(os.environ.get(_SWITCHES[name], "").lower())
        return default if value is None else bool(value)

    return Settings(
        kubeconfig=given.get("kubeconfig", ""),
        context=given.get("context", ""),
        cluster=given.get("cluster", ""),
        namespace=given.get("namespace", ""),
        render_to=given.get("renderYamlToDirectory", ""),
        always_render=switch("alwaysRender"),
        delete_unreachable=switch("deleteUnreachable"),
        skip_unreachable=switch("skipUpdateUnreachable"),
        suppress_deprecations=switch("suppressDeprecationWarnings"),
        mutable_config_maps=switch("enableConfigMapMutable", True),
        mutable_secrets=switch("enableSecretMutable", True),
        force=switch("enablePatchForce"),
        upsert=switch("upsertExistingObjects"),
        known=not any(has_unknown(plain.get(name)) for name in ("kubeconfig", "context", "cluster")),
    )


def moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """What has changed of the provider's inputs, and whether they now mean another cluster.

    With a `clusterIdentifier` only that counts; without one the address of the API server does.
    """
    before, after = structured(old), structured(new)
    changed = difference(before, after)
    if before.get("clusterIdentifier") or after.get("clusterIdentifier"):
        replaces = {"clusterIdentifier"} & set(changed.changes)
        return Difference(changed.changes, frozenset(replaces))
    replaces = {"renderYamlToDirectory"} & set(changed.changes)
    reached = {"kubeconfig", "context", "cluster"} & set(changed.changes)
    if reached and not has_unknown([after.get(name) for name in reached]):
        server_before, server_after = _server(before), _server(after)
        if server_before and server_after and server_before != server_after:
            replaces |= reached
    return Difference(changed.changes, frozenset(replaces))


def _server(values: Mapping[str, Any]) -> str:
    try:
        return settings(values).access().server
    except ResourceError:
        return ""  # the file is gone or not there yet: nothing can be said about a move

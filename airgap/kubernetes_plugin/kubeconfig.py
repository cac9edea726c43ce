"""A kubeconfig, given as text, as a path or by the surroundings, turned into one way to reach one cluster."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airgap.provider.operation import ResourceError

_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MEND = "give kubernetes:kubeconfig, or set KUBECONFIG"


@dataclass(frozen=True)
class Access:
    """The address of an API server and the means to be let in; `source` says where that was found."""

    server: str
    source: str
    context: str = ""
    namespace: str = ""
    authority: str = ""
    """PEM of the CA; empty: the machine's own."""
    insecure: bool = False
    server_name: str = ""
    proxy: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    command: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The `exec` part: a program that prints a credential."""


def load(text: str = "", context: str = "", cluster: str = "") -> Access:
    """The way into the cluster that a kubeconfig names.

    `text` is the content of a kubeconfig or a path; without it $KUBECONFIG, ~/.kube/config and the service account of
    a pod are looked at, in this order. `context` and `cluster` choose others than the current ones.
    Raises ResourceError, with what is missing and where.
    """
    config, source = _read(text)
    if config is None:
        found = _of_the_pod()
        if found is None:
            raise ResourceError(f"no kubeconfig is there (looked for {source}); {_MEND}")
        return found
    wanted = context or str(config.get("current-context") or "")
    chosen = _named(config, "contexts", "context", wanted)
    if chosen is None and (wanted or not cluster):
        known = ", ".join(_names(config, "contexts")) or "none"
        raise ResourceError(f"{source} has no context {wanted!r} (it has: {known}); set kubernetes:context")
    chosen = chosen or {}
    cluster_name = cluster or str(chosen.get("cluster") or "")
    there = _named(config, "clusters", "cluster", cluster_name)
    if there is None or not there.get("server"):
        raise ResourceError(f"{source} has no server for the cluster {cluster_name!r} of context {wanted!r}")
    user = _named(config, "users", "user", str(chosen.get("user") or "")) or {}
    if user.get("auth-provider"):
        raise ResourceError(f"{source} uses an auth-provider, which Kubernetes has given up; use an exec credential")
    return Access(
        server=str(there["server"]).rstrip("/"),
        source=source,
        context=wanted,
        namespace=str(chosen.get("namespace") or ""),
        authority=_material(there, "certificate-authority", source),
        insecure=bool(there.get("insecure-skip-tls-verify")),
        server_name=str(there.get("tls-server-name") or ""),
        proxy=str(there.get("proxy-url") or ""),
        certificate=_material(user, "client-certificate", source),
        key=_material(user, "client-key", source),
        token=str(user.get("token") or ""),
        token_file=str(user.get("tokenFile") or ""),
        username=str(user.get("username") or ""),
        password=str(user.get("password") or ""),
        command=user.get("exec") or {},
    )


def _read(text: str) -> tuple[Mapping[str, Any] | None, str]:
    """The kubeconfig and what to call it; None and the places looked at when there is none."""
    if text.strip():
        if "\n" in text.strip() or text.lstrip().startswith("{") or "clusters:" in text:
            return _parsed(text, "the kubeconfig given"), "the kubeconfig given"
        path = Path(text.strip()).expanduser()
        return _file(path), str(path)
    listed = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    paths = [Path(part) for part in listed] or [Path.home() / ".kube" / "config"]
    called = os.pathsep.join(str(path) for path in paths)
    configs = [_file(path) for path in paths if path.is_file()]
    if not configs:
        return None, called
    merged: dict[str, Any] = {}
    for config in configs:
        for key, value in config.items():
            # As kubectl does: lists are joined, of all else the first file that says it counts.
            if isinstance(value, list):
                merged[key] = [*merged.get(key, []), *value]
            else:
                merged[key] = merged.get(key) or value
    return merged, called


def _file(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text()
    except OSError as error:
        raise ResourceError(f"the kubeconfig {path} cannot be read ({error.strerror}); {_MEND}") from None
    config = _parsed(text, str(path))
    for entry in [*(config.get("clusters") or []), *(config.get("users") or [])]:
        for part in (entry.get("cluster"), entry.get("user")):
            _resolve(part or {}, path.parent)
    return config


def _parsed(text: str, source: str) -> Mapping[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError:
        config = None  # the parser's words would quote the text, which holds keys
    if not isinstance(config, Mapping):
        raise ResourceError(f"{source} is no valid YAML of a kubeconfig; {_MEND}")
    return config


def _resolve(part: dict[str, Any], folder: Path) -> None:
    """Paths in a kubeconfig are relative to its own folder."""
    for key in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
        if part.get(key):
            part[key] = str(folder / str(part[key]))


def _named(config: Mapping[str, Any], section: str, key: str, name: str) -> Mapping[str, Any] | None:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            return entry.get(key) or {}
    return None


def _names(config: Mapping[str, Any], section: str) -> list[str]:
    return [str(entry.get("name")) for entry in config.get(section) or []]


def _material(part: Mapping[str, Any], key: str, source: str) -> str:
    """PEM text of a certificate or key, embedded or in a file."""
    if part.get(f"{key}-data"):
        try:
            return base64.b64decode(str(part[f"{key}-data"]), validate=True).decode()
        except ValueError:
            raise ResourceError(f"{key}-data in {source} is not base64") from None
    if not part.get(key):
        return ""
    try:
        return Path(str(part[key])).read_text()
    except OSError as error:
        raise ResourceError(f"{key} of {source}: {part[key]} cannot be read ({error.strerror})") from None


def _of_the_pod() -> Access | None:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    token = _IN_CLUSTER / "token"
    if not host or not port or not token.is_file():
        return None
    return Access(
        server=f"https://{host if ':' not in host else f'[{host}]'}:{port}",
        source="the pod's service account",
        namespace=(_IN_CLUSTER / "namespace").read_text().strip(),
        authority=(_IN_CLUSTER / "ca.crt").read_text(),
        token_file=str(token),
    )

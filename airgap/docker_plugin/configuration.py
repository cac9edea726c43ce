"""The provider's own inputs (`docker:host` and the like), checked and turned into connection settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure
from airgap.provider.wire import UNKNOWN, Secret, reveal

from .checking import check_fields
from .engine import Settings
from .schema import Field, Fields

_MATERIAL_REASON = "give the files' folder in certPath"
_LOGIN_FILE_REASON = "log in with `docker login`, or give username and password"

_REGISTRY: Fields = {
    "address": Field("string", required=True),
    "authDisabled": Field("boolean"),
    "configFile": Field("string", unsupported=_LOGIN_FILE_REASON),
    "configFileContent": Field("string", unsupported=_LOGIN_FILE_REASON),
    "password": Field("string"),
    "username": Field("string"),
}

PROVIDER: Fields = {
    "host": Field("string"),
    "context": Field("string"),
    "certPath": Field("string"),
    "caMaterial": Field("string", unsupported=_MATERIAL_REASON),
    "certMaterial": Field("string", unsupported=_MATERIAL_REASON),
    "keyMaterial": Field("string", unsupported=_MATERIAL_REASON),
    "disableDockerDaemonCheck": Field("boolean"),
    "registryAuth": Field("objects", fields=_REGISTRY),
    "sshOpts": Field("strings", unsupported="put the options into ~/.ssh/config, which is read for a host ssh://..."),
}
_OF_THE_ENGINE = frozenset({"version", "pluginDownloadURL", "__internal"})


def structured(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with JSON texts parsed: the SDK sends provider inputs that are not strings as JSON."""
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        if name in _OF_THE_ENGINE:
            continue
        field = PROVIDER.get(name)
        inner = value.value if isinstance(value, Secret) else value
        if field is not None and field.kind != "string" and isinstance(inner, str):
            inner = _parsed(inner)
        parsed[name] = Secret(inner) if isinstance(value, Secret) else inner
    return parsed


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def check(values: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with the provider's inputs."""
    return check_fields(PROVIDER, structured(values))


def settings(values: Mapping[str, Any]) -> Settings:
    """The connection settings from checked inputs; what is not known yet counts as not given."""
    known = {name: value for name, value in reveal(structured(values)).items() if value is not UNKNOWN}
    registries = {
        str(item["address"]).removeprefix("https://").rstrip("/"): {
            "username": item.get("username", ""),
            "password": item.get("password", ""),
        }
        for item in known.get("registryAuth") or []
        if isinstance(item, dict) and not item.get("authDisabled")
    }
    return Settings(
        host=known.get("host", ""),
        context=known.get("context", ""),
        cert_path=known.get("certPath", ""),
        registries=registries,
        check_daemon=known.get("disableDockerDaemonCheck") not in (True, "true"),
    )

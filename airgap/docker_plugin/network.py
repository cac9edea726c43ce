"""`docker:index/network:Network`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure
from airgap.provider.operation import Operation, ResourceError
from airgap.provider.wire import UNKNOWN, reveal

from .container_fields import LABEL
from .container_spec import labels_map
from .engine import Engine, explanation, is_missing
from .resource import Found
from .schema import Field, Fields

_IPAM: Fields = {
    "subnet": Field("string"),
    "gateway": Field("string"),
    "ipRange": Field("string"),
    "auxAddress": Field("map"),
}

NETWORK: Fields = {
    "name": Field("string"),
    "attachable": Field("boolean"),
    "driver": Field("string"),
    "ingress": Field("boolean"),
    "internal": Field("boolean"),
    "ipamConfigs": Field("objects", fields=_IPAM),
    "ipamDriver": Field("string", default="default"),
    "ipamOptions": Field("map"),
    "ipv6": Field("boolean"),
    "labels": Field("objects", fields=LABEL),
    "options": Field("map"),
}

_LOOK_SECONDS = 0.5
_IN_USE_SECONDS = 30.0


class Network:
    """A network of the engine; everything about it is fixed when it is made."""

    token = "docker:index/network:Network"  # noqa: S105 - a type token
    fields = NETWORK
    computed: tuple[str, ...] = ("driver", "internal", "ipamConfigs", "options", "scope")
    create_seconds = 120.0
    delete_seconds = _IN_USE_SECONDS
    auto_named = True

    def check(self, inputs: Mapping[str, Any]) -> list[Failure]:
        """Subnets must be subnets."""
        failures = []
        plain = reveal(dict(inputs)).get("ipamConfigs")
        for index, config in enumerate(plain if isinstance(plain, list) else []):
            subnet = config.get("subnet") if isinstance(config, dict) else None
            if subnet in (None, UNKNOWN):
                continue
            try:
                ipaddress.ip_network(subnet)
            except ValueError:
                path = f"ipamConfigs[{index}].subnet"
                failures.append(Failure(path, f"{path} must be a network address such as 172.30.0.0/24"))
        return failures

    def create(self, engine: Engine, inputs: Mapping[str, Any], operation: Operation) -> Found:
        """Make it. A second network of the same name, which the engine would allow, is refused."""
        api = engine.api
        body = {
            "Name": inputs["name"],
            "CheckDuplicate": True,
            "Driver": inputs.get("driver") or "bridge",
            "Internal": bool(inputs.get("internal")),
            "Attachable": bool(inputs.get("attachable")),
            "Ingress": bool(inputs.get("ingress")),
            "EnableIPv6": bool(inputs.get("ipv6")),
            "Labels": labels_map(inputs.get("labels")),
            "Options": inputs.get("options") or {},
            "IPAM": {
                "Driver": inputs.get("ipamDriver") or "default",
                "Config": [_ipam(item) for item in inputs.get("ipamConfigs") or []],
                "Options": inputs.get("ipamOptions") or {},
            },
        }
        try:
            made = api._result(api._post_json(api._url("/networks/create"), data=body), True)
        except Exception as error:
            if "already exists" in explanation(error):
                name = inputs["name"]
                raise ResourceError(
                    f"a network {name!r} exists that is not in this stack; remove it, or import it"
                ) from error
            raise
        found = self.read(engine, made["Id"], inputs, {})
        if found is None:
            raise ResourceError(f"the network {inputs['name']!r} was gone as soon as it was made")
        return found

    def read(
        self, engine: Engine, identity: str, inputs: Mapping[str, Any] | None, state: Mapping[str, Any]
    ) -> Found | None:
        """What is there now; for an import `identity` may also be the name."""
        try:
            details = engine.api.inspect_network(identity)
        except Exception as error:
            if is_missing(error):
                return None
            raise
        live = _live(details)
        if inputs is None:
            imported = {
                name: value for name, value in live.items() if name in NETWORK and value not in ("", [], {}, False)
            }
            return Found(details["Id"], live, imported)
        return Found(details["Id"], {**inputs, **live})

    def update(
        self, engine: Engine, identity: str, old: Mapping[str, Any], new: Mapping[str, Any], operation: Operation
    ) -> Found:
        """No property of a network can change in place."""
        raise ResourceError("a network cannot be changed in place")

    def delete(self, engine: Engine, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Remove it, waiting for containers that are just going; names the ones that stay."""
        while True:
            try:
                engine.api.remove_network(identity)
            except Exception as error:
                if is_missing(error):
                    return
                if "has active endpoints" not in explanation(error):
                    raise
            else:
                return
            if operation.remaining() <= _LOOK_SECONDS:
                users = (engine.api.inspect_network(identity).get("Containers") or {}).values()
                names = ", ".join(sorted(item["Name"] for item in users))
                raise ResourceError(f"the network {inputs.get('name', identity)!r} is still used by {names}")
            operation.pause(_LOOK_SECONDS)


def _ipam(config: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        "Subnet": config.get("subnet"),
        "Gateway": config.get("gateway"),
        "IPRange": config.get("ipRange"),
        "AuxiliaryAddresses": config.get("auxAddress"),
    }
    return {key: value for key, value in values.items() if value}


def _live(details: Mapping[str, Any]) -> dict[str, Any]:
    ipam = details.get("IPAM") or {}
    labels = details.get("Labels") or {}
    configs = []
    for item in ipam.get("Config") or []:
        names = (
            ("Subnet", "subnet"),
            ("Gateway", "gateway"),
            ("IPRange", "ipRange"),
            ("AuxiliaryAddresses", "auxAddress"),
        )
        configs.append({name: item[key] for key, name in names if item.get(key)})
    return {
        "name": details["Name"],
        "attachable": details["Attachable"],
        "driver": details["Driver"],
        "ingress": details["Ingress"],
        "internal": details["Internal"],
        "ipamConfigs": configs,
        "ipamDriver": ipam.get("Driver", "default"),
        "ipv6": details["EnableIPv6"],
        "labels": [{"label": key, "value": labels[key]} for key in sorted(labels)],
        "options": details.get("Options") or {},
        "scope": details["Scope"],
    }

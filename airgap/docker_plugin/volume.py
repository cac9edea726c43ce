"""`docker:index/volume:Volume`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure
from airgap.provider.operation import Operation, ResourceError

from .container_fields import LABEL
from .container_spec import labels_map
from .engine import Engine, explanation, is_missing
from .resource import Found
from .schema import Field, Fields, canonical

VOLUME: Fields = {
    "name": Field("string"),
    "cluster": Field("object", unsupported="cluster volumes belong to a swarm, which this plugin does not serve"),
    "driver": Field("string"),
    "driverOpts": Field("map"),
    "labels": Field("objects", fields=LABEL),
}

_LOOK_SECONDS = 0.5
_IN_USE_SECONDS = 30.0


class Volume:
    """A volume of the engine; its id is its name."""

    token = "docker:index/volume:Volume"  # noqa: S105 - a type token
    fields = VOLUME
    computed: tuple[str, ...] = ("driver", "mountpoint")
    create_seconds = 120.0
    delete_seconds = _IN_USE_SECONDS
    auto_named = True

    def check(self, inputs: Mapping[str, Any]) -> list[Failure]:
        """Nothing beyond the schema."""
        return []

    def create(self, engine: Engine, inputs: Mapping[str, Any], operation: Operation) -> Found:
        """Make it, or take one that is there already and is as asked for, which keeps its data.

        One that is there with other labels or another driver is refused: the engine would keep it as it is without a
        word, and the next deployment would replace it, with its data.
        """
        there = _inspect(engine, inputs["name"])
        if there is not None:
            others = sorted(_differences(inputs, there))
            if others:
                name = inputs["name"]
                raise ResourceError(f"a volume {name!r} exists with other {', '.join(others)}; remove it, or import it")
            return Found(there["Name"], {**inputs, **_live(there)})
        body = {
            "Name": inputs["name"],
            "Driver": inputs.get("driver") or "local",
            "DriverOpts": inputs.get("driverOpts") or {},
            "Labels": labels_map(inputs.get("labels")),
        }
        api = engine.api
        made = api._result(api._post_json(api._url("/volumes/create"), data=body), True)
        return Found(made["Name"], {**inputs, **_live(made)})

    def read(
        self, engine: Engine, identity: str, inputs: Mapping[str, Any] | None, state: Mapping[str, Any]
    ) -> Found | None:
        """What is there now under the name."""
        details = _inspect(engine, identity)
        if details is None:
            return None
        live = _live(details)
        if inputs is None:
            imported = {name: value for name, value in live.items() if name in VOLUME and value not in ("", [], {})}
            return Found(details["Name"], live, imported)
        drifted = {name: live.get(name) for name in _differences(inputs, details)}
        return Found(details["Name"], {**inputs, **live}, drifted)

    def update(
        self, engine: Engine, identity: str, old: Mapping[str, Any], new: Mapping[str, Any], operation: Operation
    ) -> Found:
        """No property of a volume can change in place."""
        raise ResourceError("a volume cannot be changed in place")

    def delete(self, engine: Engine, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Remove it, waiting for containers that are just going; names the ones that stay."""
        while True:
            try:
                engine.api.remove_volume(identity)
            except Exception as error:
                if is_missing(error):
                    return
                if "in use" not in explanation(error):
                    raise
            else:
                return
            if operation.remaining() <= _LOOK_SECONDS:
                users = engine.api.containers(all=True, filters={"volume": identity})
                names = ", ".join(sorted(item["Names"][0].lstrip("/") for item in users))
                raise ResourceError(f"the volume {identity!r} is still used by {names}")
            operation.pause(_LOOK_SECONDS)


def _inspect(engine: Engine, name: str) -> Mapping[str, Any] | None:
    try:
        details: Mapping[str, Any] = engine.api.inspect_volume(name)
    except Exception as error:
        if is_missing(error):
            return None
        raise
    return details


def _live(details: Mapping[str, Any]) -> dict[str, Any]:
    labels = details.get("Labels") or {}
    return {
        "name": details["Name"],
        "driver": details["Driver"],
        "driverOpts": details.get("Options") or {},
        "labels": [{"label": key, "value": labels[key]} for key in sorted(labels)],
        "mountpoint": details["Mountpoint"],
    }


def _differences(inputs: Mapping[str, Any], details: Mapping[str, Any]) -> set[str]:
    live = _live(details)
    wished = {"driver": "local", **inputs}
    names = ("driver", "driverOpts", "labels")
    return {name for name in names if canonical(VOLUME[name], live[name]) != canonical(VOLUME[name], wished.get(name))}

"""`docker:index/remoteImage:RemoteImage`: an image that is here, or is pulled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure
from airgap.provider.operation import Operation, ResourceError

from .engine import Engine, explanation, is_missing
from .resource import Found
from .schema import Field, Fields

_BUILD_REASON = "build the image beforehand and give its name here"

IMAGE: Fields = {
    "name": Field("string", required=True),
    "build": Field("object", unsupported=_BUILD_REASON),
    "forceRemove": Field("boolean", replace=False),
    "keepLocally": Field("boolean", replace=False),
    "platform": Field("string"),
    "pullTriggers": Field("set"),
    "triggers": Field("map"),
}


class RemoteImage:
    """An image of the engine. Its id is the engine's image id followed by the name, as the official provider has it."""

    token = "docker:index/remoteImage:RemoteImage"  # noqa: S105 - a type token
    fields = IMAGE
    computed: tuple[str, ...] = ("imageId", "repoDigest")
    create_seconds = 1800.0
    delete_seconds = 300.0
    auto_named = False

    def check(self, inputs: Mapping[str, Any]) -> list[Failure]:
        """Nothing beyond the schema."""
        return []

    def create(self, engine: Engine, inputs: Mapping[str, Any], operation: Operation) -> Found:
        """Take the local image, else pull it."""
        return _found(find_or_pull(engine, inputs["name"], inputs.get("platform")), inputs)

    def read(
        self, engine: Engine, identity: str, inputs: Mapping[str, Any] | None, state: Mapping[str, Any]
    ) -> Found | None:
        """The image that has the name now. An import gives the name as id."""
        known = inputs if inputs is not None else {"name": identity}
        details = _inspect(engine, known["name"])
        if details is None:
            return None
        found = _found(details, known)
        return Found(found.identity, found.outputs, dict(known)) if inputs is None else found

    def update(
        self, engine: Engine, identity: str, old: Mapping[str, Any], new: Mapping[str, Any], operation: Operation
    ) -> Found:
        """`keepLocally` and `forceRemove` only matter later; look the image up again."""
        return _found(find_or_pull(engine, new["name"], new.get("platform")), new)

    def delete(self, engine: Engine, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Remove the image unless `keepLocally`."""
        if inputs.get("keepLocally"):
            return
        try:
            engine.api.remove_image(inputs["name"], force=bool(inputs.get("forceRemove")))
        except Exception as error:
            if not is_missing(error):
                raise


def find_or_pull(engine: Engine, name: str, platform: str | None) -> Mapping[str, Any]:
    """The image's inspection, pulled first when it is not here.

    Raises ResourceError when it is neither here nor to be had.
    """
    details = _inspect(engine, name)
    if details is not None:
        return details
    if name.startswith("sha256:"):
        raise ResourceError(f"there is no image with the id {name} on this engine, and an id cannot be pulled")
    try:
        _pull(engine, name, platform)
    except Exception as error:
        why = explanation(error).splitlines()[0]
        raise ResourceError(
            f"the image {name} is not on this engine and cannot be pulled ({why}); "
            "build or load it there, or correct the name"
        ) from error
    details = _inspect(engine, name)
    if details is None:
        raise ResourceError(f"the image {name} was pulled, but the engine does not know it by this name")
    return details


def _pull(engine: Engine, name: str, platform: str | None) -> None:
    registry, _, rest = name.partition("/")
    login = dict(
        engine.settings.registries.get(registry if rest and ("." in registry or ":" in registry) else "docker.io", {})
    )
    reference, _, digest = name.partition("@")
    last = reference.rpartition("/")[2]
    tag = digest or (last.partition(":")[2] or "latest")
    repository = reference if digest or ":" not in last else reference.rpartition(":")[0]
    for line in engine.api.pull(
        repository, tag=tag, stream=True, decode=True, auth_config=login or None, platform=platform
    ):
        if line.get("error"):
            raise ResourceError(str(line["error"]))


def _inspect(engine: Engine, name: str) -> Mapping[str, Any] | None:
    try:
        details: Mapping[str, Any] = engine.api.inspect_image(name)
    except Exception as error:
        if is_missing(error):
            return None
        raise
    return details


def _found(details: Mapping[str, Any], inputs: Mapping[str, Any]) -> Found:
    digests = details.get("RepoDigests") or []
    outputs = {**inputs, "imageId": details["Id"], "repoDigest": digests[0] if digests else ""}
    return Found(f"{details['Id']}{inputs['name']}", outputs)

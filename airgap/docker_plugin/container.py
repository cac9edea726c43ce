"""`docker:index/container:Container`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure
from airgap.provider.operation import Operation, ResourceError
from airgap.provider.wire import UNKNOWN, reveal

from . import container_state
from .container_fields import COMPUTED, CONTAINER
from .container_spec import create_body, further_networks, update_body
from .engine import Engine, explanation, is_missing
from .image import find_or_pull
from .resource import Found
from .uploads import archive
from .waiting import settle, tail

_GONE_SECONDS = 0.2
_BUSY_PORT = re.compile(
    r"Bind for (?P<taken>\S+) failed: port is already allocated"
    r"|listen \w+ (?P<used>\S+): bind: address already in use"
)


class Container:
    """A container: made, started, waited for, changed in place as far as the engine can, removed."""

    token = "docker:index/container:Container"  # noqa: S105 - a type token
    fields = CONTAINER
    computed: tuple[str, ...] = COMPUTED
    create_seconds = 600.0
    delete_seconds = 300.0
    auto_named = True

    def check(self, inputs: Mapping[str, Any]) -> list[Failure]:
        """Relations between inputs."""
        failures = _check_uploads(inputs.get("uploads"))
        plain = reveal(dict(inputs))
        if plain.get("attach") is True and plain.get("mustRun", True) is True:
            reason = (
                "attach waits for the container's end, so it cannot be required to keep running: set mustRun to false"
            )
            failures.append(Failure("mustRun", reason))
        if plain.get("attach") is True and plain.get("rm") is True:
            failures.append(
                Failure("rm", "with attach the exit code is read after the end, so rm cannot remove the container")
            )
        for index, volume in enumerate(_items(plain.get("volumes"))):
            if not volume.get("containerPath") and not volume.get("fromContainer"):
                path = f"volumes[{index}].containerPath"
                failures.append(Failure(path, f"{path} is required unless fromContainer is given"))
        for index, item in enumerate(plain.get("command") or [] if plain.get("command") is not UNKNOWN else []):
            if item == "":
                failures.append(Failure(f"command[{index}]", f"command[{index}] must not be empty"))
        return failures

    def create(self, engine: Engine, inputs: Mapping[str, Any], operation: Operation) -> Found:
        """Make and start it and wait as asked; on any failure the container is removed again."""
        _refuse_newer(engine, inputs)
        find_or_pull(engine, inputs["image"], inputs.get("platform"))
        api, name = engine.api, inputs["name"]
        try:
            made = api.create_container_from_config(create_body(inputs), name=name, platform=inputs.get("platform"))
        except Exception as error:
            raise _create_problem(error, name) or error from error
        identity = made["Id"]
        try:
            for network, settings in further_networks(inputs):
                api._result(api._post_json(api._url("/networks/{0}/connect", network),
                                           data={"Container": identity, "EndpointConfig": settings}))  # fmt: skip
            if inputs.get("uploads"):
                api.put_archive(identity, "/", archive(inputs["uploads"]))
            if inputs.get("start", True):
                _start(engine, identity)
                settle(engine, identity, inputs, operation)
            return self._found(engine, identity, inputs)
        except BaseException:
            _remove(engine, identity, volumes=True)
            raise

    def read(
        self, engine: Engine, identity: str, inputs: Mapping[str, Any] | None, state: Mapping[str, Any]
    ) -> Found | None:
        """What is there now; for an import `identity` may also be the container's name."""
        try:
            details = engine.api.inspect_container(identity)
        except Exception as error:
            if is_missing(error):
                return None
            raise
        if inputs is None:
            image = engine.api.inspect_image(details["Image"])
            imported = container_state.imported_inputs(details, image)
            return Found(details["Id"], container_state.outputs(imported, details, None), imported)
        drifted = container_state.drift(inputs, details)
        now = {name: value for name, value in {**inputs, **drifted}.items() if value is not None}
        return Found(details["Id"], container_state.outputs(now, details, state.get("containerLogs")), drifted)

    def update(
        self, engine: Engine, identity: str, old: Mapping[str, Any], new: Mapping[str, Any], operation: Operation
    ) -> Found:
        """Set limits and restart policy, and start it when it must run and does not."""
        api = engine.api
        details = api.inspect_container(identity)
        body = update_body(new, _derived_swap(new, details))
        api._result(api._post_json(api._url("/containers/{0}/update", identity), data=body), True)
        wanted = new.get("start", True) and new.get("mustRun", True) and not new.get("attach")
        if wanted and not details["State"]["Running"]:
            _start(engine, identity)
            settle(engine, identity, new, operation)
        return self._found(engine, identity, new)

    def delete(self, engine: Engine, identity: str, inputs: Mapping[str, Any], operation: Operation) -> None:
        """Stop it with `destroyGraceSeconds` where given, then remove it and wait until it is gone."""
        grace = inputs.get("destroyGraceSeconds") or 0
        try:
            if grace > 0 and not inputs.get("attach"):
                engine.api.stop(identity, timeout=grace)
            _remove(engine, identity, volumes=inputs.get("removeVolumes", True))
            while True:
                engine.api.inspect_container(identity)
                operation.pause(_GONE_SECONDS)
        except Exception as error:
            if not is_missing(error):
                raise

    def _found(self, engine: Engine, identity: str, inputs: Mapping[str, Any]) -> Found:
        logs = tail_all(engine, identity) if inputs.get("attach") and inputs.get("logs") else None
        return Found(identity, container_state.outputs(inputs, engine.api.inspect_container(identity), logs))


def tail_all(engine: Engine, identity: str) -> str:
    """The whole log of a container that has ended."""
    raw: bytes = engine.api.logs(identity)
    return raw.decode(errors="replace")


def _check_uploads(uploads: Any) -> list[Failure]:
    failures = []
    for index, upload in enumerate(_items(reveal(uploads))):
        path = f"uploads[{index}]"
        given = [name for name in ("content", "contentBase64", "source") if upload.get(name) not in (None, "")]
        empty_file = not given and upload.get("content") == ""
        if len(given) != 1 and not empty_file:
            failures.append(Failure(path, f"{path}: exactly one of content, contentBase64, source must be given"))
        encoded = upload.get("contentBase64")
        if isinstance(encoded, str):
            try:
                base64.b64decode(encoded, validate=True)
            except binascii.Error:
                failures.append(Failure(f"{path}.contentBase64", f"{path}.contentBase64 must be base64"))
    return failures


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _refuse_newer(engine: Engine, inputs: Mapping[str, Any]) -> None:
    """An older engine ignores what it does not know, so what it is too old for is refused here."""
    have = tuple(int(part) for part in engine.api.api_version.split("."))
    for path, since in newer_inputs(CONTAINER, inputs, ""):
        if have < tuple(int(part) for part in since.split(".")):
            raise ResourceError(f"{path} needs engine API {since}; this engine has {engine.api.api_version}")


def newer_inputs(fields: Mapping[str, Any], inputs: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """The inputs that need a certain engine API, as (path, API version)."""
    found: list[tuple[str, str]] = []
    for name, value in inputs.items():
        field = fields[name]
        if field.since:
            found.append((f"{prefix}{name}", field.since))
        if field.kind == "object":
            found += newer_inputs(field.fields, value, f"{prefix}{name}.")
        elif field.kind == "objects":
            for index, item in enumerate(value):
                found += newer_inputs(field.fields, item, f"{prefix}{name}[{index}].")
    return found


def _create_problem(error: Exception, name: str) -> ResourceError | None:
    text = explanation(error)
    if "is already in use by container" in text:
        return ResourceError(
            f"the name {name!r} is taken by a container that is not in this stack; remove it, or import it"
        )
    return None


def _start(engine: Engine, identity: str) -> None:
    try:
        engine.api.start(identity)
    except Exception as error:
        busy = _BUSY_PORT.search(explanation(error))
        if busy:
            place = busy["taken"] or busy["used"]
            raise ResourceError(
                f"port {place} of the host is in use already; free it, or publish on another one"
            ) from error
        raise


def _remove(engine: Engine, identity: str, *, volumes: bool) -> None:
    try:
        engine.api.remove_container(identity, v=volumes, force=True)
    except Exception as error:
        if not is_missing(error) and "is already in progress" not in explanation(error):
            raise


def _derived_swap(inputs: Mapping[str, Any], details: Mapping[str, Any]) -> int | None:
    """The swap limit that the engine derives from a memory limit (twice as much), where it accounts for swap."""
    live = details["HostConfig"].get("MemorySwap") or 0
    if live == -1:
        return -1
    wished = (inputs.get("memory") or 0) * 1024 * 1024
    return wished * 2 if live > 0 or not details["HostConfig"].get("Memory") else None


__all__ = ["Container", "newer_inputs", "tail"]

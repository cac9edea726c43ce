"""The plugin's gRPC face: Pulumi's ResourceProvider service over the kinds in `catalogue`.

It speaks the protocol directly instead of through `pulumi.provider.experimental`, for two reasons: that layer puts a
Python traceback into every error message, and importing it costs every `pulumi up` a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airgap.protocol import serve, stubs
from airgap.provider.answers import Difference, Failure, answering, check_failures, diff_response, naming, refuse
from airgap.provider.operation import Operation, ResourceError
from airgap.provider.wire import UNKNOWN, Secret, decode_map, encode_map, has_secret, has_unknown, reveal, secret_texts

from . import VERSION, configuration
from .catalogue import RESOURCES, schema_document
from .checking import DEFAULTS, check_fields, strip_bookkeeping, with_defaults, with_name
from .diffing import difference
from .engine import Engine, Settings, plain_errors
from .resource import Found, Resource

provider_pb2 = stubs("provider_pb2")
_WORKERS = 64


class DockerProvider(stubs("provider_pb2_grpc").ResourceProviderServicer):  # type: ignore[misc]
    """Answers the engine's calls; one instance serves one configured provider."""

    def __init__(self) -> None:
        self._engine = Engine(Settings())
        self._cancelled = threading.Event()

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Agree on what both sides understand."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=False, accept_outputs=False, supports_autonaming_configuration=True
        )

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The version, which is the one of the SDK that it serves."""
        return stubs("plugin_pb2").PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The schema of what is served here."""
        return provider_pb2.GetSchemaResponse(schema=schema_document())

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Stop waiting everywhere; what is half-made is removed by the operations themselves."""
        self._cancelled.set()
        from google.protobuf import empty_pb2

        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Check the provider's inputs."""
        with _answering(context, request.news):
            failures = configuration.check(decode_map(request.news))
        response = provider_pb2.CheckResponse(failures=check_failures(failures))
        response.inputs.CopyFrom(request.news)
        return response

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Another engine means other resources: a changed address replaces."""
        with _answering(context, request.news):
            old = configuration.structured(
                decode_map(request.old_inputs if request.old_inputs.fields else request.olds)
            )
            new = configuration.structured(decode_map(request.news))
            result = difference(configuration.PROVIDER, old, new, request.ignoreChanges)
        moved = [name for name in ("host", "context") if name in result.changes and not has_unknown(new.get(name))]
        return diff_response(Difference(result.changes, frozenset(moved)))

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the inputs and see that the engine is there."""
        with _answering(context, request.args):
            values = decode_map(request.args)
            named = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
            settings = configuration.settings({**named, **values})
            engine = Engine(settings)
            if settings.check_daemon:
                engine.ping()
            self._engine = engine
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False,
            supports_autonaming_configuration=True,
        )  # fmt: skip

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse what is unknown or wrong; fill in names and defaults."""
        with _answering(context, request.news):
            kind = _kind(request.urn)
            old, given = decode_map(request.olds), decode_map(request.news)
            failures = check_fields(kind.fields, given)
            if not failures:
                failures = kind.check(given)
            inputs: dict[str, Any] = with_defaults(kind.fields, given)
            if kind.auto_named and not failures:
                named = with_name(inputs, old, naming(request))
                if isinstance(named, Failure):
                    failures = [named]
                else:
                    inputs = named
        response = provider_pb2.CheckResponse(failures=check_failures(failures))
        encode_map(response.inputs, inputs)
        return response

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compare the recorded inputs (which a refresh brings up to date) with the wished ones."""
        with _answering(context, request.news):
            kind = _kind(request.urn)
            old = decode_map(request.old_inputs if request.old_inputs.fields else request.olds)
            result = difference(kind.fields, _meaning(old), _meaning(decode_map(request.news)), request.ignoreChanges)
        return diff_response(result)

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Make the resource, or say in a preview what it would be."""
        inputs = decode_map(request.properties)
        with _answering(context, request.properties, self._address()):
            kind = _kind(request.urn)
            wished = strip_bookkeeping(inputs)
            response = provider_pb2.CreateResponse()
            if request.preview:
                encode_map(response.properties, {**dict.fromkeys(kind.computed, UNKNOWN), **wished})
                return response
            operation = Operation(request.timeout or kind.create_seconds, self._cancelled)
            found = kind.create(self._engine, reveal(wished), operation)
        response.id = found.identity
        encode_map(response.properties, _protected(found.outputs, wished))
        return response

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What is there now: nothing, the same, or something that has drifted. Without inputs it is an import."""
        state = decode_map(request.properties)
        recorded = decode_map(request.inputs)
        with _answering(context, request.inputs, self._address()):
            kind = _kind(request.urn)
            importing = not recorded and not state
            wished = None if importing else strip_bookkeeping(recorded or _as_inputs(kind, state))
            found = kind.read(self._engine, request.id, None if wished is None else reveal(wished), reveal(state))
        response = provider_pb2.ReadResponse()
        if found is None:
            return response
        response.id = found.identity
        encode_map(response.properties, _protected(found.outputs, {**state, **(wished or {})}))
        inputs = with_defaults(kind.fields, found.drift) if importing else _with_drift(recorded, found)
        encode_map(response.inputs, inputs)
        return response

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change the resource in place, or say in a preview what it would be."""
        with _answering(context, request.news, self._address()):
            kind = _kind(request.urn)
            wished, state = strip_bookkeeping(decode_map(request.news)), decode_map(request.olds)
            response = provider_pb2.UpdateResponse()
            if request.preview:
                kept = {name: state[name] for name in state if name in kind.computed or name not in kind.fields}
                encode_map(response.properties, {**kept, **wished})
                return response
            operation = Operation(request.timeout or kind.create_seconds, self._cancelled)
            found = kind.update(self._engine, request.id, reveal(state), reveal(wished), operation)
        encode_map(response.properties, _protected(found.outputs, wished))
        return response

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Remove the resource; one that is gone already is fine."""
        from google.protobuf import empty_pb2

        with _answering(context, request.properties, self._address()):
            kind = _kind(request.urn)
            known = request.old_inputs if request.old_inputs.fields else request.properties
            operation = Operation(request.timeout or kind.delete_seconds, self._cancelled)
            kind.delete(self._engine, request.id, reveal(strip_bookkeeping(decode_map(known))), operation)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """No function is served here."""
        return refuse(
            context, f"the function {request.tok} is not served by this plugin; install the official docker plugin"
        )

    def _address(self) -> str:
        return self._engine.settings.context or self._engine.settings.address()


@contextmanager
def _answering(context: Any, values: Any, address: str = "") -> Iterator[None]:
    with answering(context, values), plain_errors(address):
        yield


def _kind(urn: str) -> Resource:
    token = urn.split("::")[2].rpartition("$")[2]
    kind = RESOURCES.get(token)
    if kind is None:
        served = ", ".join(RESOURCES)
        raise ResourceError(
            f"{token} is not served by this plugin (it serves {served}); install the official docker plugin"
        )
    return kind


def _meaning(values: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = reveal(strip_bookkeeping(values))
    return plain


def _as_inputs(kind: Resource, state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name in kind.fields}


def _with_drift(recorded: Mapping[str, Any], found: Found) -> dict[str, Any]:
    inputs = dict(recorded)
    for name, value in found.drift.items():
        if value is None:
            inputs.pop(name, None)
        else:
            inputs[name] = Secret(value) if has_secret(recorded.get(name)) else value
    if DEFAULTS in inputs:
        inputs[DEFAULTS] = [name for name in inputs[DEFAULTS] if name not in found.drift]
    return inputs


def _protected(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs that come from secret inputs, or that contain the text of one, as secrets."""
    texts = secret_texts(inputs)
    return {
        name: Secret(value) if has_secret(inputs.get(name)) or _contains(value, texts) else value
        for name, value in outputs.items()
        if value is not None
    }


def _contains(value: Any, texts: set[str]) -> bool:
    if isinstance(value, str):
        return any(text in value for text in texts)
    if isinstance(value, Mapping):
        return any(_contains(item, texts) for item in value.values())
    return isinstance(value, list) and any(_contains(item, texts) for item in value)


def main() -> None:
    """Run the plugin until the engine is done with it."""
    add: Callable[..., None] = stubs("provider_pb2_grpc").add_ResourceProviderServicer_to_server
    serve(lambda server: add(DockerProvider(), server), _WORKERS)


if __name__ == "__main__":
    main()

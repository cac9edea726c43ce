"""The plugin's gRPC face: Pulumi's ResourceProvider service over a cluster or a folder of YAML files."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from airgap.protocol import serve, stubs
from airgap.provider.answers import (
    Failure,
    abort_half_made,
    answering,
    check_failures,
    diff_response,
    naming,
    refuse,
)
from airgap.provider.engine_log import EngineLog
from airgap.provider.operation import Operation
from airgap.provider.wire import decode_map, encode_map, has_secret, has_unknown, reveal

from . import VERSION, checkpoint, checks, configuration, immutable
from .awaiting.settle import NotReadyError
from .naming import with_name
from .objects import (
    REPLACE_UNREADY,
    TIMEOUT_SECONDS,
    Type,
    annotated,
    annotation,
    called,
    from_program,
    identity_of,
    namespace_of,
    type_of_token,
)
from .objects import type_of as type_in
from .reach import Reach, reach
from .secrecy import covered, hiding, texts, with_secret_data
from .target import Live, Task

provider_pb2 = stubs("provider_pb2")
# Each wait holds one; the engine must still get through with its Cancel.
_WORKERS = 256
_SECONDS = 600.0
_OWN_SECONDS: Mapping[str, float] = {"Pod": 300.0, "PersistentVolumeClaim": 300.0, "CustomResourceDefinition": 120.0}


class KubernetesProvider(stubs("provider_pb2_grpc").ResourceProviderServicer):  # type: ignore[misc]
    """Answers the engine's calls; one instance serves one configured provider."""

    def __init__(self, engine_address: str = "") -> None:
        self._reach = Reach(configuration.Settings())
        self._cancelled = threading.Event()
        self._log = EngineLog(engine_address)

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Agree on what both sides understand."""
        return provider_pb2.ProviderHandshakeResponse(
            accept_secrets=True, accept_resources=False, accept_outputs=False, supports_autonaming_configuration=True
        )

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the address of an engine that came later."""
        self._log = EngineLog(request.address)
        return _empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The version, which is the one of the SDK that it serves."""
        return stubs("plugin_pb2").PluginInfo(version=VERSION)

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Name and version; the kinds are those of the cluster, which checks them by its own schema."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "kubernetes", "version": VERSION}))

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Stop waiting everywhere; what is there already is recorded."""
        self._cancelled.set()
        return _empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Check the provider's inputs."""
        with answering(context, request.news):
            failures = configuration.check(decode_map(request.news))
        response = provider_pb2.CheckResponse(failures=check_failures(failures))
        response.inputs.CopyFrom(request.news)
        return response

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Another cluster means other objects: a changed address replaces."""
        with answering(context, request.news):
            old = decode_map(request.old_inputs if request.old_inputs.fields else request.olds)
            result = configuration.moved(old, decode_map(request.news))
        return diff_response(result)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the inputs and see that the cluster is there."""
        with answering(context, request.args):
            named = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
            self._reach = reach(configuration.settings({**named, **decode_map(request.args)}))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False,
            supports_autonaming_configuration=True,
        )  # fmt: skip

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refuse what is wrong; fill in type, name and namespace."""
        response = provider_pb2.CheckResponse()
        with answering(context, request.news):
            old, given = decode_map(request.olds), decode_map(request.news)
            if self._reach.skipping and old:
                self._log.warn(request.urn, f"taken as recorded, for {self._reach.away}")
                response.inputs.CopyFrom(request.olds)
                return response
            checks.refuse_token(_token(request.urn), given)
            inputs = checks.with_type(_token(request.urn), given)
            failures = checks.check(inputs)
            if not failures:
                named = with_name(inputs, reveal(old), naming(request))
                if isinstance(named, Failure):
                    failures = [named]
                else:
                    inputs = with_secret_data(self._with_namespace(named, reveal(old)))
        response.failures.extend(check_failures(failures))
        encode_map(response.inputs, inputs)
        return response

    def _with_namespace(self, inputs: dict[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
        found = inputs.get("metadata")
        if not isinstance(found, Mapping) or found.get("namespace") is not None:
            return inputs
        wanted = type_in(inputs)
        default = namespace_of(old) if self._reach.target is None else self._reach.target.default_namespace()
        if not default or not self._reach.namespaced(wanted):
            return inputs
        return {**inputs, "metadata": {**found, "namespace": default}}

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compare the recorded inputs (which a refresh brings up to date) with the wished ones."""
        with answering(context, request.news):
            state, news = decode_map(request.olds), decode_map(request.news)
            old = checkpoint.recorded_inputs(decode_map(request.old_inputs), state)
            old, new = from_program(reveal(old)), from_program(reveal(news))
            namespaced = self._reach.namespaced(type_in(new))
            settings = self._reach.settings
            result = immutable.compare(old, new, settings, namespaced, list(request.ignoreChanges))
            if annotated(new, REPLACE_UNREADY) and self._unready(type_in(old), request.id):
                result = immutable.delete_first(old, new, immutable.replaced_unready(result))
        response = diff_response(result)
        if settings.render_to and settings.always_render:
            response.changes = provider_pb2.DiffResponse.DIFF_SOME
        return response

    def _unready(self, wanted: Type, identity: str) -> bool:
        """Whether a Job, which alone is replaced for that, has not come to a good end."""
        if wanted.kind != "Job" or self._reach.target is None or self._reach.settings.render_to:
            return False
        live = self._reach.target.read(wanted, identity)
        return live is not None and bool(self._reach.target.shortcoming(live, {**live, "metadata": {}}))

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Make the object and wait for it, or say in a preview what it would be."""
        inputs = decode_map(request.properties)
        response = provider_pb2.CreateResponse()
        with answering(context, request.properties), hiding(inputs):
            task = self._task(request, inputs, {})
            if request.preview:
                encode_map(response.properties, self._previewed(inputs, task, new=True))
                return response
            live, reason = _carried_out(self._reach.place().create, task)
            response.id = identity_of(live)
            encode_map(response.properties, checkpoint.outputs(live, inputs, task.manager, {}))
        if reason:
            line = covered(f"{called(live)} is made, but not of use: {reason}", texts(inputs))
            return abort_half_made(context, response.id, response.properties, line, None)
        return response

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Change the object and wait for it, or say in a preview what it would be."""
        inputs, state = decode_map(request.news), decode_map(request.olds)
        response = provider_pb2.UpdateResponse()
        with answering(context, request.news), hiding(inputs):
            task = self._task(request, inputs, state)
            if request.preview:
                encode_map(response.properties, self._previewed(inputs, task, new=False))
                return response
            live, reason = _carried_out(self._reach.place().update, task)
            encode_map(response.properties, checkpoint.outputs(live, inputs, task.manager, state))
        if reason:
            line = covered(f"{called(live)} is changed, but not of use: {reason}", texts(inputs))
            return abort_half_made(context, identity_of(live), response.properties, line, None)
        return response

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """What is there now: nothing, the same, or something else. Without inputs it is an import."""
        state = decode_map(request.properties)
        response = provider_pb2.ReadResponse()
        with answering(context, request.inputs):
            if self._reach.forgetting:
                return response
            if self._reach.skipping or self._reach.settings.render_to:
                return _as_recorded(request)
            recorded = checkpoint.recorded_inputs(decode_map(request.inputs), state)
            place = self._reach.place()
            wanted = type_in(reveal(recorded or state)) if recorded or state else type_of_token(_token(request.urn))
            live = place.read(wanted, request.id)
            if live is None:
                return response
            reason = place.shortcoming(live, reveal(recorded)) if recorded else ""
            if recorded and not reason and checkpoint.undisturbed(recorded, state, live):
                return _as_recorded(request)
            inputs = checkpoint.refreshed(recorded, state, live) if recorded else checkpoint.imported(live)
            manager = checkpoint.manager_of(request.urn, inputs, state)
            response.id = request.id
            encode_map(response.inputs, inputs)
            encode_map(response.properties, checkpoint.outputs(live, inputs, manager, state))
        if reason:
            line = covered(f"{called(live)} is not of use: {reason}", texts(inputs))
            return abort_half_made(context, response.id, response.properties, line, response.inputs)
        return response

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Remove the object and wait until it is gone; one that is gone already is fine."""
        if self._reach.forgetting:
            return _empty()
        with answering(context, request.properties):
            state = decode_map(request.properties)
            inputs = reveal(checkpoint.recorded_inputs(decode_map(request.old_inputs), state))
            wanted = type_in(inputs or reveal(state))
            operation = self._operation(request.timeout, inputs, wanted)
            self._reach.place().delete(wanted, request.id, inputs, operation)
        return _empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """No function is served here."""
        return refuse(
            context, f"the function {request.tok} (YAML, Helm, Kustomize) is not served by this plugin; install the "
            "official kubernetes plugin for it",
        )  # fmt: skip

    def Construct(self, request: Any, context: Any) -> Any:  # noqa: N802
        """No component is served here."""
        return refuse(
            context, f"the component {request.type} is not served by this plugin; install the official kubernetes "
            "plugin for it",
        )  # fmt: skip

    def _previewed(self, inputs: Mapping[str, Any], task: Task, *, new: bool) -> dict[str, Any]:
        if has_unknown(inputs) or self._reach.target is None:
            return checkpoint.previewed(None, inputs, new)
        return checkpoint.previewed(self._reach.target.preview(task, new), inputs, new)

    def _task(self, request: Any, inputs: Mapping[str, Any], state: Mapping[str, Any]) -> Task:
        plain, hidden = reveal(inputs), texts(inputs)
        earlier = str(state.get(checkpoint.FIELD_MANAGER_KEY) or "")
        return Task(
            plain, checkpoint.manager_of(request.urn, inputs, state),
            self._operation(request.timeout, plain, type_in(plain)), earlier, has_secret(inputs),
            tell=lambda line: self._log.status(request.urn, covered(line, hidden)),
            warn=lambda line: self._log.warn(request.urn, covered(line, hidden)),
        )  # fmt: skip

    def _operation(self, seconds: float, inputs: Mapping[str, Any], wanted: Type) -> Operation:
        asked = annotation(inputs, TIMEOUT_SECONDS)
        allowed = seconds or float(asked or 0) or _OWN_SECONDS.get(wanted.kind, _SECONDS)
        return Operation(allowed, self._cancelled)


def _carried_out(action: Callable[[Task], Live], task: Task) -> tuple[Live, str]:
    """The object after the action, and why it is not of use; it is recorded then, so that the next `up` goes on."""
    try:
        return action(task), ""
    except NotReadyError as error:
        return error.live, str(error)


def _as_recorded(request: Any) -> Any:
    """The answer to a Read that leaves everything as it is in the state."""
    return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)


def _empty() -> Any:
    from google.protobuf import empty_pb2

    return empty_pb2.Empty()


def _token(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def main() -> None:
    """Run the plugin until the engine is done with it; the engine's address is the first argument."""
    add: Callable[..., None] = stubs("provider_pb2_grpc").add_ResourceProviderServicer_to_server
    address = sys.argv[1] if len(sys.argv) > 1 else ""
    serve(lambda server: add(KubernetesProvider(address), server), _WORKERS)


if __name__ == "__main__":
    main()

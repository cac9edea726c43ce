"""Answers to the engine: refused inputs, differences, and errors with no secret in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from airgap.protocol import stubs

from .operation import ResourceError
from .wire import UnsupportedValueError, decode_map, secret_texts

provider_pb2 = stubs("provider_pb2")

Change = Literal["add", "delete", "update"]
HIDDEN = "[secret]"


@dataclass(frozen=True)
class Failure:
    """An input that is refused: its path and the reason, without its value."""

    path: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """The changed properties, which of them need a new resource, and whether the old one must go first."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    replaces: frozenset[str] = frozenset()
    delete_first: bool = False


@dataclass(frozen=True)
class Naming:
    """How the engine wants a resource named that was given no name."""

    resource_name: str
    seed: bytes
    proposed: str | None = None
    disabled: bool = False


@contextmanager
def answering(context: Any, values: Any) -> Iterator[None]:
    """Turn every error into one clear message to the engine, with no secret of the request (`values`) in it."""
    import grpc

    try:
        yield
    except UnsupportedValueError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except ResourceError as error:
        context.abort(grpc.StatusCode.UNKNOWN, redacted(str(error), decode_map(values)))
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever it is, the engine must be told
        context.abort(grpc.StatusCode.INTERNAL, redacted(f"{type(error).__name__}: {error}", decode_map(values)))


def refuse(context: Any, message: str) -> Any:
    """Say that something is not served here."""
    import grpc

    return context.abort(grpc.StatusCode.UNIMPLEMENTED, message)


def abort_half_made(context: Any, identity: str, properties: Any, reason: str, inputs: Any) -> Any:
    """End a call with an error although the resource is there: the engine records it, and tries again next time.

    `properties` and `inputs` are protobuf Structs; `inputs` may be None when the engine knows them.
    """
    import grpc

    detail = provider_pb2.ErrorResourceInitFailed(id=identity, properties=properties, reasons=[reason], inputs=inputs)
    status = stubs("status_pb2").Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason)
    status.details.add().Pack(detail)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    return context.abort(grpc.StatusCode.UNKNOWN, reason)


def redacted(message: str, values: Mapping[str, Any]) -> str:
    """The message with the text of every secret in `values` taken out."""
    for text in sorted(secret_texts(values), key=len, reverse=True):
        message = message.replace(text, HIDDEN)
    return message


def naming(request: Any) -> Naming:
    """What a Check request says about naming."""
    name = request.urn.split("::", 3)[3]
    if not request.HasField("autonaming"):
        return Naming(name, request.randomSeed)
    options = request.autonaming
    modes = provider_pb2.CheckRequest.AutonamingOptions
    return Naming(name, request.randomSeed, options.proposed_name or None, options.mode == modes.DISABLE)


def check_failures(failures: list[Failure]) -> list[Any]:
    """The refused inputs as the protocol has them."""
    return [provider_pb2.CheckFailure(property=item.path, reason=item.reason) for item in failures]


def diff_response(result: Difference) -> Any:
    """The difference as the protocol has it."""
    kinds = provider_pb2.PropertyDiff
    words: Mapping[tuple[str, bool], Any] = {
        ("add", False): kinds.ADD, ("add", True): kinds.ADD_REPLACE,
        ("delete", False): kinds.DELETE, ("delete", True): kinds.DELETE_REPLACE,
        ("update", False): kinds.UPDATE, ("update", True): kinds.UPDATE_REPLACE,
    }  # fmt: skip
    detailed = {
        name: provider_pb2.PropertyDiff(kind=words[change, name in result.replaces], inputDiff=True)
        for name, change in result.changes.items()
    }
    verdict = provider_pb2.DiffResponse.DIFF_SOME if result.changes else provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=verdict, diffs=list(result.changes), replaces=sorted(result.replaces), detailedDiff=detailed,
        hasDetailedDiff=True, deleteBeforeReplace=result.delete_first,
    )  # fmt: skip

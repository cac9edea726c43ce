"""Property values as Pulumi sends them, turned into plain Python and back.

Plain means `str`, `bool`, `int`, `float`, `list`, `dict`, `None`; a value that is not known yet is `UNKNOWN`; a secret
one is wrapped in `Secret` until `reveal` takes the wrapping off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker of the protocol
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_MARKS = frozenset(
    {
        _UNKNOWN_TEXT,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()
"""A value that a preview cannot know yet."""


@dataclass(frozen=True)
class Secret:
    """A value that must stay encrypted in the state and out of every message."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(...)"


class UnsupportedValueError(ValueError):
    """An asset, an archive or a resource reference: no property of this plugin takes one."""


def decode(value: Any) -> Any:
    """A protobuf `Value` as Python; numbers without a fraction become `int`."""
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWN_MARKS else value.string_value
    if kind == "list_value":
        return [decode(item) for item in value.list_value.values]
    return _decode_struct(value.struct_value)


def _decode_struct(struct: Any) -> Any:
    fields = struct.fields
    if _SIGNATURE not in fields:
        return {key: decode(item) for key, item in fields.items()}
    mark = fields[_SIGNATURE].string_value
    if mark == _SECRET:
        return Secret(decode(fields["value"]))
    if mark == _OUTPUT:
        inner = decode(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(inner) if fields["secret"].bool_value else inner
    raise UnsupportedValueError("assets, archives and resource references are not values that this plugin takes")


def decode_map(struct: Any) -> dict[str, Any]:
    """A protobuf `Struct` as a dict, nulls left out: for Pulumi an input that is null is an input that is not given."""
    decoded = {key: decode(item) for key, item in struct.fields.items()}
    return {key: item for key, item in decoded.items() if item is not None}


def encode_map(struct: Any, values: Mapping[str, Any]) -> None:
    """Write `values` into a protobuf `Struct`."""
    for key, item in values.items():
        encode(struct.fields[key], item)


def encode(target: Any, value: Any) -> None:
    """Write a Python value into a protobuf `Value`."""
    if isinstance(value, Secret):
        target.struct_value.fields[_SIGNATURE].string_value = _SECRET
        encode(target.struct_value.fields["value"], value.value)
    elif value is UNKNOWN:
        target.string_value = _UNKNOWN_TEXT
    elif value is None:
        target.null_value = 0
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        encode_map(target.struct_value, value)
    else:
        target.list_value.SetInParent()
        for item in value:
            encode(target.list_value.values.add(), item)


def reveal(value: Any) -> Any:
    """The same value without any secret wrapping."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def has_secret(value: Any) -> bool:
    """Whether a secret is in it, at any depth."""
    return any(isinstance(item, Secret) for item in _walk(value))


def has_unknown(value: Any) -> bool:
    """Whether something in it is not known yet, at any depth."""
    return any(item is UNKNOWN for item in _walk(value))


def _walk(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, Secret):
        yield from _walk(value.value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


def secret_texts(values: Mapping[str, Any]) -> set[str]:
    """Every text that must not be shown: secret strings, and the value part of a secret `KEY=value`."""
    found: set[str] = set()
    for item in _walk(dict(values)):
        if isinstance(item, Secret):
            for leaf in _walk(item.value):
                if isinstance(leaf, str):
                    found.add(leaf)
                    found.add(leaf.partition("=")[2])
                    found.update(line for line in leaf.splitlines() if len(line) > 3)
    return {text for text in found if len(text) > 3}

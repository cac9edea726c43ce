"""The kinds of resources that this plugin serves, and its schema document."""

from __future__ import annotations

import json
from typing import Any

from . import VERSION
from .configuration import PROVIDER
from .container import Container
from .image import RemoteImage
from .network import Network
from .resource import Resource
from .schema import Field, Fields
from .volume import Volume

_KINDS: tuple[Resource, ...] = (Container(), Network(), Volume(), RemoteImage())
RESOURCES = {kind.token: kind for kind in _KINDS}

_JSON_TYPES = {"string": "string", "duration": "string", "integer": "integer", "boolean": "boolean"}


def schema_document() -> str:
    """A Pulumi package schema with the inputs of every kind served here."""
    resources = {token: _resource(kind) for token, kind in RESOURCES.items()}
    return json.dumps(
        {
            "name": "docker",
            "version": VERSION,
            "config": {"variables": _properties(PROVIDER)},
            "provider": {"inputProperties": _properties(PROVIDER)},
            "resources": resources,
        }
    )


def _resource(kind: Resource) -> dict[str, Any]:
    required = [name for name, field in kind.fields.items() if field.required]
    return {
        "inputProperties": _properties(kind.fields),
        "requiredInputs": required,
        "properties": _properties(kind.fields),
        "required": required,
    }


def _properties(fields: Fields) -> dict[str, Any]:
    return {name: _property(field) for name, field in fields.items() if not field.unsupported}


def _property(field: Field) -> dict[str, Any]:
    described: dict[str, Any]
    if field.kind in _JSON_TYPES:
        described = {"type": _JSON_TYPES[field.kind]}
    elif field.kind in ("strings", "set"):
        described = {"type": "array", "items": {"type": "string"}}
    elif field.kind == "map":
        described = {"type": "object", "additionalProperties": {"type": "string"}}
    else:
        # Named types would be needed to say more; what is inside is checked by Check all the same.
        plain: dict[str, Any] = {"type": "object", "additionalProperties": {"$ref": "pulumi.json#/Any"}}
        described = plain if field.kind == "object" else {"type": "array", "items": plain}
    return {**described, **({"willReplaceOnChanges": True} if field.replace else {})}

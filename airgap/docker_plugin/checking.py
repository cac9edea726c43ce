"""What Check does for every resource: unknown inputs refused, kinds checked, defaults filled in, a name given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from airgap.provider.answers import Failure, Naming
from airgap.provider.wire import UNKNOWN, Secret, reveal

from .schema import Field, Fields, problem

DEFAULTS = "__defaults"
"""The bookkeeping property in which the official provider, too, lists the inputs that it filled in by itself."""

_NAME_SUFFIX_LENGTH = 7


def check_fields(fields: Fields, inputs: Mapping[str, Any], prefix: str = "") -> list[Failure]:
    """Everything that is wrong with `inputs` by the schema alone."""
    failures = []
    for name, value in inputs.items():
        if name == DEFAULTS:
            continue
        path = f"{prefix}{name}"
        field = fields.get(name)
        if field is None:
            failures.append(
                Failure(path, f"{path} is not an input of this resource; known are {', '.join(sorted(fields))}")
            )
        elif field.unsupported:
            failures.append(Failure(path, f"{path} is not carried out by this plugin: {field.unsupported}"))
        else:
            failures += _check_value(field, value, path)
    missing = [name for name, field in fields.items() if field.required and inputs.get(name) is None]
    return failures + [Failure(f"{prefix}{name}", f"{prefix}{name} is required") for name in missing]


def _check_value(field: Field, value: Any, path: str) -> list[Failure]:
    value = value.value if isinstance(value, Secret) else value
    if value is UNKNOWN or value is None:
        return []
    plain = reveal(value)
    wrong = problem(field, plain)
    if wrong:
        return [Failure(path, f"{path} {wrong}")]
    if field.kind == "object":
        return check_fields(field.fields or {}, value, f"{path}.")
    if field.kind == "objects":
        failures = []
        for index, item in enumerate(value):
            inner = item.value if isinstance(item, Secret) else item
            if inner is UNKNOWN:
                continue
            if not isinstance(inner, dict):
                failures.append(Failure(f"{path}[{index}]", f"{path}[{index}] must be an object"))
            else:
                failures += check_fields(field.fields or {}, inner, f"{path}[{index}].")
        return failures
    return []


def with_defaults(fields: Fields, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with every default filled in, at every depth, and `__defaults` naming the ones that were."""
    given = {name: _nested_defaults(fields.get(name), value) for name, value in inputs.items() if name != DEFAULTS}
    added = [name for name, field in fields.items() if field.default is not None and name not in given]
    given.update({name: fields[name].default for name in added})
    given[DEFAULTS] = sorted(added)
    return given


def _nested_defaults(field: Field | None, value: Any) -> Any:
    if isinstance(value, Secret):
        return Secret(_nested_defaults(field, value.value))
    if field is None or field.fields is None or value is UNKNOWN:
        return value
    if field.kind == "object" and isinstance(value, dict):
        return with_defaults(field.fields, value)
    if field.kind == "objects" and isinstance(value, list):
        return [_one_of_many(field, item) for item in value]
    return value


def _one_of_many(field: Field, item: Any) -> Any:
    if isinstance(item, Secret):
        return Secret(_one_of_many(field, item.value))
    return with_defaults(field.fields or {}, item) if isinstance(item, dict) else item


def strip_bookkeeping(value: Any) -> Any:
    """The same inputs without `__defaults` at any depth: what the properties mean."""
    if isinstance(value, Secret):
        return Secret(strip_bookkeeping(value.value))
    if isinstance(value, Mapping):
        return {name: strip_bookkeeping(item) for name, item in value.items() if name != DEFAULTS}
    if isinstance(value, list):
        return [strip_bookkeeping(item) for item in value]
    return value


def with_name(inputs: dict[str, Any], old: Mapping[str, Any], naming: Naming) -> dict[str, Any] | Failure:
    """The inputs with a name: the given one, else the one made earlier, else a new one from the engine's seed."""
    if inputs.get("name") is not None:
        return inputs
    if naming.disabled:
        return Failure("name", "name is required, because automatic naming is switched off for this stack")
    earlier = old.get("name") if "name" in (old.get(DEFAULTS) or []) else None
    suffix = hashlib.sha256(naming.seed or naming.resource_name.encode()).hexdigest()[:_NAME_SUFFIX_LENGTH]
    named = {**inputs, "name": earlier or naming.proposed or f"{naming.resource_name}-{suffix}"}
    named[DEFAULTS] = sorted({*named.get(DEFAULTS, []), "name"})
    return named

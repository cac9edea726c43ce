"""JSON Schemas (2020-12) of inputs and outputs: checked when they are saved, compiled once, asked without any I/O."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jsonschema_rs

from service.executor.expressions import FieldError
from service.executor.schema_size import DATA_KEYWORDS, size_problem
from service.executor.values import is_deeper

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_CHARACTERS = 64 * 1024
MAX_DEPTH = 64
"""Of a schema, and of a value that is checked."""

MAX_PROBLEMS = 50
_MAX_MESSAGE = 500
_VALUE = "the value"


def schema_problems(schema: Mapping[str, Any]) -> tuple[FieldError, ...]:
    """What is wrong with a schema, each with its place in it; empty when it can be used."""
    text = json.dumps(schema, sort_keys=True)
    if len(text) > MAX_SCHEMA_CHARACTERS:
        return (FieldError("", f"it has {len(text)} characters; it may have {MAX_SCHEMA_CHARACTERS}"),)
    dialect = schema.get("$schema", DIALECT)
    if dialect != DIALECT:
        return (FieldError("$schema", f"must be {DIALECT!r}, or left out"),)
    if is_deeper(schema, MAX_DEPTH):
        return (FieldError("", f"it is nested more than {MAX_DEPTH} levels deep"),)
    problems = tuple(_references_elsewhere(schema, "")) or tuple(_problems(_of_schemas(), schema))
    if problems:
        return problems
    if large := size_problem(schema):
        return (FieldError("", large),)
    try:
        _compile(text)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        path = _path(error.instance_path) if isinstance(error, jsonschema_rs.ValidationError) else ""
        return (FieldError(path, _first_line(error)),)
    return ()


def value_problems(schema: Mapping[str, Any], value: Any) -> tuple[FieldError, ...]:
    """Where a value does not fit a schema that was saved; at most MAX_PROBLEMS, none of which shows the value."""
    if is_deeper(value, MAX_DEPTH):
        return (FieldError("", f"it is nested more than {MAX_DEPTH} levels deep"),)
    try:
        validator = _compile(json.dumps(schema, sort_keys=True))
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        return (FieldError("", f"its schema cannot be used: {_first_line(error)}"),)
    return tuple(_problems(validator, value))


# By content, which for the immutable versions of workflows is the same as by version, and shared where it is equal.
@lru_cache(maxsize=1024)
def _compile(text: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        json.loads(text),
        # Nothing is fetched, from wherever it may be.
        offline=True,
        validate_formats=True,
        mask=_VALUE,
        # Linear in the length of the text, so no pattern can hold up the service; it has no look-around.
        pattern_options=jsonschema_rs.RegexOptions(),
    )


@lru_cache(maxsize=1)
def _of_schemas() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, mask=_VALUE)


def _problems(validator: jsonschema_rs.Draft202012Validator, value: Any) -> Iterator[FieldError]:
    try:
        for count, error in enumerate(validator.iter_errors(value)):
            if count == MAX_PROBLEMS:
                return
            yield FieldError(_path(error.instance_path), error.message[:_MAX_MESSAGE])
    except ValueError as error:
        yield FieldError("", f"it cannot be checked: {_first_line(error)}")


def _references_elsewhere(schema: Any, path: str) -> Iterator[FieldError]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            place = f"{path}.{key}" if path else str(key)
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                if not value.startswith("#"):
                    yield FieldError(place, 'only references into this schema are followed, like "#/$defs/name"')
            elif key not in DATA_KEYWORDS:
                yield from _references_elsewhere(value, place)
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _references_elsewhere(value, f"{path}.{index}")


def _path(parts: Sequence[str | int]) -> str:
    return ".".join(map(str, parts))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:_MAX_MESSAGE]

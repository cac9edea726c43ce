"""Writes ``wfm/models.py`` from the API's committed document: ``python -m wfm.generate --write``.

The client has models of its own because it is installed without the server, and made ones because a second hand-written
description would go its own way. What an answer may hold is open: a newer server's fields and values are read and kept.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

DOCUMENT = Path(__file__).resolve().parent.parent / "service" / "openapi.json"
TARGET = Path(__file__).with_name("models.py")

_HEAD = '''"""What the API takes and gives. Made by ``python -m wfm.generate --write``; do not edit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Sent(BaseModel):
    """What only is sent: a misspelt field is refused here already."""

    model_config = ConfigDict(extra="forbid")


class Received(BaseModel):
    """What is received: fields that this version does not know are kept."""

    model_config = ConfigDict(extra="allow")
'''
_PLAIN = {"integer": "int", "number": "float", "boolean": "bool", "string": "str", "null": "None"}
_FORMATS = {"uuid": "UUID", "date-time": "datetime"}
_WIDTH = 118

Schema = Mapping[str, Any]


def class_name(name: str) -> str:
    """``Page_AgentAnswer_`` of the document is ``PageOfAgentAnswer`` here."""
    return re.sub(r"^(\w+?)_(\w+)_$", r"\1Of\2", name)


def referenced(part: object) -> Iterable[str]:
    """The names of the schemas that a part of the document refers to."""
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rsplit("/", 1)[-1]
        for value in part.values():
            yield from referenced(value)
    elif isinstance(part, list):
        for value in part:
            yield from referenced(value)


def _reached(schemas: Schema, start: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in found:
            found.add(name)
            waiting += referenced(schemas[name])
    return found


def _ordered(schemas: Schema) -> list[str]:
    """Each after those that it refers to."""
    done: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in done or name in above:
            return
        for other in sorted(set(referenced(schemas[name]))):
            visit(other, (*above, name))
        done[name] = None

    for name in sorted(schemas):
        visit(name, ())
    return list(done)


def _choice(values: Iterable[object], *, closed: bool) -> str:
    listed = "Literal[" + ", ".join(json.dumps(value) for value in values) + "]"
    return listed if closed else f"{listed} | str"


def _type(schema: Schema, *, closed: bool) -> str:
    if "$ref" in schema:
        return class_name(schema["$ref"].rsplit("/", 1)[-1])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(_type(each, closed=closed) for each in schema[several]))
    if "const" in schema:
        return _choice([schema["const"]], closed=closed)
    if "enum" in schema:
        return _choice(schema["enum"], closed=closed)
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_type(schema.get('items', {}), closed=closed)}]"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"dict[str, {_type(inner, closed=closed) if isinstance(inner, Mapping) else 'Any'}]"
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), "str")
    return _PLAIN.get(str(kind), "Any")


def _default(schema: Schema) -> str:
    """What a field is when it is left out, as the server would take it."""
    if schema.get("default") == "bearer":
        return '"bearer"  # noqa: S105 - the name of a scheme'
    if "default" in schema:
        value = schema["default"]
        return repr(value) if not isinstance(value, str) else json.dumps(value)
    if "$ref" in schema:
        return f"Field(default_factory={class_name(schema['$ref'].rsplit('/', 1)[-1])})"
    makers = {"array": "list", "object": "dict"}
    made = makers.get(str(schema.get("type")))
    return f"Field(default_factory={made})" if made else "None"


def _text(description: str, indent: str) -> list[str]:
    escaped = description.strip().replace("\\", "\\\\").replace('"""', "'''")
    escaped = escaped if not escaped.endswith('"') else escaped + " "
    if len(indent) + len(escaped) + 6 <= _WIDTH:
        return [f'{indent}"""{escaped}"""']
    wrapped = fill(escaped, _WIDTH, initial_indent=f'{indent}"""', subsequent_indent=indent, break_long_words=False)
    return [*wrapped.split("\n"), f'{indent}"""']


def _field(name: str, schema: Schema, *, required: bool, closed: bool) -> list[str]:
    kind = _type(schema, closed=closed)
    line = f"    {name}: {kind}"
    if schema.get("format") == "password":
        line += " = Field(repr=False)"
    elif not required:
        default = _default(schema)
        nullable = default == "None" and kind != "Any" and "None" not in kind.split(" | ")
        line += f"{' | None' if nullable else ''} = {default}"
    return [line, *(_text(schema["description"], "    ") if schema.get("description") else ())]


def _class(name: str, schema: Schema, *, closed: bool) -> list[str]:
    if "properties" not in schema:
        return ["", "", f"{class_name(name)} = {_type(schema, closed=closed)}"]
    above = "Sent" if closed else "Received"
    lines = ["", "", f"class {class_name(name)}({above}):"]
    lines += [*_text(schema.get("description") or f"{schema.get('title', name)}.", "    "), ""]
    required = set(schema.get("required", ()))
    for field, described in schema["properties"].items():
        lines += _field(field, described, required=field in required, closed=closed)
    return lines


def generate(document: Mapping[str, Any]) -> str:
    """The module's text, not yet formatted."""
    schemas = document["components"]["schemas"]
    operations = [each for path in document["paths"].values() for each in path.values()]
    received = _reached(schemas, (name for each in operations for name in referenced(each["responses"])))
    lines = [_HEAD.rstrip("\n")]
    for name in _ordered(schemas):
        lines += _class(name, schemas[name], closed=name not in received)
    return "\n".join(lines) + "\n"


def formatted(text: str) -> str:
    """As ruff writes it."""
    import subprocess

    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout


if __name__ == "__main__":
    made = formatted(generate(json.loads(DOCUMENT.read_text(encoding="utf-8"))))
    if "--write" in sys.argv[1:]:
        TARGET.write_text(made, encoding="utf-8")
    else:
        sys.stdout.write(made)

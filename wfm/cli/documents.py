"""What is given to a command as a file, JSON or YAML, with the line of each field for what is wrong with it."""

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from wfm.cli.exits import CliError

STDIN = "-"
MAX_BYTES = 16 * 1024 * 1024


class _Loader(yaml.SafeLoader):
    """YAML as JSON knows it: `no` and `on` are texts, dates stay texts, and no key comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} comes twice", key.start_mark)
            seen.add(name)
        return {str(key.value): self.construct_object(value, deep=True) for key, value in node.value}


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith((":timestamp", ":bool"))]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))


@dataclass(frozen=True)
class Document:
    """A value from a file. ``below`` is where the request has it: an input is sent as ``input``."""

    value: Any
    name: str
    node: yaml.Node | None = field(default=None, repr=False)
    below: str = ""

    def place(self, path: str) -> str:
        """``file:line`` of a field of the request, or of the nearest one around it; empty where there is none."""
        inner = path
        if self.below:
            if path != self.below and not path.startswith(f"{self.below}."):
                return ""
            inner = path.removeprefix(self.below).removeprefix(".")
        if self.node is None:
            return ""
        return f"{self.name}:{_line(self.node, inner.split('.') if inner else [])}"


def _line(node: yaml.Node, parts: Sequence[str]) -> int:
    line = node.start_mark.line
    while parts:
        found: tuple[int, yaml.Node, Sequence[str]] | None = None
        if isinstance(node, yaml.SequenceNode) and parts[0].isdigit() and int(parts[0]) < len(node.value):
            inner = node.value[int(parts[0])]
            found = (inner.start_mark.line, inner, parts[1:])
        elif isinstance(node, yaml.MappingNode):
            # A key may have dots itself: the longest that fits.
            for length in range(len(parts), 0, -1):
                name = ".".join(parts[:length])
                match = [(key, value) for key, value in node.value if str(key.value) == name]
                if match:
                    found = (match[0][0].start_mark.line, match[0][1], parts[length:])
                    break
        if found is None:
            break
        line, node, parts = found
    return int(line) + 1


def read_all(path: str) -> list[Document]:
    """Every document of a file, or of stdin for ``-``. Raises CliError with the line where it cannot be read."""
    name = "stdin" if path == STDIN else path
    text = _text(path, name)
    try:
        loader = _Loader(text)
        try:
            found = []
            while loader.check_node():
                node = loader.get_node()
                found.append(Document(_json(loader.construct_document(node)), name, node))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise CliError(f"{where}: {error.problem or 'this is neither YAML nor JSON'}", "mend the file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CliError(f"{name}: {' '.join(str(error).split()) or 'it nests too deep'}", "mend the file") from None
    if not found:
        raise CliError(f"{name} is empty", "write a document into it")
    return found


def read(path: str) -> Document:
    """The one document of a file."""
    found = read_all(path)
    if len(found) > 1:
        raise CliError(f"{found[0].name} holds {len(found)} documents; one is wanted here")
    return found[0]


def _text(path: str, name: str) -> str:
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as stream:
                content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise CliError(f"{name} is longer than {MAX_BYTES // 1024**2} MiB", "no request may be that long")
        return content.decode("utf-8")
    except OSError as error:
        raise CliError(
            f"{name} cannot be read: {error.strerror}", "give a file that is there, or - for stdin"
        ) from None
    except UnicodeDecodeError as error:
        raise CliError(f"{name} is not UTF-8: {error.reason} at byte {error.start}") from None


def _json(value: Any) -> Any:
    """Refuses what YAML can say and JSON can't."""
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError(f"{type(value).__name__} values cannot be sent as JSON")


def value_of(text: str) -> Any:
    """What stands after the ``=`` of ``--set``: JSON, else the text itself. No YAML: expressions look like it."""
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text


def with_settings(document: Any, settings: Sequence[str]) -> Any:
    """The document with each ``key=value``; ``a.b`` and ``a.0`` go deeper. The given one is not changed."""
    found = json.loads(json.dumps(document))
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path or "" in path.split("."):
            raise CliError(
                f"--set {setting!r} must be key=value", "for instance --set name=Ada or --set steps.0.agent=a"
            )
        found = _set(found, path.split("."), value_of(text), setting)
    return found


def _set(under: Any, parts: Sequence[str], value: Any, setting: str) -> Any:
    if not parts:
        return value
    first, *rest = parts
    if isinstance(under, list):
        if not first.isdigit() or int(first) > len(under):
            raise CliError(f"--set {setting!r}: {first!r} is no place in a list of {len(under)}")
        place = int(first)
        inner = _set(under[place] if place < len(under) else None, rest, value, setting)
        return [*under[:place], inner, *under[place + 1 :]]
    if under is not None and not isinstance(under, dict):
        raise CliError(f"--set {setting!r}: what is around {first!r} is neither a mapping nor a list")
    return {**(under or {}), first: _set((under or {}).get(first), rest, value, setting)}

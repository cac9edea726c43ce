"""The routes of the service, read from its source, and the operations of its committed OpenAPI document."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

from policies.view.project import Project

DOCUMENT = "service/openapi.json"
METHODS = frozenset({"get", "post", "put", "patch", "delete"})
API_PREFIX = re.compile(r"^/api/v\d+(?=/)")
"""`/api/v1`, which a setting puts before the paths of the business routes."""


@dataclass(frozen=True)
class Operation:
    """What one method of one path promises."""

    method: str
    path: str
    """Without the prefix that a setting gives."""
    status: str
    """The code of a success."""
    description: str


def documented(project: Project) -> frozenset[Operation] | None:
    """The operations of the committed document; None when it is missing or can't be read."""
    try:
        document = json.loads(project.text(DOCUMENT) or "")
        found = set()
        for path, operations in document["paths"].items():
            for method, each in operations.items():
                status = next((code for code in each["responses"] if code.startswith("2")), "")
                found.add(Operation(method, API_PREFIX.sub("", path), status, _plain(each.get("description"))))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return frozenset(found)


def documented_version(project: Project) -> str | None:
    """The version that the committed document tells."""
    try:
        return str(json.loads(project.text(DOCUMENT) or "")["info"]["version"])
    except (ValueError, KeyError, TypeError):
        return None


def routed(project: Project) -> frozenset[Operation]:
    """The operations that the source declares: functions with `@router.get("/path")` and the like."""
    found: set[Operation] = set()
    for file in project.files("service/**/*.py"):
        text = project.text(file.relative_to(project.root).as_posix()) or ""
        if "router" in text:
            found |= set(_of_module(ast.parse(text)))
    return frozenset(found)


def _of_module(module: ast.Module) -> Iterator[Operation]:
    prefixes: dict[str, str] = {}
    for node in module.body:
        # What a function makes, like the routers of pages, is not in the document.
        if isinstance(node, ast.Assign) and _makes_router(node.value) and isinstance(node.targets[0], ast.Name):
            options = {each.arg: each.value for each in node.value.keywords}
            if _constant(options.get("include_in_schema")) is not False:
                prefixes[node.targets[0].id] = str(_constant(options.get("prefix")) or "")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if (made := _made(decorator, prefixes, ast.get_docstring(node) or "")) is not None:
                    yield made


def _makes_router(value: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id.endswith("Router")


def _made(decorator: ast.expr, prefixes: dict[str, str], docstring: str) -> Operation | None:
    if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute) and decorator.args):
        return None
    router, method = decorator.func.value, decorator.func.attr
    path = _constant(decorator.args[0])
    if not isinstance(router, ast.Name) or router.id not in prefixes or method not in METHODS or path is None:
        return None
    options = {each.arg: _constant(each.value) for each in decorator.keywords}
    if options.get("include_in_schema") is False:
        return None
    return Operation(method, f"{prefixes[router.id]}{path}", str(options.get("status_code") or 200), _plain(docstring))


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def _plain(text: object) -> str:
    return " ".join(str(text or "").split())

"""What an OpenAPI document and its pages say about the routes of an API."""

import re
from collections.abc import Callable
from typing import Any

_ASSET = re.compile(r"""(?:src|href)=["']([^"']+\.(?:js|css))["']""")
_PARAMETER = re.compile(r"\{[^}]+\}")


def assets(page: str) -> list[str]:
    """The scripts and style sheets that an HTML page loads."""
    return sorted(set(_ASSET.findall(page)))


def plain_reads(document: dict[str, Any]) -> list[str]:
    """The paths of all GET operations that need no parameter."""
    return sorted(
        path
        for path, operations in document["paths"].items()
        if "get" in operations
        and not any(parameter.get("required") for parameter in operations["get"].get("parameters", ()))
    )


def writes(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and path of all operations that take a body."""
    return sorted(
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict) and "requestBody" in operation
    )


def text_parameters(document: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """(method, path, names of query parameters) of all GET operations that take any parameter."""
    found = []
    for path, operations in document["paths"].items():
        parameters = operations.get("get", {}).get("parameters", ())
        names = [parameter["name"] for parameter in parameters if parameter["in"] == "query"]
        if names or "{" in path:
            found.append(("GET", path, names))
    return sorted(found)


def filled(path: str, value: Callable[[], str]) -> str:
    """The path with every parameter replaced by a new value."""
    return _PARAMETER.sub(lambda _: value(), path)

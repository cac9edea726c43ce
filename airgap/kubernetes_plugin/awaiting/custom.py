"""The annotation `pulumi.com/waitFor`: a condition or a value of the object that is waited for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .look import READY, Look, Waiting, condition

_CONDITION = re.compile(r"condition=(?P<kind>[^=]+)(?:=(?P<value>.+))?")
_PATH = re.compile(r"jsonpath=\{?(?P<path>(?:\.[A-Za-z0-9_-]+)+)\}?(?:=(?P<value>.+))?")


def expressions(text: str) -> list[str]:
    """The expressions in the annotation: one, or a JSON list of several."""
    try:
        found = json.loads(text)
    except ValueError:
        return [text]
    return [str(item) for item in found] if isinstance(found, list) else [text]


def problem(text: str) -> str | None:
    """Why the annotation cannot be carried out, or None."""
    for expression in expressions(text):
        if not _CONDITION.fullmatch(expression) and not _PATH.fullmatch(expression):
            return (
                f"{expression!r} is neither condition=TYPE[=VALUE] nor jsonpath={{.plain.path}}[=VALUE]; "
                "other JSONPath is served by the official kubernetes plugin only"
            )
    return None


def look(text: str, item: Mapping[str, Any]) -> Look:
    """Whether all that the annotation asks for is so."""
    for expression in expressions(text):
        if not _met(expression, item):
            return Waiting(f"{expression} is not so yet")
    return READY


def _met(expression: str, item: Mapping[str, Any]) -> bool:
    wanted = _CONDITION.fullmatch(expression)
    if wanted:
        value = wanted["value"] or "True"
        return str(condition(item, wanted["kind"]).get("status", "")).lower() == value.lower()
    path = _PATH.fullmatch(expression)
    if not path:
        return False
    found: Any = item
    for step in path["path"].strip(".").split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    if found is None or path["value"] is None:
        return found is not None
    return path["value"] == (found if isinstance(found, str) else json.dumps(found))

"""JSON as Postgres can store it."""

import json
from typing import Any

from service.executor.kinds.base import StepFailedError

MAX_OUTPUT_BYTES = 16 * 1024 * 1024

# Made once: making it takes longer than encoding a small value.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

PROBLEM = "urn:problem:workflow-management:"


def problem(code: str, title: str, detail: str) -> dict[str, Any]:
    """The error of a run, as it is stored and shown."""
    return {"type": f"{PROBLEM}{code}", "title": title, "detail": detail, "code": code}


def encode(value: Any) -> str:
    """The value as JSON text for a jsonb column; raises ValueError for what that cannot hold (NUL, lone surrogates)."""
    text = _ENCODER.encode(value)
    text.encode("utf-8")
    if "\\u0000" in text and _holds_nul(value):
        raise ValueError("it holds a NUL character")
    return text


def check_output(value: Any) -> None:
    """Raises StepFailedError, not retryable, for a step's output that cannot be journalled."""
    try:
        size = len(encode(value))
    except (ValueError, TypeError, RecursionError) as error:
        raise StepFailedError("output", f"the output cannot be stored: {error}", retryable=False) from None
    if size > MAX_OUTPUT_BYTES:
        raise StepFailedError("output", f"the output is larger than {MAX_OUTPUT_BYTES} characters", retryable=False)


def is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie in one another more than so many levels deep."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return False
    return True


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(inner) for key, inner in value.items())
    return isinstance(value, (list, tuple)) and any(map(_holds_nul, value))

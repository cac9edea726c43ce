"""How much work a JSON Schema makes: found before it is used, because a validator has no bound of its own."""

from collections.abc import Mapping
from typing import Any

MAX_PARTS = 10_000
"""With every reference followed: parts that name one another twice double with each, and so does the work."""

MAX_RECURSIVE_PARTS = 400
"""For a schema that refers to itself: its parts are walked once for each level of a value, on the machine's stack."""

MAX_REFERENCES_IN_A_ROW = 64

DATA_KEYWORDS = ("const", "enum", "default", "examples")
"""What is below these is no schema, whatever it looks like."""

_NOT_APPLIED = (*DATA_KEYWORDS, "$defs", "definitions")


def size_problem(schema: Mapping[str, Any]) -> str | None:
    """Why the schema is too large, or None."""
    size = _Size(schema)
    try:
        parts = size.of(schema, ("#",))
    except RecursionError:
        return f"more than {MAX_REFERENCES_IN_A_ROW} references lead on from one to the next"
    if parts > MAX_PARTS:
        return f"it has {parts} parts with its references followed; it may have {MAX_PARTS}"
    if size.recursive and parts > MAX_RECURSIVE_PARTS:
        return f"it refers to itself and has {parts} parts; such a schema may have {MAX_RECURSIVE_PARTS}"
    return None


class _Size:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.recursive = False
        self._root = root
        self._known: dict[str, int] = {}

    def of(self, schema: Any, on_way: tuple[str, ...]) -> int:
        if isinstance(schema, list):
            return sum(self.of(value, on_way) for value in schema)
        if not isinstance(schema, Mapping):
            return 0
        parts = 1
        for key, value in schema.items():
            if key == "$dynamicRef":
                self.recursive = True
            elif key == "$ref" and isinstance(value, str):
                parts += self._of_reference(value, on_way)
            elif key not in _NOT_APPLIED:
                parts += self.of(value, on_way)
        return parts

    def _of_reference(self, reference: str, on_way: tuple[str, ...]) -> int:
        # One by an anchor's name is not looked up; it may lead anywhere.
        if reference in on_way or not reference.startswith("#/"):
            self.recursive = True
            return 0
        if len(on_way) > MAX_REFERENCES_IN_A_ROW:
            raise RecursionError
        if reference not in self._known:
            self._known[reference] = self.of(self._target(reference), (*on_way, reference))
        return self._known[reference]

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for part in reference.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(name)
            elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found

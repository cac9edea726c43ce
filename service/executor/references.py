"""What a JMESPath expression reads of the data that steps see: found in its text, without any data."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

from service.executor.expressions import compile_expression, is_true

_FOLDED = ("subexpression", "pipe", "index_expression")
_PROJECTIONS = ("projection", "value_projection", "filter_projection", "flatten")


@dataclass
class Reading:
    """The names read at the root (``input``, ``steps``), and the ids of the steps whose outputs are read.

    ``whole`` says that the root or all the steps together are read, so that nothing is known of which.
    """

    roots: set[str] = field(default_factory=set)
    steps: set[str] = field(default_factory=set)
    whole: bool = False

    @property
    def constant(self) -> bool:
        """Whether the result is the same for all data."""
        return not self.roots and not self.whole


class _Place(Enum):
    ROOT, STEPS, INSIDE = range(3)


def reading_of(expression: str) -> Reading:
    """What the expression reads; raises InvalidExpressionError where it cannot be parsed."""
    found = Reading()
    _Walk(found).take(_tree(expression), _Place.ROOT)
    return found


def trap_in(expression: str) -> str | None:
    """What is surely not meant as it is written, or None: ``!a.b`` is read as ``(!a).b``, which is always null."""
    return "'!a.b' means (!a).b, which is always null; write !(a.b)" if _negates_part(_tree(expression)) else None


def is_always_false(expression: str) -> bool:
    """Whether the expression reads no data and is false by itself."""
    return reading_of(expression).constant and not is_true(expression, {})


def _tree(expression: str) -> dict[str, Any]:
    return cast(dict[str, Any], compile_expression(expression).parsed)


def _children(node: dict[str, Any]) -> list[dict[str, Any]]:
    # A slice has numbers for children.
    return [child for child in node["children"] if isinstance(child, dict)]


def _negates_part(node: dict[str, Any]) -> bool:
    children = _children(node)
    if node["type"] == "subexpression" and children[0]["type"] == "not_expression":
        return True
    return any(map(_negates_part, children))


class _Walk:
    """Follows where in the data each part of an expression stands."""

    def __init__(self, found: Reading) -> None:
        self._found = found

    def take(self, node: dict[str, Any], place: _Place) -> None:
        """A part whose whole result is used."""
        if self._step(node, place) is not _Place.INSIDE:
            self._found.whole = True

    def _step(self, node: dict[str, Any], place: _Place) -> _Place:
        kind, children = node["type"], _children(node)
        if kind == "field":
            return self._field(str(node["value"]), place)
        if kind in ("current", "identity"):
            return place
        if kind in _FOLDED:
            for child in children:
                place = self._step(child, place)
            return place
        if kind in _PROJECTIONS:
            self.take(children[0], place)
            # The rest is asked of each element.
            for child in children[1:]:
                self._step(child, _Place.INSIDE)
            return _Place.INSIDE
        for child in children:
            self.take(child, _Place.INSIDE if kind == "expref" else place)
        return _Place.INSIDE

    def _field(self, name: str, place: _Place) -> _Place:
        if place is _Place.ROOT:
            self._found.roots.add(name)
            return _Place.STEPS if name == "steps" else _Place.INSIDE
        if place is _Place.STEPS:
            self._found.steps.add(name)
        return _Place.INSIDE

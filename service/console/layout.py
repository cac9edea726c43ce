"""Places the steps of a graph: in columns, each step to the right of all that it needs. Pure.

A line that passes other columns is given a place in each of them, like a step, so that it leads around the steps. The
order within a column follows the neighbours' (the barycentre method), which keeps most lines from crossing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.workflows.graph import Needs, waves

NODE_WIDTH, NODE_HEIGHT = 180, 48
_COLUMN_GAP, _ROW_GAP, _LINE_HEIGHT, _MARGIN = 56, 20, 8, 6
_SWEEPS = 4
_MOST_BENDS = 1000
"""Of all lines together; with more of them lines are drawn straight."""
MOST_LINES = 2000

Point = tuple[float, float]
_Place = str | tuple[str, str, int]
"""A step, or where the line of two steps passes a column."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step, by its upper left corner."""

    id: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """The line from a step to one that needs it, as the path of an SVG."""

    source: str
    target: str
    path: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph with its places."""

    width: float
    height: float
    nodes: Sequence[Node]
    lines: Sequence[Line]


def draw(needs: Needs) -> Drawing | None:
    """The graph of the steps by what each needs; None where it has too many lines for anybody to follow."""
    edges = [(need, name) for name, its in needs.items() for need in its]
    if len(edges) > MOST_LINES:
        return None
    groups = waves(needs)
    column = {name: number for number, group in enumerate(groups) for name in group}
    bends = sum(column[target] - column[source] - 1 for source, target in edges)
    columns: list[list[_Place]] = [list(group) for group in groups]
    ways: dict[tuple[str, str], list[_Place]] = {}
    for source, target in edges:
        way: list[_Place] = [source]
        if bends <= _MOST_BENDS:
            for number in range(column[source] + 1, column[target]):
                way.append((source, target, number))
                columns[number].append(way[-1])
        ways[source, target] = [*way, target]
    _put_in_order(columns, ways)
    places, height = _places(columns)
    nodes = [Node(name, *places[name]) for name in needs]
    lines = [Line(*edge, _path([places[one] for one in way], way)) for edge, way in ways.items()]
    width = len(columns) * (NODE_WIDTH + _COLUMN_GAP) - _COLUMN_GAP + 2 * _MARGIN
    return Drawing(width, height, nodes, lines)


def _put_in_order(columns: list[list[_Place]], ways: Mapping[tuple[str, str], list[_Place]]) -> None:
    before: dict[_Place, list[_Place]] = {}
    after: dict[_Place, list[_Place]] = {}
    for way in ways.values():
        for one, following in pairwise(way):
            before.setdefault(following, []).append(one)
            after.setdefault(one, []).append(following)
    for sweep in range(_SWEEPS):
        neighbours, order = (before, columns) if sweep % 2 == 0 else (after, columns[::-1])
        rank: dict[_Place, float] = {}
        for places in order:
            here = {one: number / len(places) for number, one in enumerate(places)}

            def middle(one: _Place, here: Mapping[_Place, float] = here) -> float:
                found = [rank[other] for other in neighbours.get(one, ()) if other in rank]  # noqa: B023 - used at once
                return sum(found) / len(found) if found else here[one]

            places.sort(key=middle)
            rank.update({one: number / len(places) for number, one in enumerate(places)})


def _high(one: _Place) -> int:
    return NODE_HEIGHT if isinstance(one, str) else _LINE_HEIGHT


def _places(columns: Sequence[Sequence[_Place]]) -> tuple[dict[_Place, Point], float]:
    """The upper left corners, each column in the middle of the height, and the height."""
    heights = [sum(map(_high, column)) + _ROW_GAP * (len(column) - 1) for column in columns]
    highest = max(heights)
    found: dict[_Place, Point] = {}
    for number, (column, height) in enumerate(zip(columns, heights, strict=True)):
        y = _MARGIN + (highest - height) / 2
        for one in column:
            found[one] = (_MARGIN + number * (NODE_WIDTH + _COLUMN_GAP), y)
            y += _high(one) + _ROW_GAP
    return found, highest + 2 * _MARGIN


def _path(corners: Sequence[Point], way: Sequence[_Place]) -> str:
    x, y = corners[0][0] + NODE_WIDTH, corners[0][1] + _high(way[0]) / 2
    parts = [f"M{x:g} {y:g}"]
    for (left, top), one in zip(corners[1:], way[1:], strict=True):
        to, bend = top + _high(one) / 2, (left - x) / 2
        parts.append(f"C{x + bend:g} {y:g} {left - bend:g} {to:g} {left:g} {to:g}")
        x, y = left, to
        if not isinstance(one, str):
            x += NODE_WIDTH
            parts.append(f"H{x:g}")
    return "".join(parts)

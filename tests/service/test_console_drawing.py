"""What the console draws: graphs placed so that they can be followed, bars on one scale, words for times."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.console.diagram import diagrams
from service.console.icons import ICONS
from service.console.layout import MOST_LINES, NODE_HEIGHT, NODE_WIDTH, Drawing, draw
from service.console.timeline import bars
from service.console.words import json_text, took
from service.platform.tables import RUN_STATUSES, STEP_STATUSES
from service.runs.schemas import RunAnswer, StepAnswer
from service.workflows.schemas import Flow

pytestmark = pytest.mark.ring("unit")

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def _drawn(needs: dict[str, list[str]]) -> Drawing:
    found = draw(needs)
    assert found is not None
    return found


@st.composite
def _graphs(make: Any) -> dict[str, list[str]]:
    names = [f"s{number}" for number in range(make(st.integers(1, 14)))]
    return {
        name: make(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        for place, name in enumerate(names)
    }


@settings(deadline=None, max_examples=60)
@given(_graphs())
def test_each_step_has_a_place_of_its_own_to_the_right_of_what_it_needs(needs: dict[str, list[str]]) -> None:
    drawing = _drawn(needs)
    at = {node.id: node for node in drawing.nodes}
    assert list(at) == list(needs)
    for name, node in at.items():
        assert 0 <= node.x <= drawing.width - NODE_WIDTH
        assert 0 <= node.y <= drawing.height - NODE_HEIGHT
        assert all(at[need].x + NODE_WIDTH < node.x for need in needs[name])
    for one in drawing.nodes:
        for other in drawing.nodes:
            if one is not other and one.x == other.x:
                assert abs(one.y - other.y) >= NODE_HEIGHT
    assert {(line.source, line.target) for line in drawing.lines} == {
        (need, name) for name, its in needs.items() for need in its
    }


def test_a_line_leads_around_the_steps_that_it_passes() -> None:
    drawing = _drawn({"a": [], "b": ["a"], "c": ["a", "b"]})
    between = next(node for node in drawing.nodes if node.id == "b")
    [path] = [line.path for line in drawing.lines if (line.source, line.target) == ("a", "c")]
    # It goes straight through the column of the step, above or below it.
    [height] = [float(y) for y in re.findall(r"([\d.]+)H", path)]
    assert not between.y <= height <= between.y + NODE_HEIGHT


def test_lines_do_not_cross_where_they_need_not() -> None:
    drawing = _drawn({"a": [], "b": [], "c": [], "x": ["c"], "y": ["b"], "z": ["a"]})
    y = {node.id: node.y for node in drawing.nodes}
    assert (y["c"] < y["b"] < y["a"]) == (y["x"] < y["y"] < y["z"])
    assert sorted(["a", "b", "c"], key=y.__getitem__) == sorted(
        ["a", "b", "c"], key=lambda one: y[{"a": "z", "b": "y", "c": "x"}[one]]
    )


def test_a_graph_of_the_most_steps_is_drawn_and_one_of_too_many_lines_is_not() -> None:
    chain = {f"s{number}": [f"s{number - 1}"] if number else [] for number in range(200)}
    assert len(_drawn(chain).lines) == 199
    assert draw({f"s{number}": [f"s{other}" for other in range(number)] for number in range(200)}) is None
    most = {f"s{number}": [f"s{other}" for other in range(number)] for number in range(63)}
    assert sum(map(len, most.values())) < MOST_LINES
    assert len(_drawn(most).lines) == sum(map(len, most.values()))


def test_every_status_has_a_shape_of_its_own() -> None:
    statuses = {*RUN_STATUSES, *STEP_STATUSES}
    assert statuses <= ICONS.keys()
    assert len({ICONS[status] for status in statuses}) == len(statuses)


def test_a_step_is_drawn_with_its_status_in_words_and_a_long_name_is_cut_but_told() -> None:
    long = "a" * 40
    flow = Flow.model_validate({"steps": [{"id": long, "agent": "x"}], "on_failure": [{"id": "tell", "agent": "x"}]})
    main, late = diagrams(flow, {long: "running"})
    assert (main.boxes[0].says, main.boxes[0].title) == ("running", f"{long}: running")
    assert main.boxes[0].label == "a" * 18 + "…"
    assert (late.name, late.boxes[0].says) == ("Steps after a failure", "pending")


def _run(**times: Any) -> RunAnswer:
    return RunAnswer.model_validate(
        {
            "id": uuid4(),
            "workflow_id": uuid4(),
            "workflow_version": 1,
            "status": "running",
            "correlation_id": "c",
            "requested_by": "r",
            "attempt": 1,
            "created_at": AT,
            "started_at": AT,
            "finished_at": None,
            "cancel_requested_at": None,
            "pause_requested_at": None,
            "paused_at": None,
            "origin_run_id": None,
            "priority": 0,
            "waits_for": None,
            "input": {},
            "output": None,
            "error": None,
            "steps": [],
            **times,
        }
    )


def test_bars_are_on_one_scale_and_what_is_under_way_goes_on_until_now() -> None:
    steps = [
        StepAnswer(id="done", started_at=AT, finished_at=AT + timedelta(seconds=5)),
        StepAnswer(id="going", started_at=AT + timedelta(seconds=5)),
        StepAnswer(id="waiting"),
    ]
    found = bars(_run(), steps, AT + timedelta(seconds=10))
    assert {name: (bar.begin, bar.width) for name, bar in found.items()} == {"done": (0, 50), "going": (50, 50)}


def test_a_bar_stays_within_the_whole_whatever_the_clocks_say() -> None:
    odd = [StepAnswer(id="odd", started_at=AT + timedelta(seconds=10), finished_at=AT + timedelta(seconds=9))]
    [bar] = bars(_run(finished_at=AT + timedelta(seconds=10)), odd, AT).values()
    assert bar.begin + bar.width <= 100
    assert bar.width > 0
    assert bars(_run(finished_at=AT), [StepAnswer(id="none", started_at=AT, finished_at=AT)], AT) == {}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0421, "42 ms"), (3.21, "3.2 s"), (75, "1 min 15 s"), (3 * 3600 + 60, "3 h 1 min"), (200_000, "2 d 7 h")],
)
def test_a_duration_is_told_as_precisely_as_it_matters(seconds: float, text: str) -> None:
    assert took(AT, AT + timedelta(seconds=seconds)) == text
    assert took(AT, None) == ""


def test_half_a_character_that_cannot_be_sent_is_spelled_out() -> None:
    assert json_text({"a": "\ud800"}).encode() == b'{\n  "a": "\\ud800"\n}'

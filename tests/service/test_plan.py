"""What is known of a run before it is executed."""

from typing import Any

import pytest

from service.workflows.plan import make_plan
from service.workflows.schemas import PlannedStep
from tests.service.executor_support import step

pytestmark = pytest.mark.ring("unit")


def plan(*steps: dict[str, Any], **run_input: Any) -> dict[str, PlannedStep]:
    return {one.id: one for wave in make_plan({"steps": list(steps)}, run_input)[0] for one in wave}


def read(expression: str) -> dict[str, str]:
    return {"$jmespath": expression}


def test_steps_come_in_waves_each_after_what_it_needs() -> None:
    found, _ = make_plan({"steps": [step("d", needs=["b", "c"]), step("b", needs=["a"]), step("a"), step("c")]}, {})
    assert [[one.id for one in wave] for wave in found] == [["a", "c"], ["b"], ["d"]]


def test_a_step_shows_its_agent_with_its_limits() -> None:
    shown = plan(step("a", "delay", timeout=9, attempts=2, seconds=1))["a"]
    assert (shown.agent, shown.kind, shown.timeout_seconds, shown.retry.max_attempts) == ("delay", "delay", 9, 2)


def test_what_an_input_reads_of_the_run_is_filled_in_and_what_it_reads_of_steps_is_left() -> None:
    late, all_of_it = read("steps.a.x"), read("keys(@)")
    given = {"n": [read("input.n")], "late": [late, 1], "all": all_of_it, "fixed": "x"}
    shown = plan(step("a"), step("b", needs=["a"], step_input=given), n=7)["b"]
    assert shown.input == {"n": [7], "late": [late, 1], "all": all_of_it, "fixed": "x"}
    assert shown.unknown == ["input.late.0", "input.all"]


def test_a_condition_over_the_input_is_decided_and_one_over_outputs_is_left_open() -> None:
    found = plan(
        step("a"),
        step("yes", when="input.n > `1`"),
        step("no", when="input.n > `9`", step_input={"n": read("input.n")}),
        step("open", needs=["a"], when="steps.a.x"),
        n=7,
    )
    assert {name: one.runs for name, one in found.items()} == {"a": True, "yes": True, "no": False, "open": None}
    assert found["no"].input is None


def test_skipping_goes_on_through_the_graph() -> None:
    found = plan(
        step("a"),
        step("no", when="input.n"),
        step("open", needs=["a"], when="steps.a"),
        step("after_no", needs=["no"]),
        step("after_open", needs=["open", "no"]),
        step("after_all", needs=["a", "no", "open"], step_input={"x": read("steps.no.y")}),
    )
    assert {name: one.runs for name, one in found.items() if name.startswith("after")} == {
        "after_no": False,
        "after_open": None,
        "after_all": True,
    }
    assert found["after_all"].input == {"x": None}


def test_the_number_of_items_is_told_where_it_is_known() -> None:
    each = {"items": "input.list"}
    found = plan(
        step("a", for_each=each, step_input={"x": read("item"), "n": read("input.n")}),
        step("b", needs=["a"], for_each={"items": "steps.a"}),
        step("c", for_each={"items": "input.n"}),
        list=[1, 2],
        n=7,
    )
    assert [found[name].items for name in "abc"] == [2, None, None]
    assert (found["a"].input, found["a"].unknown) == ({"x": read("item"), "n": 7}, ["input.x"])
    assert [(one.field, one.message) for one in found["c"].problems] == [
        ("for_each.items", "'input.n' gives a number; it must give a list")
    ]


def test_the_steps_after_a_failure_are_planned_apart() -> None:
    tell = step("tell", step_input={"why": read("error.detail"), "n": read("input.n")})
    before, after = make_plan({"steps": [step("a")], "on_failure": [tell, step("b", needs=["tell"])]}, {"n": 7})
    assert [[one.id for one in wave] for wave in (*before, *after)] == [["a"], ["tell"], ["b"]]
    assert after[0][0].input == {"why": read("error.detail"), "n": 7}
    assert after[0][0].unknown == ["input.why"]


def test_an_expression_that_does_not_fit_the_input_is_a_problem_where_it_is() -> None:
    shown = plan(step("a", when="length(input.n) > `1`", step_input={"x": [read("length(input.n)")]}), n=7)["a"]
    assert [problem.field for problem in shown.problems] == ["when", "input.x.0"]
    assert (shown.runs, shown.input) == (None, {"x": [read("length(input.n)")]})

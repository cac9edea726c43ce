"""What makes a workflow's steps a workflow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.executor.definition import ForEach, StepDefinition, parse_definition
from service.executor.retry import RetrySettings
from service.workflows.checks import AgentUse, find_problems
from service.workflows.definition import content_hash, flow_of, make_definition
from service.workflows.schemas import Flow, Step

pytestmark = pytest.mark.ring("unit")

AGENTS = {
    "nothing": AgentUse("nothing", "noop", {}),
    "nap": AgentUse("nap", "delay", {"seconds": 60}),
}


def _step(identifier: str, *needs: str, **given: Any) -> Step:
    return Step.model_validate({"id": identifier, "agent": "nothing", "needs": list(needs)} | given)


def _flow(*steps: Step, **whole: Any) -> Flow:
    return Flow.model_validate({"steps": steps} | whole)


def _problems(*steps: Step, **whole: Any) -> list[tuple[str, str]]:
    return [(found.field, found.message) for found in find_problems(_flow(*steps, **whole), AGENTS)]


def test_a_graph_without_mistakes_has_no_problems() -> None:
    assert _problems(_step("a"), _step("b", "a"), _step("c", "a"), _step("d", "b", "c")) == []


def test_a_circle_is_named_with_its_steps() -> None:
    [(field, message)] = _problems(_step("start"), _step("a", "start", "c"), _step("b", "a"), _step("c", "b"))
    assert field == "steps"
    assert "circle" in message
    assert "a needs c" in message
    assert "start" not in message


@pytest.mark.parametrize(
    ("steps", "field", "message"),
    [
        ([_step("a"), _step("a")], "steps.1.id", "'a' is the id of steps.0 already"),
        ([_step("a", "b")], "steps.0.needs.0", "no step with the id 'b'"),
        ([_step("a", "a")], "steps.0.needs.0", "cannot need itself"),
        ([_step("a"), _step("b", "a", "a")], "steps.1.needs.1", "named twice"),
        ([_step("a", agent="ghost")], "steps.0.agent", "no agent named 'ghost'"),
        ([_step("a", agent="nap", timeout_seconds=30)], "steps.0.timeout_seconds", "at least 60 seconds"),
        ([_step("a", input={"x": [{"$jmespath": "a["}]})], "steps.0.input.x[0]", "not a JMESPath expression"),
        ([_step("a", input={"$jmespath": 3})], "steps.0.input", "$jmespath"),
        ([_step("a"), _step("b", input={"x": {"$jmespath": "steps.a.n"}})], "steps.1.input.x", "name it in needs"),
        ([_step("a", input={"x": {"$jmespath": "steps.b"}})], "steps.0.input.x", "there is no step with this id"),
        ([_step("a", when="steps.a.n")], "steps.0.when", "its own output"),
        ([_step("a", input={"x": {"$jmespath": "inputs.n"}})], "steps.0.input.x", "no 'inputs' to read"),
        ([_step("a", input={"x": {"$jmespath": "!input.n"}})], "steps.0.input.x", "write !(a.b)"),
        ([_step("a", for_each={"items": "a["})], "steps.0.for_each.items", "not a JMESPath expression"),
        ([_step("a", for_each={"items": "item.x"})], "steps.0.for_each.items", "no 'item' to read"),
        ([_step("a", input={"x": {"$jmespath": "item"}})], "steps.0.input.x", "no 'item' to read"),
        ([_step("a", when="a[")], "steps.0.when", "not a JMESPath expression"),
        ([_step("a", when="`[]`")], "steps.0.when", "always false"),
        ([_step("a", when="input.y && !input.x")], "steps.0.when", "write !(a.b)"),
    ],
)
def test_a_mistake_is_found_where_it_is(steps: list[Step], field: str, message: str) -> None:
    [(found, text)] = _problems(*steps)
    assert found == field
    assert message in text


def test_a_step_may_read_all_steps_before_it_also_those_it_needs_through_others() -> None:
    reads = {"x": [{"$jmespath": "steps.a.n"}], "y": {"$jmespath": "steps.b"}, "z": {"$jmespath": "keys(steps)"}}
    assert _problems(_step("a"), _step("b", "a"), _step("c", "b", input=reads, when="input.n > `0`")) == []


def test_a_step_that_can_never_start_is_told_with_the_step_that_is_to_blame() -> None:
    found = dict(_problems(_step("a", "b"), _step("b", "a"), _step("c", "a"), _step("d", "c"), _step("e")))
    assert found.keys() == {"steps", "steps.2.needs", "steps.3.needs"}
    assert "because 'a'" in found["steps.3.needs"]


def test_steps_after_a_failure_read_the_error_and_any_step() -> None:
    reads = {"x": {"$jmespath": "error.detail"}, "y": {"$jmespath": "steps.b.n"}, "z": {"$jmespath": "steps.tell"}}
    last = _step("last", "tell", input=reads, when="error.code == 'timeout'")
    assert _problems(_step("a"), _step("b"), on_failure=[_step("tell"), last]) == []


@pytest.mark.parametrize(
    ("after", "field", "message"),
    [
        (_step("a"), "on_failure.0.id", "'a' is the id of steps.0 already"),
        (_step("x", "a"), "on_failure.0.needs.0", "no step with the id 'a' in on_failure"),
        (_step("x", agent="ghost"), "on_failure.0.agent", "no agent named"),
        (_step("x", when="errors.code"), "on_failure.0.when", "an expression sees input, steps, error"),
    ],
)
def test_a_wrong_step_after_a_failure_is_found_where_it_is(after: Step, field: str, message: str) -> None:
    [(found, text)] = _problems(_step("a"), on_failure=[after])
    assert found == field
    assert message in text


def test_a_step_before_a_failure_cannot_read_the_error_or_what_comes_after() -> None:
    reads = {"x": {"$jmespath": "error.code"}, "y": {"$jmespath": "steps.tell"}}
    found = _problems(_step("a", input=reads), on_failure=[_step("tell")])
    assert [field for field, _ in found] == ["steps.0.input.x", "steps.0.input.y"]


def test_steps_after_a_failure_are_stored_with_their_agents() -> None:
    flow = _flow(_step("a"), on_failure=[_step("tell", agent="nap")])
    definition = make_definition(flow, AGENTS)
    assert definition["on_failure"][0]["agent"] == {"name": "nap", "kind": "delay", "settings": {"seconds": 60}}
    assert flow_of(definition) == flow


def test_the_input_of_a_step_for_each_item_sees_the_item_and_its_place() -> None:
    reads = {"x": {"$jmespath": "item.n"}, "at": {"$jmespath": "index"}, "y": {"$jmespath": "steps.a.n"}}
    flow = _flow(_step("a"), _step("b", "a", for_each={"items": "steps.a.list"}, input=reads))
    assert find_problems(flow, AGENTS) == []
    definition = make_definition(flow, AGENTS)
    assert definition["steps"][1]["for_each"] == {"items": "steps.a.list", "max_parallel": 10}
    assert flow_of(definition) == flow


def test_an_input_too_deep_for_the_stack_is_refused() -> None:
    value: dict[str, Any] = {}
    for _ in range(2000):
        value = {"a": value}
    step = _step("a").model_copy(update={"input": value})
    flow = _flow(_step("a")).model_copy(update={"steps": [step]})
    assert [problem.field for problem in find_problems(flow, AGENTS)] == ["steps.0.input"]


def test_the_executor_reads_all_that_is_stored() -> None:
    retry = {"max_attempts": 5, "backoff_seconds": 2, "strategy": "fixed", "max_pause_seconds": 9, "jitter": False}
    each = {"items": "input.list", "max_parallel": 3}
    full = _step("b", "a", when="input.x", for_each=each, retry=retry, timeout_seconds=7)
    whole = {"timeout_seconds": 60, "output_schema": {"type": "object"}, "on_failure": [_step("tell")]}
    read = parse_definition(make_definition(_flow(_step("a"), full, **whole), AGENTS))
    assert read.steps["b"] == StepDefinition(
        id="b",
        kind="noop",
        settings={},
        needs=("a",),
        when="input.x",
        for_each=ForEach("input.list", 3),
        retry=RetrySettings(5, 2, "fixed", 9, jitter=False),
        timeout_seconds=7,
    )
    assert (read.timeout_seconds, read.output_schema, list(read.on_failure)) == (60, {"type": "object"}, ["tell"])


def test_each_circle_is_named() -> None:
    found = _problems(_step("a", "b"), _step("b", "a"), _step("c", "d"), _step("d", "c"), _step("e", "e"))
    assert [field for field, _ in found] == ["steps.4.needs.0", "steps", "steps"]


def test_a_wrong_schema_is_found_where_it_is() -> None:
    whole = {"input_schema": {"type": "objekt"}, "output_schema": {"$ref": "http://example.org/"}}
    assert [field for field, _ in _problems(_step("a"), **whole)] == ["input_schema.type", "output_schema.$ref"]


def test_all_mistakes_are_told_at_once() -> None:
    assert len(_problems(_step("a", agent="ghost"), _step("b", "nobody"), _step("b", "b"))) == 4


@given(st.integers(2, 30), st.data())
def test_a_graph_whose_needs_point_backwards_is_a_workflow(count: int, data: st.DataObject) -> None:
    steps = [
        _step(f"s{index}", *(f"s{need}" for need in data.draw(st.sets(st.integers(0, index - 1), max_size=5))))
        if index
        else _step("s0")
        for index in range(count)
    ]
    assert _problems(*data.draw(st.permutations(steps))) == []


def test_a_definition_carries_all_that_a_run_needs() -> None:
    flow = _flow(_step("a", agent="nap", timeout_seconds=90), _step("b", "a", input={"x": {"$jmespath": "steps.a"}}))
    definition = make_definition(flow, AGENTS)
    assert definition["steps"][0] == {
        "id": "a",
        "agent": {"name": "nap", "kind": "delay", "settings": {"seconds": 60}},
        "needs": [],
        "input": {},
        "retry": {"max_attempts": 3, "backoff_seconds": 0.2},
        "timeout_seconds": 90.0,
    }
    assert flow_of(definition) == flow


def test_the_hash_of_a_workflow_that_uses_nothing_new_stays_as_it_was() -> None:
    definition = make_definition(_flow(_step("a", agent="nap", timeout_seconds=90)), AGENTS)
    assert definition.keys() == {"steps"}
    assert content_hash(definition) == "fe7a90fb90cafc553cb6ede0cb15cba90fef30f9665fafdfe756fa722071e3cb"


def test_what_differs_from_the_defaults_is_kept() -> None:
    retry = {"strategy": "fixed", "max_pause_seconds": 9, "jitter": False}
    flow = _flow(_step("a", retry=retry, when="input.x"), timeout_seconds=60)
    definition = make_definition(flow, AGENTS)
    assert definition["timeout_seconds"] == 60
    assert definition["steps"][0]["when"] == "input.x"
    assert definition["steps"][0]["retry"] == {"max_attempts": 3, "backoff_seconds": 0.2} | retry
    assert flow_of(definition) == flow


def test_a_pause_longer_than_the_longest_is_refused() -> None:
    with pytest.raises(ValidationError, match="must be at most max_pause_seconds, which is 5"):
        _step("a", retry={"backoff_seconds": 6, "max_pause_seconds": 5})


def test_the_hash_tells_definitions_apart_and_not_spellings() -> None:
    definition = make_definition(_flow(_step("a")), AGENTS)
    reordered = {"steps": [dict(reversed(list(definition["steps"][0].items())))]}
    assert content_hash(definition) == content_hash(reordered)
    assert content_hash(definition) != content_hash(make_definition(_flow(_step("b")), AGENTS))

"""The executor's pure parts: expressions, retry schedule, definitions, progress, messages, values."""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.executor.definition import Definition, UnusableDefinitionError, parse_definition
from service.executor.expressions import InvalidExpressionError, evaluate, is_true, validate_expressions
from service.executor.kinds.base import StepFailedError
from service.executor.messages import ExecutionRequest, UndecodableMessageError, decode
from service.executor.progress import COMPLETED, FAILED, RUNNING, SKIPPED, JournalledStep, Progress
from service.executor.retry import MAX_PAUSE_SECONDS, RetrySettings
from service.executor.values import check_output, encode
from service.platform.worker_loop import Backoff, Pulse
from tests.service.executor_support import step

pytestmark = pytest.mark.ring("unit")

SCOPE = {"input": {"name": "Ada", "n": 2}, "steps": {"a": {"x": [1, 2, 3]}}}


def define(*steps: dict[str, Any]) -> Definition:
    return parse_definition({"steps": list(steps)})


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ({"v": {"$jmespath": "input.name"}}, {"v": "Ada"}),
        ({"v": {"$jmespath": "steps.a.x[-1]"}}, {"v": 3}),
        ({"v": {"$jmespath": "steps.b"}}, {"v": None}),
        ({"v": [{"w": {"$jmespath": "input.n"}}, 1]}, {"v": [{"w": 2}, 1]}),
        ({"v": "input.name"}, {"v": "input.name"}),
    ],
)
def test_expressions_at_any_depth_are_replaced_by_their_results(template: Any, result: Any) -> None:
    assert evaluate(template, SCOPE) == result


@pytest.mark.parametrize("value", [{"$jmespath": "a["}, {"$jmespath": 1}, {"$jmespath": "a", "other": 1}])
def test_a_wrong_expression_is_found_with_its_place(value: Any) -> None:
    mistakes = validate_expressions({"outer": [{"inner": value}]})
    assert [mistake.path for mistake in mistakes] == ["outer[0].inner"]


@pytest.mark.parametrize("expression", ["length(input.n)", "steps.a.x[::0]"])
def test_an_expression_that_does_not_fit_the_data_is_an_error(expression: str) -> None:
    with pytest.raises(InvalidExpressionError, match=r"'.*' cannot be evaluated"):
        evaluate({"$jmespath": expression}, SCOPE)


@pytest.mark.parametrize(
    "expression", ["(" * 5000 + "a" + ")" * 5000, "|".join("a" * 5000), "a" + "[]" * 5000, "!" * 101 + "a"]
)
def test_an_expression_too_deep_for_the_stack_is_refused(expression: str) -> None:
    with pytest.raises(InvalidExpressionError, match="nested more than 100 levels deep"):
        evaluate({"$jmespath": expression}, SCOPE)


def test_pauses_double_and_lose_up_to_half_by_jitter() -> None:
    retry = RetrySettings(max_attempts=5, backoff_seconds=0.2)
    assert [retry.pause_after(n, jitter=0) for n in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert retry.pause_after(1, jitter=1) == 0.1


def test_a_fixed_pause_is_always_the_same() -> None:
    retry = RetrySettings(max_attempts=5, backoff_seconds=0.2, strategy="fixed", jitter=False)
    assert [retry.pause_after(n, jitter=1) for n in (1, 2, 9)] == [0.2, 0.2, 0.2]


@pytest.mark.parametrize("asked", [0, 60])
def test_no_pause_is_longer_than_the_longest_whoever_asks(asked: float) -> None:
    retry = RetrySettings(max_attempts=9, backoff_seconds=1, max_pause_seconds=5, jitter=False)
    assert retry.pause_after(8, at_least=asked) == 5


def test_a_definition_stored_without_the_later_retry_settings_means_what_it_did() -> None:
    retry = define(step("a", attempts=4, backoff=0.5)).steps["a"].retry
    assert retry == RetrySettings(4, 0.5, strategy="exponential", max_pause_seconds=300, jitter=True)


def test_a_definition_is_read_with_its_retry_settings_and_its_timeout() -> None:
    document = step("a") | {"retry": {"strategy": "fixed", "max_pause_seconds": 2, "jitter": False}}
    definition = parse_definition({"steps": [document], "timeout_seconds": 7})
    assert definition.steps["a"].retry == RetrySettings(3, 0.2, "fixed", 2, jitter=False)
    assert definition.timeout_seconds == 7


def test_a_pause_is_as_long_as_the_called_side_asks() -> None:
    assert RetrySettings(backoff_seconds=0.2).pause_after(1, at_least=7, jitter=0) == 7


@given(st.integers(1, 10_000), st.floats(0, 300), st.floats(0, 1e9), st.floats(0, 1))
def test_a_pause_is_never_negative_nor_endless(attempt: int, backoff: float, asked: float, jitter: float) -> None:
    pause = RetrySettings(backoff_seconds=backoff).pause_after(attempt, at_least=asked, jitter=jitter)
    assert 0 <= pause <= MAX_PAUSE_SECONDS


def test_there_are_as_many_attempts_as_configured() -> None:
    retry = RetrySettings(max_attempts=3)
    assert [retry.may_retry(n) for n in (1, 2, 3)] == [True, True, False]


def test_steps_are_ordered_by_their_needs_whatever_the_order_of_the_document() -> None:
    definition = define(step("c", needs=["a", "b"]), step("b", needs=["a"]), step("a"))
    assert list(definition.steps) == ["a", "b", "c"]
    assert definition.leaves == ("c",)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"steps": [{"id": "a"}]},
        {"steps": [step("a", needs=["b"]), step("b", needs=["a"])]},
        {"steps": [step("a", needs=["x"])]},
        {"steps": [step("a"), step("a")]},
        {"steps": []},
        {"steps": [step("a")], "on_failure": [step("a")]},
        {"steps": [step("a")], "on_failure": [step("b", needs=["a"])]},
    ],
)
def test_a_definition_that_cannot_be_executed_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(UnusableDefinitionError):
        parse_definition(document)


def test_a_step_is_ready_when_all_its_needs_are_completed() -> None:
    progress = Progress(define(step("a"), step("b"), step("c", needs=["a", "b"])), {})
    assert [state.step.id for state in progress.ready()] == ["a", "b"]
    progress.states["a"].status = COMPLETED
    progress.states["b"].status = RUNNING
    assert progress.ready() == []
    progress.states["b"].status = COMPLETED
    assert [state.step.id for state in progress.ready()] == ["c"]


def settled(definition: Definition, **statuses: str) -> Progress:
    progress = Progress(definition, {})
    for name, status in statuses.items():
        progress.states[name].status = status
    return progress


@pytest.mark.parametrize(
    ("a", "b", "passed_over"),
    [(SKIPPED, SKIPPED, True), (SKIPPED, COMPLETED, False), (COMPLETED, COMPLETED, False)],
)
def test_a_step_is_passed_over_only_when_all_its_needs_were_skipped(a: str, b: str, passed_over: bool) -> None:
    progress = settled(define(step("a"), step("b"), step("c", needs=["a", "b"])), a=a, b=b)
    (ready,) = progress.ready()
    assert (ready.step.id, progress.is_passed_over(ready)) == ("c", passed_over)


def test_a_step_without_needs_is_not_passed_over() -> None:
    progress = Progress(define(step("a")), {})
    assert not progress.is_passed_over(progress.states["a"])


def test_a_step_waits_for_all_its_needs_also_when_one_was_skipped() -> None:
    progress = settled(define(step("a"), step("b"), step("c", needs=["a", "b"])), a=SKIPPED, b=RUNNING)
    assert progress.ready() == []


def test_the_output_of_a_skipped_step_is_null_and_the_run_is_complete_without_it() -> None:
    progress = settled(define(step("a"), step("b", needs=["a"]), step("c")), a=SKIPPED, b=SKIPPED, c=COMPLETED)
    progress.states["c"].output = 1
    assert progress.scope()["steps"] == {"a": None, "b": None, "c": 1}
    assert progress.ended
    assert progress.output() == {"b": None, "c": 1}


def test_a_skipped_step_of_the_journal_is_asked_again() -> None:
    progress = Progress(define(step("a", when="input.x")), {}, [JournalledStep("a", SKIPPED, 1, None)])
    assert [state.id for state in progress.ready()] == ["a"]


@pytest.mark.parametrize(
    ("expression", "true"),
    [
        ("n", True),
        ("zero", True),
        ("no", False),
        ("nothing", False),
        ("missing", False),
        ("empty", False),
        ("list", False),
        ("object", False),
        ("n > `1`", True),
        ("n > `2`", False),
        ("!(missing) && contains(name, 'd')", True),
    ],
)
def test_a_condition_is_true_as_jmespath_has_it(expression: str, true: bool) -> None:
    data = {"n": 2, "zero": 0, "no": False, "nothing": None, "empty": "", "list": [], "object": {}, "name": "Ada"}
    assert is_true(expression, data) is true


def test_progress_goes_on_from_the_journal_and_repeats_a_cut_off_attempt() -> None:
    journal = [JournalledStep("a", COMPLETED, 2, {"x": 1}), JournalledStep("b", RUNNING, 2, None)]
    progress = Progress(define(step("a"), step("b", needs=["a"])), {"i": 1}, journal)
    assert [state.step.id for state in progress.ready()] == ["b"]
    assert progress.states["b"].attempt == 2
    assert progress.scope() == {"input": {"i": 1}, "steps": {"a": {"x": 1}}}
    assert progress.changes() == []


def test_the_output_of_a_run_is_that_of_its_leaves() -> None:
    progress = Progress(define(step("a"), step("b", needs=["a"]), step("c", needs=["a"])), {})
    for name, state in progress.states.items():
        state.status, state.output = COMPLETED, name.upper()
    assert progress.ended
    assert progress.output() == {"b": "B", "c": "C"}


def test_a_step_after_a_failure_sees_it_and_what_was_done_before() -> None:
    progress = Progress(define(step("tell")), {"n": 1}, failure={"code": "x"}, before={"a": "A"})
    assert progress.scope() == {"input": {"n": 1}, "steps": {"a": "A"}, "error": {"code": "x"}}


def test_a_step_without_a_failure_sees_no_error() -> None:
    assert "error" not in Progress(define(step("a")), {}).scope()


def test_after_a_failure_another_one_stops_only_what_needs_it() -> None:
    definition = define(step("bad"), step("after", needs=["bad"]), step("other"), step("last", needs=["other"]))
    progress = Progress(definition, {}, failure={"code": "x"})
    progress.states["bad"].status = FAILED
    assert progress.failed is None
    progress.states["other"].status = COMPLETED
    assert [state.id for state in progress.ready()] == ["last"]
    assert not progress.ended
    progress.states["last"].status = COMPLETED
    assert progress.ended


def test_after_a_failure_a_journalled_failure_is_not_tried_again() -> None:
    progress = Progress(define(step("bad")), {}, [JournalledStep("bad", FAILED, 3, None)], failure={"code": "x"})
    assert progress.ended
    assert progress.changes() == []


def test_the_steps_after_a_failure_are_read_apart() -> None:
    definition = parse_definition({"steps": [step("a")], "on_failure": [step("c", needs=["b"]), step("b")]})
    assert (list(definition.steps), list(definition.on_failure)) == (["a"], ["b", "c"])


def test_giving_up_cancels_what_runs_and_skips_what_waits() -> None:
    progress = Progress(define(step("a"), step("b"), step("c", needs=["a"])), {})
    progress.states["a"].status = FAILED
    progress.states["b"].status = RUNNING
    progress.give_up()
    assert [state.status for state in progress.states.values()] == ["failed", "cancelled", "skipped"]


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    size = draw(st.integers(1, 8))
    needs = [draw(st.sets(st.integers(0, index - 1))) if index else set() for index in range(size)]
    found = [step(str(index), needs=[str(need) for need in sorted(needs[index])]) for index in range(size)]
    return list(draw(st.permutations(found)))


@given(graphs())
def test_every_graph_is_walked_to_its_end_and_no_step_starts_before_its_needs(steps: list[dict[str, Any]]) -> None:
    progress = Progress(define(*steps), {})
    order: list[str] = []
    while ready := progress.ready():
        for state in ready:
            assert all(need in order for need in state.step.needs)
        for state in ready:
            state.status = COMPLETED
            order.append(state.step.id)
    assert progress.ended
    assert len(order) == len(set(order)) == len(steps)


@given(graphs(), st.sets(st.integers(0, 7)))
def test_what_is_skipped_follows_from_the_graph_and_the_conditions_alone(
    steps: list[dict[str, Any]], unwanted: set[int]
) -> None:
    definition = define(*steps)
    progress = Progress(definition, {})
    while ready := progress.ready():
        for state in ready:
            skip = progress.is_passed_over(state) or int(state.id) in unwanted
            state.status = SKIPPED if skip else COMPLETED
    assert progress.ended

    def skipped(step_id: str) -> bool:
        needs = definition.steps[step_id].needs
        return int(step_id) in unwanted or (bool(needs) and all(map(skipped, needs)))

    assert {name: state.status == SKIPPED for name, state in progress.states.items()} == {
        name: skipped(name) for name in definition.steps
    }


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "no value"),
        (b"\xff", "JSON"),
        (b"[]", "message"),
        (b'{"message_id": "m"}', "run_id"),
        (b'{"message_id": "", "run_id": "01890a5d-ac96-774b-bcce-b302099a8057"}', "message_id"),
        (b'{"message_id": "m", "run_id": "sesame"}', "run_id"),
    ],
)
def test_an_undecodable_message_is_named_without_its_content(value: bytes | None, part: str) -> None:
    with pytest.raises(UndecodableMessageError, match=part) as caught:
        decode(ExecutionRequest, value)
    assert "sesame" not in str(caught.value)


def test_a_message_with_fields_of_a_later_version_is_read() -> None:
    run_id = uuid4()
    message = decode(ExecutionRequest, f'{{"message_id": "m", "run_id": "{run_id}", "new": 1}}'.encode())
    assert message.run_id == run_id


@pytest.mark.parametrize("value", ["a\0b", {"a\0": 1}, ["\ud800"], float("nan"), {1, 2}])
def test_an_output_that_postgres_cannot_hold_fails_the_step(value: Any) -> None:
    with pytest.raises(StepFailedError) as caught:
        check_output(value)
    assert (caught.value.code, caught.value.retryable) == ("output", False)


def test_text_that_only_looks_like_a_nul_is_stored() -> None:
    assert encode({"a": "\\u0000"}) == '{"a":"\\\\u0000"}'


def test_a_backoff_grows_to_its_limit_and_starts_again_after_a_success() -> None:
    backoff = Backoff(1.0, 4.0)
    pauses = [backoff.failed() for _ in range(5)]
    for pause, full in zip(pauses, (1, 2, 4, 4, 4), strict=True):
        assert full / 2 <= pause <= full
    backoff.succeeded()
    assert backoff.failed() <= 1


def test_a_loop_that_does_not_come_round_in_time_is_a_problem() -> None:
    pulse = Pulse()
    pulse.beat("good", within=60)
    pulse.beat("late", within=-1)
    assert list(pulse.problems()) == ["late"]
    pulse.ended("late")
    assert pulse.problems() == {}

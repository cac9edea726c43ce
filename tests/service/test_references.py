"""What an expression reads of the data of a run."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.executor.expressions import InvalidExpressionError
from service.executor.references import is_always_false, reading_of, trap_in

pytestmark = pytest.mark.ring("unit")


@pytest.mark.parametrize(
    ("expression", "steps"),
    [
        ("steps.a.b", {"a"}),
        ('steps."a-b"[0].c', {"a-b"}),
        ("@.steps.a", {"a"}),
        ("steps | a.b", {"a"}),
        ("steps.{x: a.b, y: c}", {"a", "c"}),
        ("[steps.a, steps.b[].c]", {"a", "b"}),
        ("input.x || steps.a", {"a"}),
        ("max_by(steps.a, &steps.b)", {"a"}),
        ("steps.a[?steps.b == `1`].steps.c", {"a"}),
        ("map(&steps.b, steps.a[*])", {"a"}),
        ("input.steps.a", set()),
        ("steps.a[1:2]", {"a"}),
        ("!(steps.a)", {"a"}),
    ],
)
def test_the_steps_that_an_expression_reads_are_found(expression: str, steps: set[str]) -> None:
    reading = reading_of(expression)
    assert reading.steps == steps
    assert not reading.whole


@pytest.mark.parametrize("expression", ["@", "steps", "steps.*.x", "keys(steps)", "{all: @}", "values(@)"])
def test_an_expression_that_reads_all_together_is_known_as_such(expression: str) -> None:
    assert reading_of(expression).whole


PIECES = [
    "a",
    "steps",
    "input",
    ".",
    "[",
    "]",
    "(",
    ")",
    "|",
    "||",
    "&&",
    "!",
    "@",
    "*",
    "`1`",
    "'x'",
    "[::0]",
    "[?a]",
    "{x:a}",
    "length(",
    "&a",
    "sort_by(",
    ",",
    "==",
    "<",
    "[0]",
    "[]",
]


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join))
def test_whatever_is_given_as_an_expression_is_answered_or_refused(expression: str) -> None:
    for look in (reading_of, trap_in, is_always_false):
        with contextlib.suppress(InvalidExpressionError):
            look(expression)


@pytest.mark.parametrize(
    ("expression", "false"),
    [("`false`", True), ("''", True), ("`1` > `2`", True), ("`0`", False), ("input.x", False), ("@", False)],
)
def test_only_a_condition_without_data_can_be_always_false(expression: str, false: bool) -> None:
    assert is_always_false(expression) is false


@pytest.mark.parametrize(
    ("expression", "trap"),
    [("!a.b", True), ("x && !a.b.c", True), ("x && !a[0]", False), ("!(a.b)", False), ("!a && b.c", False)],
)
def test_a_negated_part_of_a_path_is_a_trap(expression: str, trap: bool) -> None:
    assert (trap_in(expression) is not None) is trap

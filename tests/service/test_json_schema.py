"""Schemas of inputs and outputs: what is refused when they are saved, and what they then say of a value."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.executor.json_schema import DIALECT, MAX_PROBLEMS, schema_problems, value_problems
from service.workflows.inputs import input_problems

pytestmark = pytest.mark.ring("unit")

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "maxLength": 3}, "list": {"type": "array", "items": {"type": "integer"}}},
    "additionalProperties": False,
}


def doubling(levels: int) -> dict[str, Any]:
    names = [f"a{level}" for level in range(levels)]
    parts = {
        name: {"allOf": [{"$ref": f"#/$defs/{after}"}, {"$ref": f"#/$defs/{after}"}]} for name, after in pairwise(names)
    }
    return {"$ref": "#/$defs/a0", "$defs": parts | {names[-1]: {"type": "string"}}}


def chain(links: int) -> dict[str, Any]:
    parts: dict[str, Any] = {f"a{link}": {"allOf": [{"$ref": f"#/$defs/a{link + 1}"}]} for link in range(links)}
    return {"$ref": "#/$defs/a0", "$defs": parts | {f"a{links}": {"additionalProperties": {"$ref": "#/$defs/a0"}}}}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"not": value}
    return value


@pytest.mark.parametrize(
    "schema",
    [
        {},
        SCHEMA,
        SCHEMA | {"$schema": DIALECT},
        {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
        {"properties": {"$ref": {"type": "string"}}, "const": {"$ref": "http://example.org/"}},
        {"$ref": "#"},
        doubling(5),
    ],
)
def test_a_schema_that_can_be_used_has_no_problems(schema: dict[str, Any]) -> None:
    assert schema_problems(schema) == ()


@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        ({"properties": {"a": {"type": "strin"}}}, "properties.a.type", "not valid"),
        ({"minimum": "1"}, "minimum", 'not of type "number"'),
        ({"pattern": "("}, "pattern", "regex"),
        ({"pattern": r"(a)\1"}, "pattern", "regex"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema", "2020-12"),
        ({"$schema": "http://127.0.0.1:9/"}, "$schema", "2020-12"),
        ({"items": [{"$ref": "http://127.0.0.1:9/x"}]}, "items.0.$ref", "only references into this schema"),
        (
            {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
            "properties.a.$ref",
            "only references into this schema",
        ),
        ({"$ref": "#/$defs/none"}, "", "/$defs/none"),
        ({"description": "x" * 70_000}, "", "it may have 65536"),
        (doubling(40), "", "it may have 10000"),
        ({"allOf": [*[{"type": "string"}] * 500, {"$ref": "#"}]}, "", "it refers to itself and has 502 parts"),
        (chain(200), "", "more than 64 references"),
        (nested(100), "", "more than 64 levels deep"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_where_it_is_wrong(
    schema: dict[str, Any], path: str, message: str
) -> None:
    (problem,) = schema_problems(schema)
    assert problem.path == path
    assert message in problem.message


def test_a_file_is_not_read_wherever_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text("{}", encoding="utf-8")
    # A property of this name holds a schema, though the keyword of this name does not.
    (problem,) = schema_problems({"properties": {"default": {"$ref": file.as_uri()}}})
    assert "schema.json" in problem.message


def test_all_that_is_wrong_with_a_schema_is_told() -> None:
    assert len(schema_problems({"minimum": "1", "maximum": "2"})) == 2


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ({"name": "Ada"}, []),
        ({}, ["input"]),
        ({"name": "Adele", "list": [1, "x"]}, ["input.name", "input.list.1"]),
        ({"name": "Ada", "other": 1}, ["input"]),
    ],
)
def test_an_input_is_refused_with_the_fields_that_do_not_fit(value: Any, fields: list[str]) -> None:
    found = input_problems({"steps": [], "input_schema": SCHEMA}, value)
    assert [problem.field for problem in found] == fields


def test_every_input_fits_a_workflow_without_a_schema() -> None:
    assert input_problems({"steps": []}, {"any": "thing"}) == []


def test_a_message_does_not_show_the_value() -> None:
    (problem,) = value_problems(SCHEMA, {"name": "sesame"})
    assert "sesame" not in problem.message


def test_formats_are_checked() -> None:
    assert value_problems({"format": "date"}, "yesterday")
    assert not value_problems({"format": "date"}, "2026-11-23")


def test_a_value_nested_too_deeply_to_be_checked_is_a_problem() -> None:
    (problem,) = value_problems({"additionalProperties": {"$ref": "#"}}, nested(1000))
    assert "more than 64 levels deep" in problem.message


def test_the_largest_recursive_schema_and_the_deepest_value_fit_on_the_stack() -> None:
    largest = chain(60)
    assert schema_problems(largest) == ()
    assert value_problems(largest, nested(64)) == ()


def test_the_number_of_problems_is_bounded() -> None:
    assert len(value_problems({"items": {"type": "string"}}, [1] * 1000)) == MAX_PROBLEMS


def test_a_pattern_that_makes_other_engines_search_for_ever_is_answered_at_once() -> None:
    assert value_problems({"pattern": "^(a+)+$"}, "a" * 100_000 + "!")


NAMES = st.sampled_from(["type", "$ref", "items", "properties", "allOf", "pattern", "a"])
LEAVES = st.sampled_from([None, True, -1, "string", "#", "#/items", "#/allOf/0", "http://x/", "(", "\ud800"])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_whatever_is_given_as_a_schema_is_answered_and_never_an_error(schema: dict[str, Any]) -> None:
    if not schema_problems(schema):
        value_problems(schema, {"a": 1})

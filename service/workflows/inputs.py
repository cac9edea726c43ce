"""Whether a run's input fits the workflow that it is for."""

from collections.abc import Mapping
from typing import Any

from service.executor.json_schema import value_problems
from service.platform.problems import FieldProblem


def input_problems(definition: Mapping[str, Any], run_input: Any) -> list[FieldProblem]:
    """Where the input does not fit the input schema of a stored definition; empty where it fits or there is no schema.

    Pure, and quick from the second time on: compiled schemas are kept.
    """
    return schema_problems(definition.get("input_schema"), run_input)


def schema_problems(schema: Any, run_input: Any) -> list[FieldProblem]:
    """The same for an input schema by itself; None takes everything."""
    if schema is None:
        return []
    return [
        FieldProblem(field=f"input.{problem.path}".rstrip("."), message=problem.message)
        for problem in value_problems(schema, run_input)
    ]

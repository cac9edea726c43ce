"""Reads JSON that was typed into a field of a form."""

import json
from typing import Any

from service.platform.middleware.json_depth import MAXIMUM_DEPTH, is_deeper
from service.platform.problems import FieldProblem, ProblemError, invalid


def read_json(text: str, field: str) -> Any:
    """The value that was typed. Raises a 422 problem that names the field and says where it is wrong."""
    if is_deeper(text.encode("utf-8", "surrogatepass"), MAXIMUM_DEPTH):
        raise wrong_field(field, f"may nest arrays and objects {MAXIMUM_DEPTH} times at most")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise wrong_field(field, f"is no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise wrong_field(field, f"is no JSON: {error}") from None


def wrong_field(field: str, message: str) -> ProblemError:
    """The problem of one field."""
    return invalid([FieldProblem(field=field, message=message)])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no value of JSON")

"""The form for the input of a run: what was typed, what is wrong with it, and the page that says so."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.responses import Response

from service.console.forms import new_key
from service.console.json_field import read_json, wrong_field
from service.console.pages import page
from service.platform.problems import FieldProblem, ProblemError


@dataclass(frozen=True, slots=True)
class Typed:
    """What a form was filled with; without a text where the input is too long to be typed."""

    text: str | None
    key: str | None = None
    version: str = "origin"


def read_input(text: str) -> dict[str, Any]:
    """The input that was typed. Raises a 422 problem that says where it is wrong."""
    found = read_json(text or "{}", "input")
    if not isinstance(found, dict):
        raise wrong_field("input", 'must be an object, like {"name": "Ada"}')
    return found


def form_page(
    request: Request, template: str, typed: Typed, problem: ProblemError | None = None, **context: Any
) -> Response:
    """The page of the form, with what is wrong beside what was typed."""
    key = typed.key
    problems = list(problem.errors) if problem else []
    if any(each.field.startswith("header.") for each in problems):
        # The key is the form's own business: this one has begun a run already, with another input.
        key = None
        message = "a run was begun by this form before, with another input; send it again to begin one more"
        problems = [FieldProblem(field="input", message=message)]
    found = page(
        request,
        template,
        problem.status_code if problem else 200,
        typed=typed,
        problem=problem.text if problem and not problems else None,
        problems=problems,
        key=key or new_key(),
        **context,
    )
    if problem and problem.headers and "Retry-After" in problem.headers:
        found.headers["Retry-After"] = problem.headers["Retry-After"]
    return found

"""Shows a form again that was refused: filled as it was sent, with what is wrong beside it."""

from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from service.console.pages import page
from service.platform.problems import FieldProblem, Problem, answer_to, invalid

_Model = TypeVar("_Model", bound=BaseModel)


def read_model(model: type[_Model], values: dict[str, Any]) -> _Model:
    """The fields of a form as a route's body. Raises a 422 problem that names the fields that are wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
    raise invalid([FieldProblem(field=name, message=text.removeprefix("Value error, ")) for name, text in found])


async def refused_page(request: Request, template: str, error: Exception, **context: Any) -> Response:
    """The page of the form with what is wrong. Raises the error again where the form's subject is not there."""
    answer = await answer_to(request, error)
    if answer.status_code == 404:
        raise error
    problem = Problem.model_validate_json(bytes(answer.body))
    errors = problem.errors or []
    found = page(
        request,
        template,
        problem.status,
        problem=None if errors else problem.detail or problem.title,
        problems=errors,
        **context,
    )
    if "Retry-After" in answer.headers:
        found.headers["Retry-After"] = answer.headers["Retry-After"]
    return found

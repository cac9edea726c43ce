"""Errors as RFC 9457 problem documents with a stable ``type``, the correlation id, and nothing internal."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from service.platform.database import DatabaseUnavailableError, is_invalid_data, is_unavailable
from service.platform.logging import get_logger
from service.platform.middleware.correlation import correlation_id

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:problem:workflow-management:"
RETRY_SECONDS = 5

# What a violated constraint means to the caller. Others are answered without detail.
_CONFLICTS = {
    "uq_agents_name": "An agent of this name exists already.",
    "uq_workflows_name": "A workflow of this name exists already.",
    "uq_schedules_name": "A schedule of this name exists already.",
    "uq_webhooks_name": "A webhook of this name exists already.",
    "fk_runs_workflow_id_workflow_version_workflow_versions": "The workflow has runs, so it cannot be deleted.",
    "fk_schedules_workflow_id_workflows": "The workflow has schedules; delete those before it.",
    "fk_webhooks_workflow_id_workflows": "The workflow has webhooks; delete those before it.",
    "pk_workflow_versions": "The workflow was changed by somebody else at the same time; read it again and repeat.",
}

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

log = get_logger(__name__)


class FieldProblem(BaseModel):
    """One field that is wrong: where it is and what would be right."""

    field: str = Field(examples=["steps.0.agent"])
    message: str = Field(examples=["there is no agent of this name"])


class Problem(BaseModel):
    """An error's document (RFC 9457)."""

    type: str = Field(description="Stable name of this kind of error", examples=[TYPE_PREFIX + "not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str | None = Field(default=None, examples=["There is no workflow with this id."])
    correlation_id: str | None = Field(default=None, examples=["req-0a1b2c3d4e5f6071"])
    errors: list[FieldProblem] | None = Field(default=None, description="The fields that are wrong")


class ProblemError(HTTPException):
    """Raise it to answer with a problem document; ``kind`` is the last part of its ``type``."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str | None = None,
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail=detail, headers=headers)
        self.kind = kind
        self.text = detail
        self.errors = list(errors)


def not_found(what: str) -> ProblemError:
    """The error for a thing that does not exist."""
    return ProblemError(404, "not-found", f"There is no {what} with this id.")


def invalid(errors: Sequence[FieldProblem], detail: str = "The request does not fit.") -> ProblemError:
    """The error for a body that is well formed and still wrong, field by field."""
    return ProblemError(422, "validation", detail, errors=errors)


def problem_response(
    status: int,
    kind: str,
    detail: str | None = None,
    *,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The document as an answer; the correlation id is the current request's."""
    document = Problem(
        type=TYPE_PREFIX + kind,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        correlation_id=correlation_id(),
        errors=list(errors) or None,
    )
    return Response(
        document.model_dump_json(exclude_none=True),
        status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        media_type=CONTENT_TYPE,
    )


def unavailable_response(detail: str = "The service is not available now; please repeat the request.") -> Response:
    """503: something that the service needs is away, and it is worth trying again."""
    return problem_response(503, "unavailable", detail, headers={"Retry-After": str(RETRY_SECONDS)})


GUARDED_STATUSES = (401, 403, 422, 429, 503)
"""With what every route may answer that asks who its caller is."""

HEADERS = {
    "Retry-After": ("Seconds to wait before the request is repeated", {"type": "integer", "minimum": 1}),
    "RateLimit": ("What is left of each limit, and for how long", {"type": "string"}),
    "RateLimit-Policy": ("What each limit allows", {"type": "string"}),
    "WWW-Authenticate": ("How to prove who one is", {"type": "string"}),
}
"""Header fields of error answers, with their meaning and schema."""

_HEADERS = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", "RateLimit", "RateLimit-Policy"),
    503: ("Retry-After",),
}

NO_PROBLEMS: dict[int | str, dict[str, Any]] = {}
"""The ``responses`` of a route that refuses nobody."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route for the OpenAPI document, with those that every guarded route may give."""
    return {status: documented_one(status) for status in sorted({*GUARDED_STATUSES, *statuses})}


def documented_one(status: int) -> dict[str, Any]:
    """One error answer for the OpenAPI document, with the header fields that it carries."""
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    found: dict[str, Any] = {"description": HTTPStatus(status).phrase, "content": content}
    names = _HEADERS.get(status, ())
    if names:
        found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return found


async def _http_exception(request: Request, error: Exception) -> Response:
    if isinstance(error, ProblemError):
        return problem_response(error.status_code, error.kind, error.text, errors=error.errors, headers=error.headers)
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 400 and isinstance(error.__cause__, ValueError):
        # FastAPI's own answer to a body that json refuses for another reason than its grammar.
        return problem_response(422, "malformed-json", "The body is not JSON in UTF-8 with numbers of usual length.")
    if error.status_code == 405:
        return problem_response(405, "method-not-allowed", headers={"Allow": _allowed(request)})
    kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    detail = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
    return problem_response(error.status_code, kind, detail, headers=error.headers)


def _allowed(request: Request) -> str:
    """The methods of the path: each route knows its own only, and a path may have several routes."""
    found = []
    for method in _METHODS:
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            found.append(method)
    return ", ".join(found)


async def _validation(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    fields = []
    for found in error.errors():
        place = [str(part) for part in found["loc"]]
        if found["type"] == "json_invalid":
            return problem_response(422, "malformed-json", "The body is not valid JSON.")
        name = ".".join(place[1:]) if place[:1] == ["body"] else ".".join(place)
        fields.append(FieldProblem(field=name or "body", message=str(found["msg"]).removeprefix("Value error, ")))
    return problem_response(422, "validation", "The request does not fit.", errors=fields)


async def _database(_request: Request, error: Exception) -> Response:
    if isinstance(error, IntegrityError):
        cause = error.orig.__cause__ if error.orig is not None else None
        constraint = getattr(cause, "constraint_name", None)
        log.info("Refused by a constraint", constraint=constraint)
        detail = _CONFLICTS.get(str(constraint), "The request conflicts with what is stored.")
        return problem_response(409, "conflict", detail)
    if is_invalid_data(error):
        return problem_response(422, "validation", "The request holds a value that cannot be stored.")
    if is_unavailable(error):
        log.warning("The database is not available", reason=type(error).__name__, cause=type(error.__cause__).__name__)
        return unavailable_response()
    raise error


_ANSWERS = (
    (HTTPException, _http_exception),
    (RequestValidationError, _validation),
    (DBAPIError, _database),
    (PoolTimeout, _database),
    (DatabaseUnavailableError, _database),
    (asyncpg.PostgresError, _database),
)


async def answer_to(request: Request, error: Exception) -> Response:
    """The problem document that an error is answered with; raises the error where it is none that callers cause."""
    for kind, answer in _ANSWERS:
        if isinstance(error, kind):
            return await answer(request, error)
    raise error


def install(app: FastAPI) -> None:
    """Have every error of the application answered as a problem document."""
    for kind, answer in _ANSWERS:
        app.add_exception_handler(kind, answer)

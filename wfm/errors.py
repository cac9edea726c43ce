"""What can go wrong for a caller, each kind as a class of its own."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx

from wfm.models import FieldProblem, RunAnswer

TYPE_PREFIX = "urn:problem:workflow-management:"


class WorkflowError(Exception):
    """Everything that this client raises by itself."""


class UnreachableError(WorkflowError):
    """No answer came: no connection, no trust in the certificate, or not in time.

    ``certainly_not_done`` is true where the request cannot have had an effect.
    """

    def __init__(self, message: str, *, certainly_not_done: bool) -> None:
        super().__init__(message)
        self.certainly_not_done = certainly_not_done


class UntrustedError(UnreachableError):
    """The server's certificate is not from an authority that is believed; nothing was sent."""


class UnexpectedAnswerError(WorkflowError):
    """What answered is not this API: no problem document, or not what the operation gives."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ProblemError(WorkflowError):
    """The API refused the request (RFC 9457); ``code`` is stable, ``errors`` are the fields that are wrong."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        correlation_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        lines = [detail, *(f"  {each.field}: {each.message}" for each in errors)]
        super().__init__("\n".join(lines))
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.correlation_id = correlation_id
        self.retry_after = retry_after


class UnauthenticatedError(ProblemError):
    """401: no credentials, or not valid any more."""


class ForbiddenError(ProblemError):
    """403: these credentials may not do this."""


class NotFoundError(ProblemError):
    """404: there is no such thing."""


class ConflictError(ProblemError):
    """409: what is stored does not allow it."""


class TooLargeError(ProblemError):
    """413: the body is too long."""


class InvalidError(ProblemError):
    """422: something in the request is wrong; ``errors`` says which fields."""


class TooManyRequestsError(ProblemError):
    """429: too many requests, log-ins, or waiting runs."""


class UnavailableError(ProblemError):
    """503: something that the service needs is away, or it is being maintained."""


class WaitTimeoutError(WorkflowError):
    """The run was not finished in time; it goes on. ``run`` is how it was last seen."""

    def __init__(self, run: RunAnswer, seconds: float) -> None:
        super().__init__(f"Run {run.id} is {run.status} after {seconds:g} s of waiting; it goes on.")
        self.run = run


class BulkError(WorkflowError):
    """Some runs of many were accepted before a request failed: ``run_ids``, of the first inputs in their order.

    The same call with ``idempotency_key`` goes on where this one stopped and doubles nothing. The cause says why it
    failed.
    """

    def __init__(self, run_ids: Sequence[UUID], idempotency_key: str, why: str) -> None:
        super().__init__(
            f"{len(run_ids)} runs were accepted, then: {why}\nRepeat the same with the key {idempotency_key} to go on."
        )
        self.run_ids = list(run_ids)
        self.idempotency_key = idempotency_key


_BY_STATUS: dict[int, type[ProblemError]] = {
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: TooLargeError,
    422: InvalidError,
    429: TooManyRequestsError,
    503: UnavailableError,
}


def problem_of(response: httpx.Response, retry_after: float | None) -> ProblemError | UnexpectedAnswerError:
    """The error that an answer stands for. Proxies answer 429 and 503 without a document; these count as well."""
    status = response.status_code
    document = _document(response)
    if document is None:
        if status not in (429, 503):
            kind = response.headers.get("Content-Type", "no content type")
            message = f"{response.request.url} answered {status} ({kind}); is this the address of the API?"
            return UnexpectedAnswerError(status, message)
        document = {"detail": f"{response.request.url} answered {status} {response.reason_phrase}."}
    fields = document.get("errors")
    return _BY_STATUS.get(status, ProblemError)(
        status,
        str(document.get("type", "")).removeprefix(TYPE_PREFIX),
        str(document.get("detail") or document.get("title") or response.reason_phrase),
        errors=[
            FieldProblem(field=str(each.get("field", "")), message=str(each.get("message", "")))
            for each in (fields if isinstance(fields, list) else [])
            if isinstance(each, dict)
        ],
        correlation_id=document.get("correlation_id") or response.headers.get("X-Correlation-ID"),
        retry_after=retry_after,
    )


def _document(response: httpx.Response) -> dict[str, Any] | None:
    if "problem+json" not in response.headers.get("Content-Type", ""):
        return None
    try:
        found = json.loads(response.content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None

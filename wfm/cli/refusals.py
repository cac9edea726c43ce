"""Errors for people: what was wrong, where in their file, what would be right, and the exit code."""

from collections.abc import Sequence

from wfm.cli import exits
from wfm.cli.documents import Document
from wfm.cli.exits import CliError
from wfm.cli.show import plain
from wfm.errors import (
    BulkError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ProblemError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    WaitTimeoutError,
    WorkflowError,
)
from wfm.models import FieldProblem

_MENDS: tuple[tuple[type[WorkflowError], str], ...] = (
    (
        UnauthenticatedError,
        "wfm login, or give WFM_API_KEY_FILE, WFM_TOKEN_FILE, or WFM_USERNAME with WFM_PASSWORD_FILE",
    ),
    (ForbiddenError, "`wfm whoami` shows what these credentials may"),
    (TooManyRequestsError, "try again later"),
    (UnavailableError, "try again later"),
    (UnexpectedAnswerError, "check --url"),
    (UnreachableError, "check --url and the network; `wfm health` asks whether the service is there"),
)


def not_valid(problems: Sequence[FieldProblem]) -> InvalidError:
    """The error for a workflow in which something is wrong."""
    return InvalidError(422, "validation", "The workflow is not valid.", errors=problems)


def code_of(error: WorkflowError) -> int:
    """The exit code: 3 not found, 4 no answer (in time), 1 every other refusal."""
    if isinstance(error, BulkError) and isinstance(error.__cause__, WorkflowError):
        return code_of(error.__cause__)
    if isinstance(error, NotFoundError):
        return exits.NOT_FOUND
    if isinstance(error, UnreachableError | UnavailableError | WaitTimeoutError | UnexpectedAnswerError):
        return exits.UNREACHABLE
    return exits.REFUSED


def lines_of(error: WorkflowError | CliError, document: Document | None) -> list[str]:
    """What is said about an error."""
    if isinstance(error, CliError):
        return [f"error: {error.reason}", *([f"mend:  {error.mend}"] if error.mend else [])]
    if not isinstance(error, ProblemError):
        found = [f"error: {error}"]
    else:
        found = [f"error: {error.detail}", *(_field(each, document) for each in error.errors)]
        if error.correlation_id:
            found.append(f"trace: {error.status} {error.code}, correlation id {error.correlation_id}")
    if isinstance(error, WaitTimeoutError):
        return [*found, f"mend:  wfm runs wait {error.run.id}"]
    found += [f"mend:  {mend}" for kind, mend in _MENDS if isinstance(error, kind)][:1]
    return [plain(line) for line in found]


def _field(problem: FieldProblem, document: Document | None) -> str:
    place = document.place(problem.field) if document else ""
    return f"  {place + ': ' if place else ''}{problem.field}: {problem.message}"

"""A typed client of the Workflow Management API.

    from wfm import WorkflowClient

    with WorkflowClient("https://workflow.example", api_key=key) as client:
        run = client.workflows.execute(workflow_id, {"name": "Ada"})
        print(client.runs.wait(run.run_id).output)

It needs httpx and pydantic, and nothing of the server.
"""

from wfm.client import AsyncWorkflowClient, WorkflowClient
from wfm.errors import (
    BulkError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ProblemError,
    TooLargeError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    UntrustedError,
    WaitTimeoutError,
    WorkflowError,
)

__all__ = [
    "AsyncWorkflowClient",
    "BulkError",
    "ConflictError",
    "ForbiddenError",
    "InvalidError",
    "NotFoundError",
    "ProblemError",
    "TooLargeError",
    "TooManyRequestsError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "UntrustedError",
    "WaitTimeoutError",
    "WorkflowClient",
    "WorkflowError",
]

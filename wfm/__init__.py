"""A typed client of the Workflow Management API, and the command ``wfm``.

    from wfm import WorkflowClient

    with WorkflowClient("https://workflow.example", api_key=key) as client:
        run = client.workflows.execute(workflow_id, {"name": "Ada"})
        print(client.runs.wait(run.run_id).output)

It needs httpx and pydantic, and nothing of the server; the command needs typer, rich and PyYAML as well.
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
from wfm.events import EndEvent, LiveEvent, RunEvent, StepEvent

__all__ = [
    "AsyncWorkflowClient",
    "BulkError",
    "ConflictError",
    "EndEvent",
    "ForbiddenError",
    "InvalidError",
    "LiveEvent",
    "NotFoundError",
    "ProblemError",
    "RunEvent",
    "StepEvent",
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

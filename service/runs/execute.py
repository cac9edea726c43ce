"""Execute a workflow: one run, or many at once."""

import json
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Response

from service.audit.record import Actor
from service.auth.access import GuardedRouter, requires
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform import metrics
from service.platform.coalescer import TooManyWaitingError
from service.platform.logging import bind_contextvars, get_logger
from service.platform.middleware.correlation import correlation_id
from service.platform.problems import FieldProblem, ProblemError, documented, invalid, not_found
from service.runs.backlog import RETRY_SECONDS
from service.runs.idempotency import REPEATED, IdempotencyKey, fingerprint
from service.runs.insert import Accepted, KeyTakenError, NewRun, RunRequest
from service.runs.schemas import AcceptedRun, AcceptedRuns, BulkRequest, ExecuteRequest
from service.state import ServiceState, State
from service.workflows.inputs import schema_problems

router = GuardedRouter(tags=["runs"])
log = get_logger(__name__)


NO_VERSION = -1
"""With it nothing new is stored, and only a key that is known is answered."""

_MOST_VERSIONS = 5
_MOST_PROBLEMS = 20


class Execution:
    """What both routes share: who asks for runs of which workflow, and how they are taken."""

    def __init__(self, request: Request, workflow_id: UUID) -> None:
        # Taken from the request by hand: each dependency of a route costs as much as a validation.
        self._actor = Actor.of(request, request.state.principal)
        self._state: ServiceState = request.app.state.service
        self._workflow_id = workflow_id

    async def accept(self, items: list[ExecuteRequest], asked: object, key: str | None) -> Accepted:
        """Store a run for each item. Raises the problem to answer with."""
        bind_contextvars(workflow_id=str(self._workflow_id))
        if self._state.backlog.is_full(len(items)):
            raise _busy("Too many runs wait to be executed.")
        runs = tuple(NewRun(json.dumps(item.input), priority=item.priority) for item in items)
        asked_for = fingerprint(self._workflow_id, asked) if key else ""

        def wanted(version: int) -> RunRequest:
            return RunRequest(
                workflow_id=self._workflow_id,
                runs=runs,
                actor=self._actor.subject,
                address=self._actor.address,
                correlation_id=correlation_id() or "",
                key=key,
                fingerprint=asked_for,
                version=version,
            )

        accepted = await self._store(wanted, items, is_keyed=key is not None)
        if not accepted.repeated:
            self._state.wakeup.wake()
            metrics.RUNS_SUBMITTED.inc(len(items))
        return accepted

    async def _store(
        self, wanted: Callable[[int], RunRequest], items: list[ExecuteRequest], *, is_keyed: bool
    ) -> Accepted:
        just_read = False
        for _ in range(_MOST_VERSIONS):
            current = await self._state.versions.of(self._workflow_id)
            if current is None:
                raise not_found("workflow")
            problems = _misfits(current.input_schema, items)
            # An input that no longer fits may still have been accepted before, under its key.
            version = NO_VERSION if problems else current.version
            accepted = None
            if not problems or is_keyed:
                accepted = await self._stored(wanted(version))
            if accepted is not None:
                return accepted
            if problems and just_read:
                raise invalid(problems, "The input does not fit the workflow's input schema.")
            # What was known of the workflow may be old.
            self._state.versions.forget(self._workflow_id)
            just_read = True
        raise ProblemError(409, "conflict", "The workflow is being changed all the time; please repeat the request.")

    async def _stored(self, wanted: RunRequest) -> Accepted | None:
        try:
            return await self._state.acceptor.accept(wanted)
        except TooManyWaitingError:
            raise _busy("Too many requests wait to be stored.") from None
        except KeyTakenError:
            message = "was used for another request; take a new key, or send the same request"
            raise invalid([FieldProblem(field="header.Idempotency-Key", message=message)]) from None


def _asked(item: ExecuteRequest) -> object:
    """What a key stands for; without a priority it is what it was before there were any."""
    return [item.input, item.priority] if item.priority else item.input


def _misfits(schema: Any, items: list[ExecuteRequest]) -> list[FieldProblem]:
    """What does not fit, for one run by `input...`, for many by `runs.0.input...`; no more than can be read."""
    found: list[FieldProblem] = []
    for number, item in enumerate(items):
        place = f"runs.{number}." if len(items) > 1 else ""
        problems = schema_problems(schema, item.input)
        found += [FieldProblem(field=f"{place}{each.field}", message=each.message) for each in problems]
        if len(found) >= _MOST_PROBLEMS:
            break
    return found[:_MOST_PROBLEMS]


def _busy(detail: str) -> ProblemError:
    return ProblemError(429, "backlog-full", detail, headers={"Retry-After": str(RETRY_SECONDS)})


async def _execution(request: Request, workflow_id: UUID) -> Execution:
    # A class by itself would be made in a thread, which costs more than all of the request's checks.
    return Execution(request, workflow_id)


WorkflowExecution = Annotated[Execution, Depends(_execution)]


@router.post(
    "/workflows/{workflow_id}/execute",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_EXECUTE, audit="run.accept")],
    responses=documented(404, 409),
)
async def execute_workflow(
    workflow_id: UUID,
    execution: WorkflowExecution,
    response: Response,
    state: State,
    key: IdempotencyKey = None,
    body: ExecuteRequest | None = None,
) -> AcceptedRun:
    """Execute a workflow's current version. A 202 means that the run is stored durably and will be executed."""
    item = body or ExecuteRequest()
    accepted = await execution.accept([item], _asked(item), key)
    run_id = accepted.run_ids[0]
    log.info("Run accepted", run_id=str(run_id), repeated=accepted.repeated)
    response.headers["Location"] = f"{state.settings.api_prefix}/runs/{run_id}"
    _mark(response, accepted)
    return AcceptedRun(
        run_id=run_id,
        status="queued",
        workflow_id=workflow_id,
        workflow_version=accepted.workflow_version,
        created_at=accepted.created_at,
    )


@router.post(
    "/workflows/{workflow_id}/execute-many",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_EXECUTE, audit="run.accept")],
    responses=documented(404, 409),
)
async def execute_workflow_many_times(
    workflow_id: UUID,
    execution: WorkflowExecution,
    response: Response,
    body: BulkRequest,
    key: IdempotencyKey = None,
) -> AcceptedRuns:
    """Execute a workflow's current version up to 1,000 times: all runs are accepted, or none."""
    accepted = await execution.accept([*body.runs], [_asked(item) for item in body.runs], key)
    log.info("Runs accepted", runs=len(accepted.run_ids), repeated=accepted.repeated)
    _mark(response, accepted)
    return AcceptedRuns(
        run_ids=list(accepted.run_ids),
        workflow_id=workflow_id,
        workflow_version=accepted.workflow_version,
        created_at=accepted.created_at,
    )


def _mark(response: Response, accepted: Accepted) -> None:
    if accepted.repeated:
        response.headers[REPEATED] = "true"

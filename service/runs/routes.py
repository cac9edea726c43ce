"""Execute a workflow, follow its runs, cancel them."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from service.audit.change import change
from service.audit.record import Actor, record
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform import metrics
from service.platform.database import AnyRow, autocommit, transaction
from service.platform.logging import bind_contextvars, get_logger
from service.platform.middleware.correlation import correlation_id
from service.platform.paging import Page, Paging
from service.platform.problems import ProblemError, documented, not_found
from service.platform.tables import FINAL_RUN_STATUSES
from service.runs import read
from service.runs.accept import accept_run
from service.runs.cancel import request_cancellation
from service.runs.schemas import (
    AcceptedRun,
    CancelAnswer,
    ExecuteRequest,
    RunAnswer,
    RunStatus,
    RunSummary,
    StepAnswer,
)
from service.state import State

router = GuardedRouter(tags=["runs"])
log = get_logger(__name__)


@router.post(
    "/workflows/{workflow_id}/execute",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_EXECUTE, audit="run.accept")],
    responses=documented(404),
)
async def execute_workflow(
    workflow_id: UUID,
    request: Request,
    response: Response,
    caller: Caller,
    state: State,
    body: ExecuteRequest | None = None,
) -> AcceptedRun:
    """Execute a workflow's current version. A 202 means that the run is stored durably and will be executed."""
    bind_contextvars(workflow_id=str(workflow_id))
    accepted = await accept_run(
        state.engine,
        state.patience,
        workflow_id=workflow_id,
        run_input=body.input if body else {},
        topic=state.settings.kafka_execution_topic,
        correlation_id=correlation_id() or "",
        actor=Actor.of(request, caller),
    )
    if accepted is None:
        raise not_found("workflow")
    state.wakeup.wake()
    metrics.RUNS_SUBMITTED.inc()
    log.info("Run accepted", run_id=str(accepted.run_id))
    response.headers["Location"] = f"{state.settings.api_prefix}/runs/{accepted.run_id}"
    return AcceptedRun(
        run_id=accepted.run_id,
        status="queued",
        workflow_id=accepted.workflow_id,
        workflow_version=accepted.workflow_version,
        created_at=accepted.created_at,
    )


@router.get("/runs", dependencies=[requires(Role.VIEWER, Scope.RUNS_READ)], responses=documented())
async def list_runs(
    paging: Paging,
    state: State,
    workflow_id: Annotated[UUID | None, Query(description="Only runs of this workflow")] = None,
    status: Annotated[RunStatus | None, Query(description="Only runs in this status")] = None,
) -> Page[RunSummary]:
    """List runs, newest first."""
    async with autocommit(state.engine) as connection:
        rows, total = await read.page(
            connection, workflow_id=workflow_id, status=status, limit=paging.size, offset=paging.offset
        )
    items = [RunSummary.model_validate(row) for row in rows]
    return Page(items=items, total=total, page=paging.page, size=paging.size)


def _answer(row: AnyRow, steps: list[StepAnswer]) -> RunAnswer:
    summary = RunSummary.model_validate(row).model_dump()
    return RunAnswer(**summary, input=row.input, output=row.output, error=row.error, steps=steps)


@router.get("/runs/{run_id}", dependencies=[requires(Role.VIEWER, Scope.RUNS_READ)], responses=documented(404))
async def get_run(run_id: UUID, state: State) -> RunAnswer:
    """Read a run with its steps."""
    async with autocommit(state.engine) as connection:
        found = await read.find(connection, run_id)
    if found is None:
        raise not_found("run")
    bind_contextvars(workflow_id=str(found[0].workflow_id))
    return _answer(*found)


@router.post(
    "/runs/{run_id}/cancel",
    status_code=202,
    dependencies=[requires(Role.OPERATOR, Scope.RUNS_CANCEL, audit="run.cancel")],
    responses=documented(404, 409),
)
async def cancel_run(run_id: UUID, request: Request, caller: Caller, state: State) -> CancelAnswer:
    """Ask a run to stop. Asking again changes nothing; a finished run cannot be cancelled."""
    async with transaction(state.engine) as connection:
        found = await request_cancellation(
            connection,
            run_id,
            topic=state.settings.kafka_cancellation_topic,
            correlation_id=correlation_id() or "",
            requested_by=caller.subject,
        )
        if found is None:
            raise not_found("run")
        row, is_new = found
        if is_new:
            # Only a run without the mark gets it, and its status stays for its executor to change.
            detail = {"before": {"cancel_requested_at": None}, **change(("cancel_requested_at",), after=row)}
            await record(connection, Actor.of(request, caller), "run.cancel", "run", run_id, detail)
    bind_contextvars(workflow_id=str(row.workflow_id))
    if is_new:
        state.wakeup.wake()
        log.info("Cancellation requested", run_id=str(run_id))
    if row.status in FINAL_RUN_STATUSES and row.status != "cancelled":
        raise ProblemError(409, "run-finished", f"The run is {row.status}; only a run that is not finished can stop.")
    return CancelAnswer(run_id=row.id, status=row.status, cancel_requested_at=row.cancel_requested_at)

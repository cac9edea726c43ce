"""Follow runs, cancel them."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response

from service.audit.change import change
from service.audit.record import Actor, record
from service.auth.access import GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import autocommit, transaction
from service.platform.json_answer import JsonAnswer
from service.platform.logging import bind_contextvars, get_logger
from service.platform.middleware.correlation import correlation_id
from service.platform.moments import WrittenMoment
from service.platform.problems import FieldProblem, ProblemError, documented, invalid, not_found
from service.platform.tables import FINAL_RUN_STATUSES
from service.runs import read
from service.runs.cancel import request_cancellation
from service.runs.lists import Cursor, Filters, Sort
from service.runs.schemas import CancelAnswer, RunAnswer, RunPage, RunStatus, RunSummary
from service.state import ServiceState, State

router = GuardedRouter(tags=["runs"])
log = get_logger(__name__)


@router.get("/runs", dependencies=[requires(Role.VIEWER, Scope.RUNS_READ)], responses=documented())
async def list_runs(
    state: State,
    workflow_id: Annotated[UUID | None, Query(description="Only runs of this workflow")] = None,
    status: Annotated[RunStatus | None, Query(description="Only runs in this status")] = None,
    created_from: Annotated[WrittenMoment | None, Query(description="Only runs accepted at this time or later")] = None,
    created_before: Annotated[WrittenMoment | None, Query(description="Only runs accepted before this time")] = None,
    parent_run_id: Annotated[UUID | None, Query(description="Only runs that steps of this run began")] = None,
    sort: Annotated[Sort, Query(description="`-created_at`: newest first; `created_at`: oldest first")] = "-created_at",
    cursor: Annotated[str | None, Query(description="`next` of the page before, with the same filters")] = None,
    size: Annotated[
        int | None, Query(ge=1, description="Items a page: DEFAULT_PAGE_SIZE unless given, MAX_PAGE_SIZE at most")
    ] = None,
    count: Annotated[bool, Query(description="Whether to count all that fit")] = False,
) -> RunPage:
    """List runs, a page at a time. A page costs the same wherever in the list it is."""
    limit = min(size or state.settings.default_page_size, state.settings.max_page_size)
    chosen = Filters(workflow_id, status, created_from, created_before, parent_run_id)
    try:
        after = None if cursor is None else Cursor.read(cursor, sort)
    except ValueError as error:
        raise invalid([FieldProblem(field="query.cursor", message=str(error))]) from None
    async with autocommit(state.engine) as connection:
        # One more than asked for tells whether there is a next page.
        rows = await read.page(connection, chosen, sort=sort, after=after, limit=limit + 1)
        total = await read.count(connection, chosen) if count else None
    following = Cursor(sort, rows[limit - 1].created_at, rows[limit - 1].id).write() if len(rows) > limit else None
    return RunPage(
        items=[RunSummary.model_validate(row) for row in rows[:limit]],
        size=limit,
        next=following,
        total=total,
        total_is_exact=None if total is None else total < read.MOST_COUNTED,
    )


@router.get(
    "/runs/{run_id}",
    response_model=RunAnswer,
    dependencies=[requires(Role.VIEWER, Scope.RUNS_READ)],
    responses=documented(404),
)
async def get_run(run_id: UUID, state: State) -> Response:
    """Read a run with its steps."""
    return JsonAnswer(await _written(run_id, state))


async def read_run(run_id: UUID, state: ServiceState) -> RunAnswer:
    """A run with its steps, for pages. Raises a 404 problem."""
    return RunAnswer.model_validate_json(await _written(run_id, state))


async def _written(run_id: UUID, state: ServiceState) -> bytes:
    found = await state.reader.find(run_id)
    if found is None:
        raise not_found("run")
    bind_contextvars(workflow_id=found.workflow_id)
    return found.json


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

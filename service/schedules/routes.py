"""Create, read, change, pause and delete schedules, and see when they fire."""

from datetime import datetime
from itertools import islice
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncConnection

from service.audit.change import SCHEDULE, change
from service.audit.record import Actor, record
from service.auth.access import CHANGES_NOTHING, GuardedRouter, requires
from service.auth.principal import Caller
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import AnyRow, autocommit, transaction
from service.platform.ids import new_id
from service.platform.paging import Page, Paging
from service.platform.problems import FieldProblem, documented, invalid, not_found
from service.schedules import store
from service.schedules.schemas import (
    MAX_PREVIEW,
    Begin,
    Moment,
    Preview,
    PreviewRequest,
    ScheduleAnswer,
    ScheduleRequest,
)
from service.schedules.timetable import InvalidTimetableError, Timetable
from service.schedules.told import input_of
from service.state import State
from service.workflows.inputs import schema_problems

router = GuardedRouter(prefix="/schedules", tags=["schedules"])


def _timetable(expression: str, time_zone: str) -> Timetable:
    try:
        return Timetable(expression, time_zone)
    except InvalidTimetableError as error:
        raise invalid([FieldProblem(field=error.field, message=str(error))]) from None


def _preview(timetable: Timetable, time_zone: str, after: datetime, count: int) -> Preview:
    times = [Moment(at=each, local=timetable.local(each)) for each in islice(timetable.after(after), count)]
    return Preview(time_zone=time_zone, times=times)


async def _first_time(connection: AsyncConnection, timetable: Timetable) -> datetime:
    found = timetable.next_after(await store.database_now(connection))
    if found is None:
        raise invalid([FieldProblem(field="expression", message="means no time within the next 50 years")])
    return found


async def _require_workflow_for(connection: AsyncConnection, body: ScheduleRequest, timetable: Timetable) -> None:
    """Refuse what no run of the workflow's current version could begin with; a later version may ask for more."""
    found = await store.input_schema_of(connection, body.workflow_id)
    if found is None:
        raise invalid([FieldProblem(field="workflow_id", message="there is no workflow with this id")])
    # A schema may ask for what a run is told of its schedule, or not know of schedules at all.
    if schema_problems(found.schema, body.input):
        planned = await store.database_now(connection)
        told = input_of(body.input, schedule_id=new_id(), name=body.name, planned=planned, timetable=timetable)
        problems = schema_problems(found.schema, told)
        if problems:
            raise invalid(problems)


async def _locked(connection: AsyncConnection, schedule_id: UUID) -> AnyRow:
    row = await store.find(connection, schedule_id, lock=True)
    if row is None:
        raise not_found("schedule")
    return row


@router.post(
    "",
    status_code=201,
    dependencies=[requires(Role.OPERATOR, Scope.SCHEDULES_WRITE, audit="schedule.create")],
    responses=documented(409),
)
async def create_schedule(
    body: ScheduleRequest, request: Request, response: Response, caller: Caller, state: State
) -> ScheduleAnswer:
    """Create a schedule. It fires from now on; a planned time begins one run, also with several relays."""
    timetable = _timetable(body.expression, body.time_zone)
    async with transaction(state.engine) as connection:
        await _require_workflow_for(connection, body, timetable)
        next_fire_at = await _first_time(connection, timetable)
        row = await store.create(connection, body.model_dump(), next_fire_at=next_fire_at, author=caller.subject)
        await record(
            connection, Actor.of(request, caller), "schedule.create", "schedule", row.id, change(SCHEDULE, after=row)
        )
    response.headers["Location"] = f"{request.url.path}/{row.id}"
    return ScheduleAnswer.model_validate(row)


@router.get("", dependencies=[requires(Role.VIEWER, Scope.SCHEDULES_READ)], responses=documented())
async def list_schedules(
    paging: Paging,
    state: State,
    workflow_id: Annotated[UUID | None, Query(description="Only schedules of this workflow")] = None,
) -> Page[ScheduleAnswer]:
    """List the schedules by name."""
    async with autocommit(state.engine) as connection:
        rows, total = await store.page(connection, workflow_id=workflow_id, limit=paging.size, offset=paging.offset)
    items = [ScheduleAnswer.model_validate(row) for row in rows]
    return Page(items=items, total=total, page=paging.page, size=paging.size)


@router.post(
    "/preview",
    dependencies=[requires(Role.VIEWER, Scope.SCHEDULES_READ, audit=CHANGES_NOTHING)],
    responses=documented(),
)
async def preview_schedule(body: PreviewRequest, state: State) -> Preview:
    """Show the times that an expression means. Nothing is stored."""
    timetable = _timetable(body.expression, body.time_zone)
    after = body.after
    if after is None:
        async with autocommit(state.engine) as connection:
            after = await store.database_now(connection)
    return _preview(timetable, body.time_zone, after, body.count)


@router.get("/{schedule_id}", dependencies=[requires(Role.VIEWER, Scope.SCHEDULES_READ)], responses=documented(404))
async def get_schedule(schedule_id: UUID, state: State) -> ScheduleAnswer:
    """Read a schedule."""
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, schedule_id)
    if row is None:
        raise not_found("schedule")
    return ScheduleAnswer.model_validate(row)


@router.get(
    "/{schedule_id}/next", dependencies=[requires(Role.VIEWER, Scope.SCHEDULES_READ)], responses=documented(404)
)
async def next_times(
    schedule_id: UUID,
    state: State,
    count: Annotated[int, Query(ge=1, le=MAX_PREVIEW)] = 5,
    after: Annotated[Begin | None, Query(description="Times later than this; now when it is not given")] = None,
) -> Preview:
    """Show the planned times of a schedule; for a paused one those that it would have."""
    async with autocommit(state.engine) as connection:
        row = await store.find(connection, schedule_id)
        now = await store.database_now(connection)
    if row is None:
        raise not_found("schedule")
    return _preview(_timetable(row.expression, row.time_zone), row.time_zone, after or now, count)


@router.put(
    "/{schedule_id}",
    dependencies=[requires(Role.OPERATOR, Scope.SCHEDULES_WRITE, audit="schedule.update")],
    responses=documented(404, 409),
)
async def replace_schedule(
    schedule_id: UUID, body: ScheduleRequest, request: Request, caller: Caller, state: State
) -> ScheduleAnswer:
    """Change a schedule, from now on; a paused one stays paused."""
    timetable = _timetable(body.expression, body.time_zone)
    async with transaction(state.engine) as connection:
        before = row = await _locked(connection, schedule_id)
        await _require_workflow_for(connection, body, timetable)
        next_fire_at = row.next_fire_at
        # A time that is due is not lost by another name or input, only by another expression.
        if (row.expression, row.time_zone) != (body.expression, body.time_zone) and row.paused_at is None:
            next_fire_at = await _first_time(connection, timetable)
        row = await store.change(connection, schedule_id, {**body.model_dump(), "next_fire_at": next_fire_at})
        detail = change(SCHEDULE, before, row)
        await record(connection, Actor.of(request, caller), "schedule.update", "schedule", schedule_id, detail)
    return ScheduleAnswer.model_validate(row)


@router.post(
    "/{schedule_id}/pause",
    dependencies=[requires(Role.OPERATOR, Scope.SCHEDULES_WRITE, audit="schedule.pause")],
    responses=documented(404),
)
async def pause_schedule(schedule_id: UUID, request: Request, caller: Caller, state: State) -> ScheduleAnswer:
    """Stop a schedule from firing; runs under way go on. Asking again changes nothing."""
    async with transaction(state.engine) as connection:
        before = row = await _locked(connection, schedule_id)
        if row.paused_at is None:
            row = await store.change(connection, schedule_id, {"paused_at": func.now(), "next_fire_at": None})
            detail = change(SCHEDULE, before, row)
            await record(connection, Actor.of(request, caller), "schedule.pause", "schedule", schedule_id, detail)
    return ScheduleAnswer.model_validate(row)


@router.post(
    "/{schedule_id}/resume",
    dependencies=[requires(Role.OPERATOR, Scope.SCHEDULES_WRITE, audit="schedule.resume")],
    responses=documented(404),
)
async def resume_schedule(schedule_id: UUID, request: Request, caller: Caller, state: State) -> ScheduleAnswer:
    """Let a paused schedule fire again, from now on: what it would have done meanwhile is not made up for."""
    async with transaction(state.engine) as connection:
        before = row = await _locked(connection, schedule_id)
        if row.paused_at is not None:
            next_fire_at = await _first_time(connection, _timetable(row.expression, row.time_zone))
            row = await store.change(connection, schedule_id, {"paused_at": None, "next_fire_at": next_fire_at})
            detail = change(SCHEDULE, before, row)
            await record(connection, Actor.of(request, caller), "schedule.resume", "schedule", schedule_id, detail)
    return ScheduleAnswer.model_validate(row)


@router.delete(
    "/{schedule_id}",
    status_code=204,
    dependencies=[requires(Role.OPERATOR, Scope.SCHEDULES_WRITE, audit="schedule.delete")],
    responses=documented(404),
)
async def delete_schedule(schedule_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Delete a schedule. Its runs stay."""
    async with transaction(state.engine) as connection:
        before = await _locked(connection, schedule_id)
        await store.delete(connection, schedule_id)
        detail = change(SCHEDULE, before)
        await record(connection, Actor.of(request, caller), "schedule.delete", "schedule", schedule_id, detail)
    return Response(status_code=204)

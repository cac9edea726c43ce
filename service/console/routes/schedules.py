"""Schedules: when they fire, paused and resumed by a button."""

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from service.auth.scopes import Scope
from service.console.access import guarded
from service.console.actions import SCHEDULE_ACTIONS, said
from service.console.pages import page
from service.console.performing import add_actions
from service.console.router import console_router
from service.platform.database import autocommit
from service.platform.paging import Paging
from service.platform.problems import documented
from service.schedules.routes import get_schedule, list_schedules, next_times
from service.state import State
from service.workflows import store

router = console_router()


@router.get("/schedules", dependencies=[guarded(Scope.SCHEDULES_READ)], responses=documented())
async def schedules_page(request: Request, paging: Paging, state: State) -> Response:
    """The list of schedules by name."""
    found = await list_schedules(paging, state)
    async with autocommit(state.engine) as connection:
        names = await store.names(connection, {schedule.workflow_id for schedule in found.items})
    return page(request, "schedules.html", found=found, names=names, actions=SCHEDULE_ACTIONS)


@router.get("/schedules/{schedule_id}", dependencies=[guarded(Scope.SCHEDULES_READ)], responses=documented(404))
async def schedule_page(schedule_id: UUID, request: Request, state: State) -> Response:
    """A schedule with its next times."""
    schedule = await get_schedule(schedule_id, state)
    async with autocommit(state.engine) as connection:
        names = await store.names(connection, [schedule.workflow_id])
    return page(
        request,
        "schedule.html",
        schedule=schedule,
        name=names.get(schedule.workflow_id, ""),
        times=(await next_times(schedule_id, state)).times,
        actions=SCHEDULE_ACTIONS,
        done=said(SCHEDULE_ACTIONS, request.query_params.get("done")),
    )


add_actions(router, "/schedules", SCHEDULE_ACTIONS)

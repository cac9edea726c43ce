"""Schedules: workflows executed by a cron expression."""

from datetime import datetime

from wfm.calls import Body, Call, Everything, Id, operation
from wfm.models import PageOfScheduleAnswer, Preview, PreviewRequest, ScheduleAnswer, ScheduleRequest


@operation("GET /api/v1/schedules")
def list_schedules(
    *, workflow_id: Id | None = None, page: int = 1, size: int | None = None
) -> Call[PageOfScheduleAnswer]:
    """A page of the schedules, by name."""
    return Call(PageOfScheduleAnswer, query={"workflow_id": workflow_id, "page": page, "size": size})


@operation("POST /api/v1/schedules")
def create_schedule(body: ScheduleRequest | Body) -> Call[ScheduleAnswer]:
    """Create a schedule."""
    return Call(ScheduleAnswer, body=body)


@operation("POST /api/v1/schedules/preview")
def preview_schedule(body: PreviewRequest | Body) -> Call[Preview]:
    """The next times of an expression, before there is a schedule."""
    return Call(Preview, body=body, changes_nothing=True)


@operation("GET /api/v1/schedules/{schedule_id}")
def get_schedule(schedule_id: Id) -> Call[ScheduleAnswer]:
    """Read a schedule."""
    return Call(ScheduleAnswer, path={"schedule_id": schedule_id})


@operation("PUT /api/v1/schedules/{schedule_id}")
def replace_schedule(schedule_id: Id, body: ScheduleRequest | Body) -> Call[ScheduleAnswer]:
    """Change a schedule."""
    return Call(ScheduleAnswer, path={"schedule_id": schedule_id}, body=body)


@operation("DELETE /api/v1/schedules/{schedule_id}")
def delete_schedule(schedule_id: Id) -> Call[None]:
    """Delete a schedule; its runs stay."""
    return Call(None, path={"schedule_id": schedule_id})


@operation("GET /api/v1/schedules/{schedule_id}/next")
def next_times(schedule_id: Id, *, count: int | None = None, after: datetime | None = None) -> Call[Preview]:
    """The next times of a schedule."""
    return Call(Preview, path={"schedule_id": schedule_id}, query={"count": count, "after": after})


@operation("POST /api/v1/schedules/{schedule_id}/pause")
def pause_schedule(schedule_id: Id) -> Call[ScheduleAnswer]:
    """Begin no more runs until it is resumed."""
    return Call(ScheduleAnswer, path={"schedule_id": schedule_id})


@operation("POST /api/v1/schedules/{schedule_id}/resume")
def resume_schedule(schedule_id: Id) -> Call[ScheduleAnswer]:
    """Begin runs again, from the next planned time on."""
    return Call(ScheduleAnswer, path={"schedule_id": schedule_id})


class ScheduleOperations:
    """Schedules: workflows executed by a cron expression."""

    list = list_schedules
    all = Everything(list_schedules, ScheduleAnswer)
    create = create_schedule
    preview = preview_schedule
    get = get_schedule
    replace = replace_schedule
    delete = delete_schedule
    next_times = next_times
    pause = pause_schedule
    resume = resume_schedule

"""Follow a run live."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Request
from starlette.responses import Response

from service.auth.access import GuardedRouter, requires
from service.auth.principal import ANONYMOUS, Caller, address_of
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.events.cursor import Cursor
from service.events.messages import tell
from service.events.read import read_first
from service.events.response import EventStreamResponse
from service.events.streams import Stream
from service.platform.database import autocommit
from service.platform.logging import bind_contextvars
from service.platform.problems import FieldProblem, documented, invalid, not_found
from service.state import State

router = GuardedRouter(tags=["runs"])

_NOTHING_NEW: dict[int | str, dict[str, Any]] = {
    204: {"description": "The run has ended and everything was told: there is nothing to come back for"}
}


@router.get(
    "/runs/{run_id}/events",
    status_code=200,
    dependencies=[requires(Role.VIEWER, Scope.RUNS_READ)],
    responses=_NOTHING_NEW | documented(404),
    response_class=EventStreamResponse,
)
async def follow_run(
    run_id: UUID,
    request: Request,
    caller: Caller,
    state: State,
    last_event_id: Annotated[
        str | None, Header(max_length=4096, description="The id of the last event: what came after it is sent")
    ] = None,
) -> Response:
    """Follow a run by server-sent events: `run` and `step` hold the newest state of the run and of a step, `end` comes
    last. Without `Last-Event-ID` everything is told from the beginning."""
    try:
        cursor = Cursor.read(last_event_id) if last_event_id else Cursor()
    except ValueError as error:
        raise invalid([FieldProblem(field="header.last-event-id", message=str(error))]) from None
    # Where nobody has to log in all callers have one name, so an address stands for one of them.
    name = caller.subject if caller is not ANONYMOUS else f"address:{address_of(request)}"
    state.streams.check(name)
    async with autocommit(state.engine) as connection:
        cursor, news = await read_first(connection, run_id, cursor)
    if news is None:
        raise not_found("run")
    bind_contextvars(workflow_id=str(news.run.workflow_id))
    first = tell(cursor, news)
    if last_event_id and first.says_nothing:
        return Response(status_code=204)
    # Again, because others came in meanwhile.
    state.streams.check(name)
    return EventStreamResponse(state.streams, Stream(run_id, name, first))

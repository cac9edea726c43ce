"""What was logged of a run."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from service.auth.access import GuardedRouter, requires
from service.auth.roles import Role
from service.auth.scopes import Scope
from service.platform.database import autocommit
from service.platform.problems import documented, not_found
from service.runs.logs import LogLevel, RunLogLine, RunLogPage, find_lines
from service.state import State

router = GuardedRouter(tags=["runs"])


@router.get("/runs/{run_id}/logs", dependencies=[requires(Role.VIEWER, Scope.RUNS_READ)], responses=documented(404))
async def list_logs(
    run_id: UUID,
    state: State,
    step: Annotated[
        str | None,
        Query(
            max_length=100,
            pattern=r"^[A-Za-z_][A-Za-z0-9_-]*(\[[0-9]+\])?$",
            description="Only lines about this step and its items, or about this item",
        ),
    ] = None,
    level: Annotated[LogLevel, Query(description="The least urgent level that is wanted")] = "debug",
    cursor: Annotated[
        str | None,
        Query(pattern="^[0-9]{1,18}$", description="`next` or `latest` of a page before, with the same filters"),
    ] = None,
    size: Annotated[
        int | None, Query(ge=1, description="Items a page: DEFAULT_PAGE_SIZE unless given, MAX_PAGE_SIZE at most")
    ] = None,
) -> RunLogPage:
    """Read what the executor and the agents say about a run, oldest lines first."""
    limit = min(size or state.settings.default_page_size, state.settings.max_page_size)
    # A cursor is the number of the next line that is wanted.
    begin = int(cursor or 0)
    async with autocommit(state.engine) as connection:
        # One more than asked for tells whether there is a next page.
        found = await find_lines(connection, run_id, after=begin - 1, step=step, level=level, limit=limit + 1)
    if found is None:
        raise not_found("run")
    shown = found.lines[:limit]
    following = str(shown[-1].number + 1) if shown else str(begin)
    return RunLogPage(
        items=[RunLogLine.model_validate(line) for line in shown],
        size=limit,
        next=following if len(found.lines) > limit else None,
        latest=following,
        run_status=found.run_status,
    )

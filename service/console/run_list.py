"""The list of runs as the console shows it: filters as they were typed, and pages in both directions."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

from starlette.datastructures import QueryParams

from service.console.workflow_choice import UNKNOWN, workflow_called
from service.platform.database import autocommit
from service.platform.problems import FieldProblem, invalid
from service.platform.tables import FINAL_RUN_STATUSES
from service.runs.lists import Cursor
from service.runs.routes import list_runs
from service.runs.schemas import RunStatus, RunSummary
from service.schedules.store import database_now
from service.state import ServiceState
from service.workflows import store

STATUSES: tuple[str, ...] = get_args(RunStatus)
PAGE_SIZE = 25
_FIELDS = ("workflow", "status", "since", "until")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for, as texts."""

    filters: dict[str, str]
    older: str | None
    newer: str | None

    @classmethod
    def of(cls, query: QueryParams) -> "Asked":
        """Read from an address; what is not there is empty."""
        filters = {name: query.get(name, "").strip() for name in _FIELDS}
        return cls(filters, query.get("older") or None, query.get("newer") or None)


@dataclass(frozen=True, slots=True)
class RunList:
    """One page of runs, and the marks at which the pages beside it begin."""

    runs: list[RunSummary] = field(default_factory=list)
    names: dict[UUID, str] = field(default_factory=dict)
    older: str | None = None
    newer: str | None = None
    total: int | None = None
    total_is_exact: bool | None = None
    now: datetime | None = None
    """The database's time, where a run is under way."""

    @property
    def is_live(self) -> bool:
        """Whether a run on the page is not finished."""
        return any(run.status not in FINAL_RUN_STATUSES for run in self.runs)

    @property
    def summary(self) -> str:
        """What is on the page in one sentence."""
        open_ones = sum(run.status not in FINAL_RUN_STATUSES for run in self.runs)
        return f"{len(self.runs)} runs on this page, {open_ones} of them not finished."


async def read_list(asked: Asked, state: ServiceState, *, count: bool) -> RunList:
    """The page that is asked for. Raises a 422 problem that names the filters that are wrong."""
    filters = await _filters(asked, state)
    back = asked.newer is not None
    found = await list_runs(
        state,
        **filters,
        sort="created_at" if back else "-created_at",
        cursor=asked.newer if back else asked.older,
        size=PAGE_SIZE,
        count=count,
    )
    runs = found.items[::-1] if back else found.items
    has_newer = found.next is not None if back else asked.older is not None
    has_older = found.next is not None or back
    async with autocommit(state.engine) as connection:
        names = await store.names(connection, {run.workflow_id for run in runs})
        now = await database_now(connection) if any(run.started_at and not run.finished_at for run in runs) else None
    return RunList(
        runs,
        names,
        older=Cursor("-created_at", runs[-1].created_at, runs[-1].id).write() if runs and has_older else None,
        newer=Cursor("created_at", runs[0].created_at, runs[0].id).write() if runs and has_newer else None,
        total=found.total,
        total_is_exact=found.total_is_exact,
        now=now,
    )


async def _filters(asked: Asked, state: ServiceState) -> dict[str, Any]:
    given = asked.filters
    problems: list[FieldProblem] = []
    found: dict[str, Any] = {"status": given["status"] or None}
    if given["status"] and given["status"] not in STATUSES:
        problems.append(FieldProblem(field="status", message=f"must be one of {', '.join(STATUSES)}"))
    for name, parameter in (("since", "created_from"), ("until", "created_before")):
        try:
            found[parameter] = datetime.fromisoformat(given[name]).replace(tzinfo=UTC) if given[name] else None
        except ValueError:
            problems.append(FieldProblem(field=name, message="must be a date and a time, like 2026-01-31T12:00"))
    found["workflow_id"] = await workflow_called(given["workflow"], state)
    if given["workflow"] and found["workflow_id"] is None:
        problems.append(FieldProblem(field="workflow", message=UNKNOWN))
    if problems:
        raise invalid(problems)
    return found

"""Fires the schedules that are due: their runs are stored and their next times set in one transaction.

Any number of processes may do so at once. A schedule's row is locked while it is fired, so that nobody else takes it,
and the id of a run is made of the schedule and the planned time, so that nothing is stored twice whatever happens.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Column, ColumnElement, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.platform.database import AnyRow, is_unavailable, transaction
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.tables import SCHEDULE_ACTOR, runs, schedules
from service.runs.insert import Accepted, NewRun, RunRequest, insert_runs
from service.schedules import metrics
from service.schedules.due import Decision, decide
from service.schedules.timetable import Timetable
from service.schedules.told import input_of

BATCH_SCHEDULES = 20
ASIDE_SECONDS = 60.0
"""How long a schedule that could not be fired is left alone, so that it holds back no other."""

_RUNS = UUID("5bb7a7f1-26b5-4f0e-9d43-6f2f0e1c8a55")


def _or_kept(name: str, column: Column[Any]) -> ColumnElement[Any]:
    return func.coalesce(bindparam(name, type_=column.type), column)


_MOVE = (
    schedules.update()
    .where(schedules.c.id == bindparam("schedule_id"))
    .values(
        next_fire_at=bindparam("next"),
        last_planned_at=_or_kept("planned", schedules.c.last_planned_at),
        last_run_id=_or_kept("run", schedules.c.last_run_id),
        last_skipped_at=_or_kept("skipped", schedules.c.last_skipped_at),
        last_skip_reason=_or_kept("reason", schedules.c.last_skip_reason),
    )
)

log = get_logger(__name__)


@dataclass
class _Work:
    """What one transaction does."""

    claimed: list[UUID] = field(default_factory=list)
    """The schedules that it has locked."""
    new: list[RunRequest] = field(default_factory=list)
    moves: list[dict[str, Any]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)


class Firing:
    """Fires what is due, batch by batch, on one connection of the given pool at a time."""

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._aside: dict[UUID, float] = {}

    async def once(self) -> bool:
        """Fire one batch; returns whether there may be more. Raises what the database raises when it is away."""
        now = time.monotonic()
        self._aside = {key: until for key, until in self._aside.items() if until > now}
        work = _Work()
        try:
            await self._fire(work)
        except Exception as error:
            if is_unavailable(error) or not work.claimed:
                raise
            await self._fire_apart(work.claimed)
        return len(work.claimed) == BATCH_SCHEDULES

    async def _fire_apart(self, schedule_ids: Iterable[UUID]) -> None:
        """One transaction for each schedule, so that those that can be fired are."""
        for schedule_id in schedule_ids:
            try:
                await self._fire(_Work(), only=schedule_id)
            except Exception as error:
                if is_unavailable(error):
                    raise
                self._put_aside(schedule_id)

    def _put_aside(self, schedule_id: UUID) -> None:
        self._aside[schedule_id] = time.monotonic() + ASIDE_SECONDS
        metrics.FAILURES.inc()
        log.exception("A schedule cannot be fired", schedule_id=str(schedule_id), again_in=ASIDE_SECONDS)

    async def _fire(self, work: _Work, only: UUID | None = None) -> None:
        async with transaction(self._engine) as connection:
            rows = await self._claim(connection, only)
            work.claimed += [row.id for row in rows]
            busy = await _busy(connection, [row.id for row in rows if row.overlap == "skip"])
            for row in rows:
                # Years of missed minutes take a moment to go through: the process has other work beside.
                await asyncio.sleep(0)
                _plan(work, row, is_blocked=row.id in busy)
            outcomes = await insert_runs(
                connection,
                work.new,
                topic=self._settings.kafka_execution_topic,
                audit=self._settings.enable_audit_logging,
            )
            if work.moves:
                await connection.execute(_MOVE, work.moves)
        metrics.FIRED.inc(sum(isinstance(each, Accepted) and not each.stored_before for each in outcomes))
        for reason, count in work.skipped.items():
            metrics.SKIPPED.labels(reason).inc(count)
        for each in work.new:
            log.info("Run accepted", run_id=str(each.runs[0].id), correlation_id=each.correlation_id)

    async def _claim(self, connection: AsyncConnection, only: UUID | None) -> Sequence[AnyRow]:
        query = select(schedules, func.now().label("now")).where(schedules.c.next_fire_at <= func.now())
        query = query.where(schedules.c.id == only if only else schedules.c.id.not_in(self._aside))
        query = query.order_by(schedules.c.next_fire_at).limit(BATCH_SCHEDULES)
        # The weaker lock of the two: a workflow may look for its schedules meanwhile.
        locking = query.with_for_update(skip_locked=True, key_share=True)
        return (await connection.execute(locking)).all()


async def _busy(connection: AsyncConnection, schedule_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the schedules that have a run that is not finished. Asked after the rows are locked, so it sees all."""
    if not schedule_ids:
        return set()
    actors = {f"{SCHEDULE_ACTOR}{each}": each for each in schedule_ids}
    # The condition of the index, word for word: Postgres uses it for nothing else.
    unfinished = text("status IN ('queued', 'running', 'paused', 'waiting') AND requested_by LIKE 'schedule:%'")
    query = select(runs.c.requested_by).distinct().where(runs.c.requested_by.in_(list(actors)), unfinished)
    return {actors[actor] for actor in (await connection.execute(query)).scalars()}


def _plan(work: _Work, row: AnyRow, *, is_blocked: bool) -> None:
    """Add to the work what one schedule needs."""
    timetable = Timetable(row.expression, row.time_zone)
    decision = decide(
        timetable,
        first=row.next_fire_at,
        now=row.now,
        catch_up=row.catch_up,
        limit=row.catch_up_limit,
        is_blocked=is_blocked,
    )
    new = [_run(row, planned, timetable) for planned in decision.fire]
    work.new += new
    work.moves.append(_move(row.id, decision, new))
    if decision.skipped:
        work.skipped[decision.reason] = work.skipped.get(decision.reason, 0) + decision.skipped


def _run(row: AnyRow, planned: datetime, timetable: Timetable) -> RunRequest:
    mark = planned.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    told = input_of(row.input, schedule_id=row.id, name=row.name, planned=planned, timetable=timetable)
    return RunRequest(
        workflow_id=row.workflow_id,
        runs=(NewRun(json.dumps(told), uuid5(_RUNS, f"{row.id}/{mark}"), row.priority),),
        actor=f"{SCHEDULE_ACTOR}{row.id}",
        address=None,
        correlation_id=f"schedule-{row.id}-{mark}",
    )


def _move(schedule_id: UUID, decision: Decision, new: Sequence[RunRequest]) -> dict[str, Any]:
    return {
        "schedule_id": schedule_id,
        "next": decision.next_fire_at,
        "planned": decision.fire[-1] if decision.fire else None,
        "run": new[-1].runs[0].id if new else None,
        "skipped": decision.last_skipped_at,
        "reason": decision.reason if decision.skipped else None,
    }

"""Reads what is new of runs, for all readers at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from service.events.cursor import Cursor, Snapshot
from service.platform.database import AnyRow

MOST_STEPS = 100
"""Steps of one run that are told at once; what is left is told the next time."""

# A row knows only the lower half of its transaction's number. The upper one follows from the next number that there
# will be: no row that a reader may have missed is four billion transactions old.
_NEWS = text(
    """
WITH asked AS (
    SELECT place, run_id, since, xid, step
    FROM unnest(
        CAST(:run_ids AS uuid[]), CAST(CAST(:since AS text[]) AS pg_snapshot[]), CAST(:xids AS bigint[]),
        CAST(:steps AS text[])
    ) WITH ORDINALITY AS asked (run_id, since, xid, step, place)
), present AS MATERIALIZED (
    SELECT CAST(pg_current_snapshot() AS text) AS snapshot,
           CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) AS following
)
SELECT * FROM (
SELECT asked.place, present.snapshot, NULL AS step_id, 0 AS xid,
       runs.id, runs.workflow_id, runs.workflow_version, runs.status, runs.attempt, runs.created_at, runs.started_at,
       runs.finished_at, runs.cancel_requested_at, runs.error
FROM asked CROSS JOIN present JOIN runs ON runs.id = asked.run_id
UNION ALL
SELECT asked.place, present.snapshot, news.step_id, news.xid,
       asked.run_id, NULL, NULL, news.status, news.attempt, NULL, news.started_at,
       news.finished_at, NULL, news.error
FROM asked CROSS JOIN present CROSS JOIN LATERAL (
    SELECT step_id, status, attempt, started_at, finished_at, error, xid
    FROM (
        SELECT step_id, status, attempt, started_at, finished_at, error,
               present.following - ((present.following - CAST(CAST(xmin AS text) AS bigint)) & 4294967295) AS xid
        FROM run_steps WHERE run_id = asked.run_id
    ) AS journal
    WHERE NOT pg_visible_in_snapshot(CAST(CAST(xid AS text) AS xid8), asked.since)
      AND NOT (xid = asked.xid AND step_id COLLATE "C" <= asked.step)
    ORDER BY xid, step_id COLLATE "C"
    LIMIT :most
) AS news
) AS found
ORDER BY place, xid, step_id COLLATE "C" NULLS FIRST
"""
)


@dataclass(frozen=True, slots=True)
class News:
    """A run, and what of its steps its reader does not know."""

    run: AnyRow
    steps: Sequence[AnyRow]
    """By transaction and id."""
    snapshot: Snapshot

    @property
    def is_all(self) -> bool:
        """Whether nothing more was there to tell."""
        return len(self.steps) < MOST_STEPS


async def read_news(connection: AsyncConnection, asked: Sequence[tuple[UUID, Cursor]]) -> list[News | None]:
    """For each run and what is known of it the news; None where there is no such run. One statement."""
    result = await connection.execute(
        _NEWS,
        {
            "run_ids": [run_id for run_id, _ in asked],
            "since": [str(cursor.snapshot) for _, cursor in asked],
            "xids": [cursor.xid for _, cursor in asked],
            "steps": [cursor.step for _, cursor in asked],
            "most": MOST_STEPS,
        },
    )
    rows = result.all()
    by_place: dict[int, list[AnyRow]] = {}
    for row in rows:
        by_place.setdefault(row.place, []).append(row)
    return [_news(by_place.get(place)) for place in range(1, len(asked) + 1)]


async def read_first(connection: AsyncConnection, run_id: UUID, cursor: Cursor) -> tuple[Cursor, News | None]:
    """What a new reader knows, and what it is told first.

    One whose snapshot is of the future is of another history of the database, and knows nothing of this one.
    """
    news = (await read_news(connection, [(run_id, cursor)]))[0]
    if news is not None and cursor.snapshot.next > news.snapshot.next:
        cursor = Cursor()
        news = (await read_news(connection, [(run_id, cursor)]))[0]
    return cursor, news


def _news(rows: Sequence[AnyRow] | None) -> News | None:
    if not rows:
        return None
    # The run's own row comes first; without it the run is gone, and its steps with it.
    return News(rows[0], rows[1:], Snapshot.parse(rows[0].snapshot)) if rows[0].step_id is None else None

"""A point of the live database's log at which a snapshot of it holds exactly what a restore to that point brings back.

A snapshot does not see a transaction that has written its commit and still waits for its standby, and a restore
replays that commit. So the point is made in a moment without such a transaction; on the restored copy `unseen` then
proves that there was none. Nothing is locked.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PATIENCE_SECONDS = 5.0
"""After this long transactions that were there all the time no longer count: they work, they do not commit."""

RUNNING = (
    "SELECT transactionid::text FROM pg_locks WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted"
)
SNAPSHOT = "SELECT pg_current_snapshot()::text"
POINT = "SELECT pg_current_snapshot()::text, pg_create_restore_point(%s)::text, clock_timestamp()"
ARCHIVED = """
SELECT coalesce(last_archived_wal >= %s, false), last_failed_time > last_archived_time FROM pg_stat_archiver
"""
UNSEEN = """
WITH known AS (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next),
  asked AS (
    SELECT unnest(%(unfinished)s::bigint[]) AS number
    UNION ALL SELECT generate_series(%(end)s::bigint, next - 1) FROM known
  )
SELECT number FROM asked, known WHERE number < next AND pg_xact_status(number::text::xid8) = 'committed'
"""


class DrillError(RuntimeError):
    """What did not work, in words for an operator."""


@dataclass(frozen=True)
class Snapshot:
    """Which transactions are seen: those below `end` that are not `unfinished`."""

    end: int
    unfinished: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> "Snapshot":
        """From Postgres' own form, `xmin:xmax:xip,...`."""
        _begin, end, unfinished = text.split(":")
        return cls(int(end), tuple(int(each) for each in unfinished.split(",") if each))


@dataclass(frozen=True)
class Point:
    """A named place in the log, and what the session that made it sees for the rest of its transaction."""

    name: str
    lsn: str
    at: datetime
    snapshot: Snapshot


def quiet_point(
    reader: Any,
    witness: Any,
    name: str,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Point:
    """Makes restore points `<name>-<number>` until one is in a quiet moment; the transaction of `reader` is left open.

    `reader` is a session whose transactions are REPEATABLE READ, `witness` one that commits each statement. Raises
    DrillError when there was no such moment within `seconds`.
    """
    began, number = clock(), 0
    working = running(witness)
    while clock() - began < seconds:
        ignored = working if clock() - began >= PATIENCE_SECONDS else frozenset()
        if not running(witness) - ignored:
            number += 1
            with reader.cursor() as cursor:
                cursor.execute(POINT, (f"{name}-{number}",))
                seen, lsn, at = cursor.fetchone()
            point = Point(f"{name}-{number}", lsn, at, Snapshot.of(seen))
            if not running(witness) - ignored and Snapshot.of(one(witness, SNAPSHOT)).end == point.snapshot.end:
                return point
            reader.rollback()
        # Not in step with anything that comes at regular intervals.
        pause(random.uniform(0.002, 0.02))  # noqa: S311 - no secret
    raise DrillError(
        f"for {seconds:.0f} s there was always a transaction about to commit, so no point could be compared exactly: "
        "run the drill when less is written"
    )


def running(session: Any) -> frozenset[str]:
    """The numbers of the transactions that have written something and are not over."""
    with session.cursor() as cursor:
        cursor.execute(RUNNING)
        return frozenset(each for (each,) in cursor.fetchall())


def close_segment(witness: Any) -> str:
    """Ends the log's current file, so that it is archived; returns the file's name."""
    # A restore to a time ends at the first commit after it, so there has to be one.
    one(witness, "SELECT pg_current_xact_id()::text")
    return str(one(witness, "SELECT pg_walfile_name(pg_switch_wal())"))


def wait_archived(
    witness: Any,
    segment: str,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when the file of the log is in the archive. Raises DrillError when it is not there in time."""
    deadline = clock() + seconds
    while True:
        with witness.cursor() as cursor:
            cursor.execute(ARCHIVED, (segment,))
            archived, broken = cursor.fetchone()
        if archived:
            return
        if clock() > deadline:
            last = "its last attempt failed" if broken else "it made no attempt that failed"
            raise DrillError(f"the live server did not archive {segment} within {seconds:.0f} s; {last}")
        pause(0.5)


def unseen(cursor: Any, snapshot: Snapshot) -> list[int]:
    """On a restored copy: the transactions that are committed there and that the snapshot does not see."""
    cursor.execute(UNSEEN, {"unfinished": list(snapshot.unfinished), "end": snapshot.end})
    return [number for (number,) in cursor.fetchall()]


def one(session: Any, statement: str) -> Any:
    """The first column of the first row."""
    with session.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]

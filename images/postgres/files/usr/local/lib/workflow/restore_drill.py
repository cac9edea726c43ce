"""Restores a backup beside the live database and compares the two, table by table."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from drill_point import DrillError, Point, close_segment, one, quiet_point, unseen, wait_archived
from drill_restore import Copy, Target, chosen, say, told_backup
from drill_tables import (
    SESSION,
    Figures,
    Table,
    compared_now,
    compared_until,
    differing,
    figures_by_table,
    told,
)

DIFFERENT = 3
"""The exit code when the restore worked and a table is not the same."""

SECRETS = "/config/secrets"
ROLE = "restore_drill"
SIGN_OF_LIFE_SECONDS = 60.0
LOCK = "-c lock_timeout=30s"
POINT_SECONDS, ARCHIVE_SECONDS = 30.0, 180.0
LONGEST_TRANSACTION = timedelta(seconds=60)
"""A row notes when its transaction began; what began this long before a time is taken for committed by then."""


class Live:
    """Two sessions with the live primary: one keeps a snapshot, the other commits each statement."""

    def __init__(self, host: str, database: str, inside: ExitStack) -> None:
        def session() -> Any:
            made = psycopg2.connect(
                host=host,
                dbname=database,
                user=os.environ.get("PGUSER", ROLE),
                sslmode="verify-full",
                sslrootcert=f"{SECRETS}/ca.crt",
                sslcert=f"{SECRETS}/tls.crt",
                sslkey=f"{SECRETS}/tls.key",
                application_name="restore-drill",
                connect_timeout=10,
                options=f"{SESSION} {LOCK}",
            )
            return inside.enter_context(closing(made))

        self.reader, self.witness = session(), session()
        self.reader.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self.witness.autocommit = True
        self.point: Point | None = None

    def mark(self, name: str) -> Point:
        """Makes the point up to which is to be restored."""
        self.point = quiet_point(self.reader, self.witness, name, POINT_SECONDS)
        return self.point

    def past(self, at: datetime) -> datetime:
        """The same time. Raises DrillError when it is not over by the live server's clock."""
        now: datetime = one(self.witness, "SELECT clock_timestamp()")
        if at >= now:
            raise DrillError(f"{at.isoformat()} is still to come: the live server's clock says {now.isoformat()}")
        return at

    def figures(self, until: datetime | None) -> dict[Table, Figures]:
        """What the tables hold at the point, or hold now of the rows up to a time; ends the snapshot."""
        with self.reader.cursor() as cursor:
            found = figures_by_table(cursor, until)
        self.reader.rollback()
        return found

    def archive(self) -> None:
        """Returns when everything up to now is in the repository."""
        wait_archived(self.witness, close_segment(self.witness), ARCHIVE_SECONDS)


class Times:
    """How long each step took, in seconds."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self.took: dict[str, float] = {}

    def done(self, step: str) -> None:
        """Notes the step that ends now."""
        now = time.monotonic()
        self.took[step] = round(now - self._last, 1)
        self._last = now

    def as_json(self) -> dict[str, float]:
        """With the sum of all."""
        return {**self.took, "total": round(time.monotonic() - self._began, 1)}


def drill(wanted: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Restores, starts, compares, stops; what was found. Raises DrillError."""
    began, times, copy = datetime.now(UTC), Times(), Copy(scratch, wanted.limit)
    target: Target = wanted.to
    until = wanted.to - LONGEST_TRANSACTION if wanted.to and wanted.live else None
    live: dict[Table, Figures] | None = None
    try:
        if wanted.live:
            with ExitStack() as inside:
                primary = Live(wanted.live, wanted.database, inside)
                target = primary.past(wanted.to) if wanted.to else primary.mark(f"drill-{began:%Y%m%dT%H%M%S}")
                live = primary.figures(until)
                primary.archive()
            times.done("live")
        backup = chosen(copy.backups(), target)
        say(f"restoring backup {backup['label']}")
        copy.restore(backup, target)
        times.done("restore")
        with copy.server(), closing(copy.open(wanted.database)) as session, session.cursor() as cursor:
            times.done("recovery")
            say("the restored server has reached its target")
            reached = _reached(cursor, copy)
            entries = _compared(cursor, target, until, live)
            times.done("comparison")
    except psycopg2.Error as error:
        raise DrillError(f"a server was asked in vain: {' '.join(str(error).split())}") from error
    return {
        "database": wanted.database,
        "startedAt": began.isoformat(timespec="seconds"),
        "endedAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "target": _told_target(target),
        "reached": reached,
        "backup": told_backup(backup),
        "restoredBytes": copy.size(),
        "seconds": times.as_json(),
        "compared": live is not None,
        "same": None if live is None else not differing(entries),
        "tables": entries,
    }


def _compared(
    cursor: Any, target: Target, until: datetime | None, live: dict[Table, Figures] | None
) -> list[dict[str, Any]]:
    restored = figures_by_table(cursor, until)
    if live is None:
        return told(restored)
    if until is not None:
        return compared_until(until, live, restored)
    if isinstance(target, Point) and (late := unseen(cursor, target.snapshot)):
        raise DrillError(
            f"{len(late)} transactions were committed in the very moment of the point, so nothing can be concluded: "
            "run the drill again"
        )
    return compared_now(live, restored)


def _reached(cursor: Any, copy: Copy) -> dict[str, Any]:
    cursor.execute("SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()")
    recovering, newest = cursor.fetchone()
    if recovering:
        raise DrillError("the restored server is still in recovery")
    return {"lastTransaction": newest.isoformat() if newest else None, "stopped": copy.stopped()}


def _told_target(target: Target) -> dict[str, Any]:
    if isinstance(target, Point):
        return {"kind": "point", "name": target.name, "lsn": target.lsn, "time": target.at.isoformat()}
    if target is not None:
        return {"kind": "time", "time": target.isoformat()}
    return {"kind": "latest"}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; what it does not say comes from the environment."""
    environ = os.environ
    parser = argparse.ArgumentParser(prog="restore-drill")
    parser.add_argument("--database", default=environ.get("POSTGRES_DB"))
    parser.add_argument("--to", type=datetime.fromisoformat, help="ISO 8601 with an offset; default: now")
    parser.add_argument("--live", default=environ.get("PGHOST"), help="the primary to compare with; none: only restore")
    parser.add_argument(
        "--scratch", default=environ.get("DRILL_SCRATCH", "/var/lib/pgbackrest"), help="a folder with room for it all"
    )
    parser.add_argument("--limit", type=int, default=7200, help="seconds for each step")
    found = parser.parse_args(arguments)
    if not found.database:
        parser.error("--database is needed where POSTGRES_DB does not say it")
    if found.to is not None and found.to.tzinfo is None:
        parser.error("--to needs an offset, say 2026-01-31T12:00:00+00:00")
    return found


def _say_now_and_then(over: threading.Event) -> None:
    """Who follows the log gives up on a drill that is silent for long."""
    began = time.monotonic()
    while not over.wait(SIGN_OF_LIFE_SECONDS):
        say(f"at work for {time.monotonic() - began:.0f} s")


def main(arguments: Sequence[str]) -> int:
    """Does the drill and prints what it found as the last line."""
    wanted = parse(arguments)
    # As the first program of a container it would not hear of its end otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    over = threading.Event()
    threading.Thread(target=_say_now_and_then, args=(over,), daemon=True).start()
    scratch = Path(tempfile.mkdtemp(prefix=".drill-", dir=wanted.scratch))
    try:
        found = drill(wanted, scratch)
    except DrillError as error:
        say(str(error))
        return 1
    finally:
        over.set()
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write(json.dumps(found) + "\n")
    return DIFFERENT if found["same"] is False else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

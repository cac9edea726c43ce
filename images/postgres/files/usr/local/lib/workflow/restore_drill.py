"""Restores a backup into a scratch folder and looks into it; the database that it was made of is not touched."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql

STANZA = "workflow"
SERVER = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "10",
    # Nobody reads before the target is reached, and so none of the old server's sizes have to be met.
    "hot_standby": "off",
    "archive_mode": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",
    "huge_pages": "off",
    "logging_collector": "off",
    "log_parameter_max_length_on_error": "0",
}


class DrillError(RuntimeError):
    """What did not work, in words for an operator."""


def config_without_hosts(text: str, data: Path) -> str:
    """pgBackRest's config, with the scratch folder in the place of the live servers."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(pg\d+-|tls-server-|\[workflow\])", line)]
    return "\n".join([*lines, f"[{STANZA}]", f"pg1-path={data}", ""])


def restore_command(at: datetime | None) -> list[str]:
    """The restore: to a time, or as far as the archive goes; the server opens for writing when it is there."""
    command = ["pgbackrest", f"--stanza={STANZA}", "--archive-mode=off", "--log-level-console=warn"]
    if at is None:
        return [*command, "restore"]
    target = at.strftime("%Y-%m-%d %H:%M:%S.%f%z")
    target = f"{target[:-2]}:{target[-2:]}"
    return [*command, "--type=time", f"--target={target}", "--target-action=promote", "restore"]


def measured(connection: Any, tables: Sequence[tuple[str, str]]) -> dict[str, dict[str, object]]:
    """Number of rows and newest value of the column, by table."""
    found: dict[str, dict[str, object]] = {}
    with connection.cursor() as cursor:
        for table, column in tables:
            query = sql.SQL("SELECT count(*), max({}) FROM {}").format(sql.Identifier(column), sql.Identifier(table))
            cursor.execute(query)
            rows, newest = cursor.fetchone()
            found[table] = {"rows": rows, "newest": newest.isoformat() if isinstance(newest, datetime) else newest}
    return found


def drill(scratch: Path, database: str, at: datetime | None, tables: Sequence[tuple[str, str]], limit: int) -> object:
    """Restores, starts, looks, stops; what was found. Raises DrillError."""
    began = time.monotonic()
    data = scratch / "data"
    config = scratch / "pgbackrest.conf"
    source = Path(os.environ.get("PGBACKREST_CONFIG", "/config/pgbackrest.conf"))
    config.write_text(config_without_hosts(source.read_text(), data))
    # The server starts pgBackRest to fetch WAL; it takes the config from there too.
    environment = {**os.environ, "PGBACKREST_CONFIG": str(config)}
    data.mkdir(mode=0o700)
    _run(restore_command(at), environment, limit)
    restored = time.monotonic()
    settings = dict(SERVER, hba_file=str(scratch / "hba"), ident_file=str(scratch / "ident"))
    settings |= {"unix_socket_directories": str(scratch)}
    (scratch / "hba").write_text("local all postgres peer map=drill\n")
    (scratch / "ident").write_text("drill app postgres\n")
    (scratch / "postgresql.conf").write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
    server = ["pg_ctl", f"--pgdata={data}", "--silent"]
    log = scratch / "log"
    start = [f"--options=-c config_file={scratch / 'postgresql.conf'}", f"--log={log}", f"--timeout={limit}"]
    try:
        _run([*server, *start, "--wait", "start"], environment, limit + 10, log)
        connection = _opened(scratch, database, limit, log)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_is_in_recovery(), pg_last_xact_replay_timestamp()")
                recovering, newest = cursor.fetchone()
            if recovering:
                raise DrillError("the restored server is still in recovery")
            return {
                "database": database,
                "target": at.isoformat() if at else "latest",
                "last_transaction": newest.isoformat() if newest else None,
                "restore_seconds": round(restored - began, 1),
                "total_seconds": round(time.monotonic() - began, 1),
                "tables": measured(connection, tables),
            }
        finally:
            connection.close()
    except psycopg2.Error as error:
        raise DrillError(f"the restored server was asked in vain: {' '.join(str(error).split())}") from error
    finally:
        if (data / "postmaster.pid").exists():
            subprocess.run([*server, "--mode=immediate", "stop"], check=False, env=environment, timeout=60)


def _opened(scratch: Path, database: str, limit: int, log: Path) -> Any:
    """A connection, once the server has reached its target; pg_ctl counts a server in recovery as started."""
    deadline = time.monotonic() + limit
    while True:
        try:
            return psycopg2.connect(host=str(scratch), dbname=database, user="postgres", connect_timeout=30)
        except psycopg2.OperationalError as error:
            if not (scratch / "data" / "postmaster.pid").exists():
                raise DrillError("the restored server ended:\n" + _tail(log.read_text(errors="replace"))) from error
            if time.monotonic() > deadline:
                raise DrillError(f"the target was not reached within {limit} s") from error
        time.sleep(0.5)


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-12:])


def _run(command: list[str], environment: dict[str, str], limit: int, log: Path | None = None) -> None:
    try:
        ended = subprocess.run(
            command, check=False, env=environment, timeout=limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except subprocess.TimeoutExpired:
        raise DrillError(f"{command[0]} was not done within {limit} s") from None
    if ended.returncode:
        said = log.read_text(errors="replace") if log and log.exists() else ended.stdout.decode(errors="replace")
        raise DrillError(f"{command[0]} ended with code {ended.returncode}:\n" + _tail(said))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="restore-drill")
    parser.add_argument("--database", required=True)
    parser.add_argument("--time", type=datetime.fromisoformat, help="ISO 8601 with an offset; default: the newest")
    parser.add_argument("--table", action="append", default=[], help="NAME:COLUMN, the column being a time")
    parser.add_argument("--scratch", default="/var/lib/pgbackrest", help="a folder with room for the whole database")
    parser.add_argument("--limit", type=int, default=3600, help="seconds for each step")
    found = parser.parse_args(arguments)
    if found.time is not None and found.time.tzinfo is None:
        parser.error("--time needs an offset, say 2026-01-31T12:00:00+00:00")
    found.tables = [tuple(each.split(":")) for each in found.table]
    if any(len(each) != len(("table", "column")) for each in found.tables):
        parser.error("--table must be NAME:COLUMN, say runs:created_at")
    return found


def main(arguments: Sequence[str]) -> int:
    """Does the drill and prints what it found."""
    wanted = parse(arguments)
    # A unix socket's path may be a hundred characters long, so names stay short.
    scratch = Path(tempfile.mkdtemp(prefix=".drill-", dir=wanted.scratch))
    try:
        found = drill(scratch, wanted.database, wanted.time, wanted.tables, wanted.limit)
    except DrillError as error:
        sys.stderr.write(f"restore-drill: {error}\n")
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Restores a backup into a scratch folder and runs a private server on it, which nobody reaches from outside."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from drill_point import DrillError, Point
from drill_tables import SESSION

STANZA = "workflow"
PGBACKREST = ("pgbackrest", f"--stanza={STANZA}")
ROOM = 1.1
"""How much of the database's size has to be free: itself, and the log that is replayed."""

SERVER = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "10",
    # Nobody reads before the target is reached, and so none of the old server's sizes have to be met.
    "hot_standby": "off",
    "archive_mode": "off",
    "autovacuum": "off",
    # The log that was replayed makes room soon.
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
    "fsync": "off",
    "full_page_writes": "off",
    "jit": "off",
    "dynamic_shared_memory_type": "mmap",
    "huge_pages": "off",
    "logging_collector": "off",
    "log_parameter_max_length_on_error": "0",
}

Target = Point | datetime | None
"""Where recovery ends: at a named point, at a time, or where the archive does."""


def say(line: str) -> None:
    """A word for whoever follows the log."""
    sys.stderr.write(f"restore-drill: {line}\n")
    sys.stderr.flush()


def config_without_hosts(text: str, data: Path) -> str:
    """pgBackRest's config, with the scratch folder in the place of the live servers."""
    lines = [line for line in text.splitlines() if not re.match(r"\s*(pg\d+-|tls-server-|\[workflow\])", line)]
    return "\n".join([*lines, f"[{STANZA}]", f"pg1-path={data}", ""])


def chosen(backups: Sequence[Mapping[str, Any]], target: Target) -> Mapping[str, Any]:
    """The newest whole backup that ended before the target. Raises DrillError when there is none."""

    def before(backup: Mapping[str, Any]) -> bool:
        if isinstance(target, Point):
            return place(backup["lsn"]["stop"]) <= place(target.lsn)
        return target is None or ended_at(backup) < target

    if fitting := [each for each in backups if not each.get("error") and before(each)]:
        return fitting[-1]
    where = f"before {target.isoformat()}" if isinstance(target, datetime) else "that could be used"
    oldest = f"; the oldest ended at {ended_at(backups[0]).isoformat()}" if backups else ""
    raise DrillError(f"the repository holds no backup that ended {where}{oldest}")


def place(lsn: str) -> int:
    """A place in the log as a number."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def ended_at(backup: Mapping[str, Any]) -> datetime:
    """When a backup was complete."""
    return datetime.fromtimestamp(backup["timestamp"]["stop"], UTC)


def told_backup(backup: Mapping[str, Any]) -> dict[str, Any]:
    """A backup for the report; sizes in bytes."""
    return {
        "label": backup["label"],
        "type": backup["type"],
        "endedAt": ended_at(backup).isoformat(),
        "databaseBytes": backup["info"]["size"],
        "repositoryBytes": backup["info"]["repository"]["size"],
    }


def restore_command(label: str, target: Target) -> list[str]:
    """The restore of one backup; the server opens for writing when it has reached the target."""
    command = [*PGBACKREST, f"--set={label}", "--archive-mode=off", "--log-level-console=warn"]
    if target is None:
        return [*command, "restore"]
    if isinstance(target, Point):
        kind, value = "name", target.name
    else:
        text = target.strftime("%Y-%m-%d %H:%M:%S.%f%z")
        kind, value = "time", f"{text[:-2]}:{text[-2:]}"
    return [*command, f"--type={kind}", f"--target={value}", "--target-action=promote", "restore"]


class Copy:
    """A restore in a scratch folder, whose name must be short: a socket's path has room for a hundred letters."""

    def __init__(self, scratch: Path, limit: int) -> None:
        """`limit` is how many seconds each step may take."""
        self.scratch, self.limit = scratch, limit
        self.data, self.log = scratch / "data", scratch / "log"
        self.config = scratch / "pgbackrest.conf"
        source = Path(os.environ.get("PGBACKREST_CONFIG", "/config/pgbackrest.conf"))
        self.config.write_text(config_without_hosts(source.read_text(), self.data))
        own = {key: value for key, value in os.environ.items() if not key.startswith("PG") or "BACKREST" in key}
        # The server starts pgBackRest to fetch the log; it takes the config from there too.
        self.environment = {**own, "PGBACKREST_CONFIG": str(self.config)}

    def backups(self) -> list[dict[str, Any]]:
        """What the repository holds, oldest first. Raises DrillError when it can't be read."""
        answer = json.loads(
            self._run([*PGBACKREST, "--log-level-console=off", "--log-level-stderr=off", "--output=json", "info"])
        )
        return list(answer[0].get("backup") or []) if answer else []

    def restore(self, backup: Mapping[str, Any], target: Target) -> None:
        """Brings the backup's files into the folder. Raises DrillError."""
        room = os.statvfs(self.scratch)
        free, wanted = room.f_bavail * room.f_frsize, int(backup["info"]["size"] * ROOM)
        if free < wanted:
            raise DrillError(f"{self.scratch.parent} has {free} bytes free, and the restore needs {wanted}")
        self.data.mkdir(mode=0o700)
        self._run(restore_command(backup["label"], target))

    @contextmanager
    def server(self) -> Iterator[None]:
        """A server on the restored files that replays the log up to the target, and is gone after the block."""
        settings = dict(SERVER, hba_file=str(self.scratch / "hba"), ident_file=str(self.scratch / "ident"))
        settings |= {"unix_socket_directories": str(self.scratch)}
        (self.scratch / "hba").write_text("local all postgres peer map=drill\n")
        (self.scratch / "ident").write_text("drill app postgres\n")
        config = self.scratch / "postgresql.conf"
        config.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        control = ["pg_ctl", f"--pgdata={self.data}", "--silent"]
        start = [f"--options=-c config_file={config}", f"--log={self.log}", f"--timeout={self.limit}"]
        try:
            self._run([*control, *start, "--wait", "start"])
            yield
        finally:
            if (self.data / "postmaster.pid").exists():
                stop = [*control, "--mode=immediate", "stop"]
                subprocess.run(stop, check=False, env=self.environment, timeout=60)

    def open(self, database: str) -> Any:
        """A session with the copy once it has reached its target; pg_ctl counts a server in recovery as started.

        Raises DrillError when the server ends or does not get there in time.
        """
        deadline = time.monotonic() + self.limit
        while True:
            try:
                return psycopg2.connect(
                    host=str(self.scratch), dbname=database, user="postgres", connect_timeout=30, options=SESSION
                )
            except psycopg2.OperationalError as error:
                if not (self.data / "postmaster.pid").exists():
                    raise DrillError("the restored server ended:\n" + _tail(self._logged())) from error
                if time.monotonic() > deadline:
                    raise DrillError(f"the target was not reached within {self.limit} s") from error
            time.sleep(0.2)

    def stopped(self) -> str:
        """Where recovery ended, in the server's words; empty when it was the end of the archive."""
        found = re.findall(r"recovery stopping (.*)", self._logged())
        return str(found[-1]) if found else ""

    def size(self) -> int:
        """The bytes of the database's files, without the log."""
        return sum(
            (Path(folder) / name).lstat().st_size
            for folder, _, names in os.walk(self.data)
            for name in names
            if "pg_wal" not in Path(folder).parts
        )

    def _logged(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _run(self, command: list[str]) -> str:
        """The command's output. Raises DrillError with its last words when it fails or takes too long."""
        output = self.scratch / "output"
        with output.open("wb") as file:
            try:
                code = subprocess.run(
                    command, check=False, env=self.environment, timeout=self.limit, stdout=file, stderr=file
                ).returncode
            except subprocess.TimeoutExpired:
                raise DrillError(f"{command[0]} was not done within {self.limit} s") from None
        said = output.read_text(errors="replace")
        if code:
            raise DrillError(f"{command[0]} {command[-1]} ended with code {code}:\n{_tail(self._logged() or said)}")
        return said


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-12:])

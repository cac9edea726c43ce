"""The repository of a live stack's backups: what is in it, and one more backup into it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from ops.context import Context
from ops.errors import OperatorError
from ops.live_kubernetes import KubernetesStack

FULL, INCREMENTAL, DRILL = "backup-full", "backup-incremental", "restore-drill"
"""The schedules of a stack that work on the repository."""

LIST = ("pgbackrest", "--stanza=workflow", "--output=json", "info")
BACKUP_SECONDS = 4 * 3600.0
KIBI = 1024


@dataclass(frozen=True)
class Backup:
    """One backup. An incremental one has only what changed since the one before: `repository_bytes` is what it added,
    `database_bytes` what it restores to."""

    label: str
    kind: str
    started_at: datetime
    ended_at: datetime
    database_bytes: int
    repository_bytes: int
    faulty: bool

    def as_json(self) -> dict[str, Any]:
        """For programs; times are ISO 8601, UTC."""
        return {
            "label": self.label,
            "type": self.kind,
            "startedAt": self.started_at.isoformat(),
            "endedAt": self.ended_at.isoformat(),
            "databaseBytes": self.database_bytes,
            "repositoryBytes": self.repository_bytes,
            "faulty": self.faulty,
        }


@contextmanager
def repository_of(context: Context, stack: str, part: str) -> Iterator[KubernetesStack]:
    """The live stack, closed after the block. Raises OperatorError when it keeps no backups or has no such schedule."""
    described = context.stack(stack)
    if described.target != "kubernetes":
        raise OperatorError(
            f"stack {stack} is on {described.target} and keeps no backups; only stacks on a cluster do",
            "name one of those, say prod",
        )
    if not described.postgres.provision:
        raise OperatorError(
            f"the database of stack {stack} is run by somebody else ({described.name} has postgres.external), "
            "and so are its backups",
            "ask whoever runs that server",
        )
    live = KubernetesStack.of(context.home, described)
    try:
        if not live.has_job(part):
            raise OperatorError(f"stack {stack} has no schedule {part} on its cluster", f"./deploy-api.sh up {stack}")
        yield live
    finally:
        live.close()


def backups_of(context: Context, stack: str) -> list[Backup]:
    """What the repository holds, oldest first. Raises OperatorError when it can't be read."""
    with repository_of(context, stack, FULL) as live, context.progress.task("Reading the repository") as report:
        return _listed(context, live, report)


def back_up(context: Context, stack: str, full: bool) -> tuple[str, list[Backup]]:
    """Makes a backup now, as the schedule does; the new one's label, and all there are. Raises OperatorError."""
    part = FULL if full else INCREMENTAL
    with repository_of(context, stack, part) as live:
        said: list[str] = []
        with context.progress.task(f"{'Full' if full else 'Incremental'} backup of stack {stack}") as report:

            def write(line: str) -> None:
                said.append(line)
                report(line)

            code, why = live.run_again(part, write, seconds=BACKUP_SECONDS)
            if code:
                raise OperatorError(f"the backup failed: {last_words(said) or why}", f"see {context.log}")
        with context.progress.task("Reading the repository") as report:
            found = _listed(context, live, report)
    if not found:
        raise OperatorError("the backup ended well and the repository is empty", f"see {context.log}")
    return found[-1].label, found


def _listed(context: Context, live: KubernetesStack, report: Any) -> list[Backup]:
    said: list[str] = []
    code, why = live.run_again(FULL, said.append, LIST)
    document = document_of(said, list)
    if code or document is None:
        report(last_words(said))
        raise OperatorError(f"the repository can't be read: {last_words(said) or why}", f"see {context.log}")
    return [backup_of(each) for stanza in document for each in stanza.get("backup") or []]


def backup_of(told: Mapping[str, Any]) -> Backup:
    """A backup as pgBackRest tells of it."""
    start, stop = (datetime.fromtimestamp(told["timestamp"][name], UTC) for name in ("start", "stop"))
    sizes = told["info"]
    return Backup(
        told["label"], told["type"], start, stop, sizes["size"], sizes["repository"]["delta"], bool(told.get("error"))
    )


def document_of(lines: Sequence[str], kind: type) -> Any:
    """The last line that is a JSON document of this kind, among what a program wrote; None when there is none."""
    for line in reversed(lines):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, kind):
            return document
    return None


def last_words(lines: Sequence[str]) -> str:
    """The last that a program said."""
    return next((line for line in reversed(lines) if line.strip()), "")[:300]


def backups_table(backups: Sequence[Backup]) -> Table:
    """For people, oldest first."""
    table = Table(box=None, pad_edge=False)
    for column in ("backup", "type", "ended (UTC)", "took", "database", "added to the repository", ""):
        table.add_column(column, overflow="fold")
    for each in backups:
        took = f"{(each.ended_at - each.started_at).total_seconds():.0f} s"
        table.add_row(
            each.label, each.kind, f"{each.ended_at:%Y-%m-%d %H:%M:%S}", took, size_of(each.database_bytes),
            size_of(each.repository_bytes), "[red]damaged pages[/]" if each.faulty else "",
        )  # fmt: skip
    return table


def size_of(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if count < KIBI:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= KIBI
    return f"{count:.1f} GiB"

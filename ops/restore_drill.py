"""Proves that a live stack's backups can be restored: its own drill, run now, and what it found."""

import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from ops.backups import DRILL, document_of, last_words, repository_of, size_of
from ops.console import duration
from ops.context import Context
from ops.errors import OperatorError

DRILL_SECONDS = 4 * 3600.0
DIFFERENT = 3
"""The drill's exit code when the restore worked and something differs."""

SAYS = "restore-drill: "


def point_in_time(given: str | None) -> datetime | None:
    """The time that was typed. Raises OperatorError when it is none, has no zone, or is still to come."""
    if given is None:
        return None
    example = f"say {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00"
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        raise OperatorError(f"--to {given} is no time in the form of ISO 8601", example) from None
    if found.tzinfo is None:
        raise OperatorError(f"--to {given} has no zone, so it may be any of two dozen times", example)
    if found > datetime.now(UTC):
        raise OperatorError(f"--to {given} is still to come", "name a time that is over, or leave --to away for now")
    return found


def drill(context: Context, stack: str, to: datetime | None) -> dict[str, Any]:
    """Restores beside the live database and compares; the report, which is also kept in the stack's records.

    Raises OperatorError when it could not be done, so that nothing is known of the backups.
    """
    began = time.monotonic()
    said: list[str] = []
    arguments = None if to is None else [DRILL, "--to", to.isoformat()]
    title = f"Restore drill of stack {stack}"
    with repository_of(context, stack, DRILL) as live, context.progress.task(title) as report:

        def write(line: str) -> None:
            said.append(line)
            if not line.startswith("{"):
                report(line.removeprefix(SAYS))

        code, why = live.run_again(DRILL, write, arguments, DRILL_SECONDS)
    found: dict[str, Any] | None = document_of(said, dict)
    if code not in {0, DIFFERENT} or found is None or "same" not in found:
        raise OperatorError(f"the drill could not be done: {reason_of(said) or why}", f"see {context.log}")
    took = {**found["seconds"], "command": round(time.monotonic() - began, 1)}
    result = {"stack": stack, **found, "seconds": took, "passed": code == 0 and found["same"] is True}
    context.record.write(json.dumps(result))
    keep(context.home.drills(stack), result)
    return result


def reason_of(lines: list[str]) -> str:
    """Why the drill gave up, in its own words with the log that follows them."""
    starts = [number for number, line in enumerate(lines) if line.startswith(SAYS)]
    if not starts:
        return last_words(lines)
    return " ".join(" ".join(lines[starts[-1] :]).split()).removeprefix(SAYS)[:600]


def keep(folder: Path, result: Mapping[str, Any]) -> Path:
    """Writes the record, for its owner only; returns its path."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    moment = datetime.fromisoformat(result["startedAt"]).astimezone(UTC)
    path = folder / f"{moment:%Y%m%dT%H%M%SZ}.json"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=2)
    return path


def drill_lines(result: Mapping[str, Any]) -> list[str]:
    """What was restored, from what, how far and how fast, in words."""
    target, reached, backup, seconds = result["target"], result["reached"], result["backup"], result["seconds"]
    named = f", restore point {target['name']} at {target['lsn']}" if target["kind"] == "point" else ""
    steps = ", ".join(f"{step} {duration(took)}" for step, took in seconds.items() if step not in {"total", "command"})
    judged = [each for each in result["tables"] if each["same"] is not None]
    different = [each for each in judged if not each["same"]]
    compared = f"{len(judged)} of {len(result['tables'])} tables compared, {len(different)} differ"
    return [
        f"Restored to   {target.get('time', 'the end of the archive')}{named}",
        f"Reached       {reached['stopped'] or 'the end of the archive'}",
        f"Newest commit {reached['lastTransaction'] or 'none after the backup'}",
        f"From backup   {backup['label']} ({backup['type']}, ended {backup['endedAt']}), "
        f"{size_of(backup['databaseBytes'])}, in the repository {size_of(backup['repositoryBytes'])}",
        f"Copy          {size_of(result['restoredBytes'])}",
        f"Took          {duration(seconds['total'])} ({steps}); with the pod's start {duration(seconds['command'])}",
        f"{'Passed' if result['passed'] else 'FAILED':<13} {compared}",
    ]


def drill_table(result: Mapping[str, Any]) -> Table:
    """Table by table what was live and what was restored."""
    table = Table(box=None, pad_edge=False)
    for column in ("table", "verdict", "compared", "rows live", "rows restored", "newest", "why"):
        table.add_column(column, overflow="fold")
    for each in result["tables"]:
        verdict = {True: "[green]same[/]", False: "[red]differs[/]", None: "told"}[each["same"]]
        live, restored = each["live"] or {}, each["restored"] or {}
        times = [value for value in (restored.get("newest") or {}).values() if value]
        table.add_row(
            each["table"], verdict, each["compared"] or "-", str(live.get("rows", "-")), str(restored.get("rows", "-")),
            max(times, default="-"), each["why"] or "-",
        )  # fmt: skip
    return table

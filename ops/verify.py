"""Checks a live stack against the catalogue and says, entry by entry, what it found."""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ops.children import end
from ops.console import Report
from ops.context import Context
from ops.environment import pulumi_environment
from ops.errors import OperatorError
from ops.home import PROJECT_DIR

CHECK_SECONDS = 1200.0
STYLES = {"pass": "green", "fail": "red", "not evaluated": "yellow"}
_LINE = re.compile(r"::(test_\w+)\S*.* (PASSED|FAILED|ERROR|SKIPPED)")


def verify(context: Context, stack: str) -> dict[str, Any]:
    """Runs the live checks and returns their record. Raises OperatorError when they could not be run at all."""
    outputs = context.live_outputs(stack, secrets=True)
    with tempfile.TemporaryDirectory(prefix="workflow-verify-") as folder:
        given, record = Path(folder) / "outputs.json", Path(folder) / "record.json"
        with os.fdopen(os.open(given, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(outputs, file)
        with context.progress.task(f"Verifying stack {stack}") as report:
            code = _run_checks(context, stack, given, record, report)
        if code not in {0, 1} or not record.exists():
            raise OperatorError(
                f"the checks of stack {stack} could not be run (pytest ended with {code})", f"see {context.log}"
            )
        result: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return result


def _run_checks(context: Context, stack: str, outputs: Path, record: Path, report: Report) -> int:
    """Pytest in a process of its own, its words in the log, each finished check reported."""
    command = [sys.executable, "-m", "pytest", "tests/infra", "--ring", "verify", "-v", "--color=no"]
    command += ["-p", "ops.verification", "--verification-record", str(record)]
    environ = {**os.environ, **pulumi_environment(context.home)}
    environ.update({"WORKFLOW_OUTPUTS": str(outputs), "WORKFLOW_STACK": stack})
    process = subprocess.Popen(
        command, cwd=PROJECT_DIR, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    watchdog = threading.Timer(CHECK_SECONDS, end, [process])
    watchdog.start()
    done = 0
    try:
        assert process.stdout is not None  # noqa: S101
        for line in process.stdout:
            context.record.write(line.rstrip("\n"))
            if match := _LINE.search(line):
                done += 1
                report(f"{done} checked: {match[1].removeprefix('test_').replace('_', ' ')} {match[2].lower()}")
        return process.wait(timeout=30)
    finally:
        watchdog.cancel()
        end(process)


def passed(record: dict[str, Any]) -> bool:
    """Whether no check failed and at least one was made."""
    return record["exitCode"] == 0 and bool(record["items"])


def failures(record: dict[str, Any]) -> list[str]:
    """The entries that failed, each with the first line of why."""
    found = []
    for name, entry in record["items"].items():
        if entry["status"] == "fail":
            why = next((check["message"] for check in entry["checks"] if check["status"] == "fail"), "")
            found.append(f"{name}: {why.splitlines()[0]}" if why else name)
    return found


def verification_table(record: dict[str, Any]) -> Table:
    """Each catalogue entry with its status, its number of checks and, unless it passed, why."""
    table = Table(title=f"Verification of stack {record['stack']}", title_justify="left", box=None, pad_edge=False)
    for column in ("catalogue entry", "status", "checks", "why"):
        table.add_column(column, overflow="fold")
    for name, entry in record["items"].items():
        why = next((c["message"] for c in entry["checks"] if c["status"] == entry["status"] != "pass"), "")
        status = f"[{STYLES[entry['status']]}]{entry['status']}[/]"
        table.add_row(name, status, str(len(entry["checks"])), Text(why))
    for check in record["withoutItem"]:
        if check["status"] != "pass":
            table.add_row(
                check["check"], f"[{STYLES[check['status']]}]{check['status']}[/]", "1", Text(check["message"])
            )
    return table


def figure_lines(record: dict[str, Any]) -> list[str]:
    """What the checks measured, by name."""
    return [f"{str(name).replace('_', ' ')}: {value}" for name, value in sorted(record["figures"].items())]


def item_lines(record: dict[str, Any]) -> list[str]:
    """The catalogue entries by their status, named."""
    by_status: dict[str, list[str]] = {}
    for name, entry in record["items"].items():
        by_status.setdefault(entry["status"], []).append(name)
    return [f"{status}: {', '.join(sorted(names))}" for status, names in sorted(by_status.items())]


def summary_line(record: dict[str, Any]) -> str:
    """The outcome in one line."""
    counts: dict[str, int] = {}
    for entry in record["items"].values():
        counts[entry["status"]] = counts.get(entry["status"], 0) + 1
    said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    other = len(record.get("notApplicable", ()))
    left = f"; {other} checks are for another target" if other else ""
    return f"{len(record['items'])} catalogue entries: {said or 'none'}; {record['seconds']:.0f} s{left}"

"""A pytest plugin that turns a run of checks into a record by catalogue id.

Loaded with `-p ops.verification --verification-record FILE`. Each check names the entries it proves with
`@pytest.mark.item("id", ...)`; the record says for every id which checks spoke about it and how they ended.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Literal

import pytest

Status = Literal["pass", "fail", "not evaluated"]
MESSAGE_LENGTH = 300
NOT_APPLICABLE = "not applicable"
"""The user property by which a deselected check says why it is no check of this stack."""


def item_status(checks: list[dict[str, Any]]) -> Status:
    """One failed check fails the entry; one that could not be made leaves it not evaluated."""
    states = {check["status"] for check in checks}
    if "fail" in states:
        return "fail"
    return "not evaluated" if "not evaluated" in states or not states else "pass"


class Recorder:
    """Collects the outcome of every check; the longest phase that failed speaks for it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = time.time()
        self.items: dict[str, tuple[str, ...]] = {}
        self.checks: dict[str, dict[str, Any]] = {}
        self.figures: dict[str, object] = {}
        self.not_applicable: list[dict[str, Any]] = []
        self.secrets = _secrets_of_outputs()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            named = [str(name) for marker in item.iter_markers("item") for name in marker.args]
            self.items[item.nodeid] = tuple(dict.fromkeys(named))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Keeps the checks that are made for another target; what else is left out was not asked for."""
        for item in items:
            if reason := dict(item.user_properties).get(NOT_APPLICABLE):
                named = [str(name) for marker in item.iter_markers("item") for name in marker.args]
                self.not_applicable.append({"check": item.nodeid, "items": named, "reason": str(reason)})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        check = self.checks.setdefault(
            report.nodeid, {"check": report.nodeid, "status": "not evaluated", "seconds": 0.0, "message": ""}
        )
        self.figures.update(report.user_properties)
        check["seconds"] = round(check["seconds"] + report.duration, 3)
        if report.failed:
            check["status"], check["message"] = "fail", self._message(report)
        elif report.skipped:
            check["message"] = self._message(report)
        elif report.when == "call" and check["status"] != "fail":
            check["status"] = "pass"

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        by_item: dict[str, list[dict[str, Any]]] = {}
        for nodeid, check in self.checks.items():
            for name in self.items.get(nodeid, ()):
                by_item.setdefault(name, []).append(check)
        record = {
            "stack": os.environ.get("WORKFLOW_STACK", ""),
            "startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "seconds": round(time.time() - self.started, 3),
            "exitCode": int(exitstatus),
            "figures": self.figures,
            "items": {
                name: {"status": item_status(by_item[name]), "checks": by_item[name]} for name in sorted(by_item)
            },
            "notApplicable": self.not_applicable,
            "withoutItem": [check for nodeid, check in self.checks.items() if not self.items.get(nodeid)],
        }
        partial = self.path.with_name(f".{self.path.name}.partial")
        partial.write_text(json.dumps(record, indent=2), encoding="utf-8")
        partial.replace(self.path)

    def _message(self, report: pytest.TestReport) -> str:
        """The first telling line, with every secret of the stack taken out."""
        long = report.longrepr
        if isinstance(long, tuple):
            text = str(long[2]).removeprefix("Skipped: ")
        else:
            crash = getattr(long, "reprcrash", None)
            text = str(crash.message) if crash is not None else str(long or "")
        line = next((line.strip() for line in text.splitlines() if line.strip()), "")
        for secret in self.secrets:
            line = line.replace(secret, "[secret]")
        return line[:MESSAGE_LENGTH]


def _secrets_of_outputs() -> list[str]:
    """The secret outputs that the checks were given, so that no message repeats one."""
    try:
        outputs = json.loads(Path(os.environ["WORKFLOW_OUTPUTS"]).read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return []
    return [value for name, value in outputs.items() if name.lower().endswith(("password", "secret")) and value]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The file to write."""
    parser.addoption("--verification-record", metavar="FILE", help="write the outcome by catalogue id to FILE as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Records only when asked to."""
    if path := config.getoption("--verification-record"):
        config.pluginmanager.register(Recorder(Path(path)), "workflow-verification-recorder")

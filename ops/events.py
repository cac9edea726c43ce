"""What the Pulumi engine reports while it works: its event log, read as it grows."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_COLOUR = re.compile(r"<\{%.*?%\}>")

VERBS = {
    "create": ("creating", "created"),
    "update": ("updating", "updated"),
    "delete": ("deleting", "deleted"),
    "replace": ("replacing", "replaced"),
    "create-replacement": ("replacing", "replaced"),
    "delete-replaced": ("removing the old", "removed the old"),
    "refresh": ("looking at", "looked at"),
    "read": ("reading", "read"),
}


@dataclass(frozen=True)
class Changes:
    """What an operation did to the stack: counts by operation, `same` among them, and its length in seconds."""

    counts: dict[str, int]
    seconds: float
    drift: dict[str, str] = field(default_factory=dict)
    """Logical name to operation of every resource that was not left as it was."""
    advice: list[str] = field(default_factory=list)
    """What a policy pack found and did not forbid."""
    steps: list[dict[str, str]] = field(default_factory=list)
    """`urn`, `type` and `op` of every resource that was not left as it was."""

    @property
    def total(self) -> int:
        """How many resources were not left as they were."""
        return sum(count for operation, count in self.counts.items() if operation != "same")

    def __str__(self) -> str:
        done = [f"{count} {operation}" for operation, count in sorted(self.counts.items()) if operation != "same"]
        return (", ".join(done) or "no changes") + f", {self.counts.get('same', 0)} unchanged"


def resource_name(urn: str) -> str:
    """The logical name inside a URN."""
    return urn.rsplit("::", 1)[-1]


class EventReader:
    """Follows an event log, reports each step in a few words and keeps the outcome."""

    def __init__(self, path: Path, report: Callable[[str], None]) -> None:
        self.path = path
        self.report = report
        self.counts: dict[str, int] = {}
        self.failures: list[str] = []
        self.violations: list[str] = []
        self.advice: list[str] = []
        self.steps: dict[str, dict[str, str]] = {}
        self.drift: dict[str, str] = {}
        self._done: Counter[str] = Counter()
        self._offset = 0

    def poll(self) -> None:
        """Reads the whole lines added since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except FileNotFoundError:
            return
        whole = chunk.rfind(b"\n") + 1
        self._offset += whole
        for line in chunk[:whole].splitlines():
            if line.strip():
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        if step := event.get("resourcePreEvent", {}).get("metadata"):
            self._step(step, finished=False)
        elif step := event.get("resOutputsEvent", {}).get("metadata"):
            self._step(step, finished=True)
        elif diagnostic := event.get("diagnosticEvent"):
            self._diagnostic(diagnostic)
        elif finding := event.get("policyEvent"):
            self._finding(finding)
        elif summary := event.get("summaryEvent"):
            self.counts = {name: int(count) for name, count in (summary.get("resourceChanges") or {}).items()}

    def _step(self, step: dict[str, Any], finished: bool) -> None:
        operation = str(step.get("op"))
        if operation not in VERBS or str(step.get("type", "")).startswith("pulumi:"):
            return
        name = resource_name(str(step.get("urn", "")))
        if operation not in {"refresh", "read"}:
            self.drift[name] = operation
            urn = str(step.get("urn", ""))
            self.steps[urn] = {"urn": urn, "type": str(step.get("type", "")), "op": operation}
        self._done[operation] += finished
        doing, done = VERBS[operation]
        self.report(f"{done if finished else doing} {name}")

    def _finding(self, finding: dict[str, Any]) -> None:
        message = " ".join(_COLOUR.sub("", str(finding.get("message", ""))).split())
        name = resource_name(str(finding.get("resourceUrn", "")))
        told = f"policy {finding.get('policyName')}: {f'{name}: ' if name else ''}{message}"
        (self.violations if finding.get("enforcementLevel") == "mandatory" else self.advice).append(told)

    def _diagnostic(self, diagnostic: dict[str, Any]) -> None:
        message = _COLOUR.sub("", str(diagnostic.get("message", "")))
        severity = diagnostic.get("severity")
        if severity == "error":
            name = resource_name(str(diagnostic.get("urn", "")))
            self.failures.append(f"{name}: {message}" if name and "::" in str(diagnostic.get("urn")) else message)
        elif severity in {"info#err", "warning"} and message.strip():
            self.report(message.strip().splitlines()[0])

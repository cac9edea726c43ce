"""What came out of judging a deployment."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Status = Literal["fail", "not evaluated"]
Level = Literal["mandatory", "advisory", "off"]
Severity = Literal["critical", "high", "medium", "low"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that could not be told. No text in it is a value of the deployment."""

    item: str
    check: str
    status: Status
    level: Level
    severity: Severity
    resource: str
    """The resource's URN, a path of the project, or empty for the whole deployment."""
    path: str
    what: str
    wanted: str
    mend: str
    reference: str
    waiver: str | None = None
    """Why somebody let it pass, until when, and who: `reason (owner, until date)`."""

    @property
    def blocks(self) -> bool:
        """Whether the deployment must not go on because of it."""
        return self.level == "mandatory" and self.waiver is None

    @property
    def place(self) -> str:
        """Resource and field for people: the kind and the name of the resource, not its whole URN."""
        if not self.resource:
            return self.path
        kind, _, name = self.resource.rpartition("::")
        told = f"{kind.rpartition(':')[2]} {name}" if kind else self.resource
        return f"{told}: {self.path}" if self.path else told

    def waived(self, by: str) -> Finding:
        """The same, let pass."""
        return replace(self, waiver=by)

    def as_json(self) -> dict[str, Any]:
        """The shape that `policy --format json` promises."""
        return {**asdict(self), "blocks": self.blocks}


@dataclass
class Judgement:
    """What all rules said of one deployment under one profile."""

    stack: str
    profile: str
    findings: list[Finding] = field(default_factory=list)
    passed: dict[str, int] = field(default_factory=dict)
    """How many subjects each item was right for."""
    not_applicable: dict[str, str] = field(default_factory=dict)
    """Items that nothing was there for, and why."""
    off: dict[str, str] = field(default_factory=dict)
    """Items that the profile does not ask for, and why."""

    @property
    def blocked(self) -> bool:
        """Whether the deployment must not go on."""
        return any(each.blocks for each in self.findings)

    def items(self, status: Status | None = None) -> set[str]:
        """The items that something was found for."""
        return {each.item for each in self.findings if status is None or each.status == status}

    def as_json(self) -> dict[str, Any]:
        """The shape that `policy --format json` promises."""
        return {
            "stack": self.stack,
            "profile": self.profile,
            "blocked": self.blocked,
            "findings": [each.as_json() for each in self.findings],
            "passed": self.passed,
            "notApplicable": self.not_applicable,
            "off": self.off,
        }

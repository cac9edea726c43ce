"""What a step waits for that ends by a signal from outside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

OnTimeout = Literal["fail", "continue"]


@dataclass(frozen=True, slots=True)
class Child:
    """A run that a step begins, and whose end is its signal."""

    run_id: UUID
    """The same whenever the step is begun: however often it is stored, there is one."""
    workflow_id: UUID
    version: int
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An agent returns it instead of an output: its step is journalled as waiting, and ends when it is signalled."""

    kind: str
    """Whose signal ends it: only ``approval`` is for callers of the API."""
    shown: Mapping[str, Any]
    """What whoever decides has to know."""
    timeout_seconds: float | None = None
    on_timeout: OnTimeout = "fail"
    otherwise: Any = None
    """The step's output when its time is over and it is to continue."""
    child: Child | None = None
    """The run to be stored together with the journal's entry; None when it is stored already, or there is none."""

    def as_json(self) -> dict[str, Any]:
        """The form in which it is journalled; the child is a row of its own."""
        return {
            "kind": self.kind,
            "shown": self.shown,
            "timeout_seconds": self.timeout_seconds,
            "on_timeout": self.on_timeout,
            "otherwise": self.otherwise,
        }

    @property
    def missed(self) -> str:
        """Why the step fails when its time is over."""
        missing = "nobody signalled the step"
        if self.kind == "workflow":
            missing = f"the run {self.shown.get('run_id')} did not end"
        elif self.kind == "kafka":
            missing = f"no reply came on {self.shown.get('topic')}"
        return f"{missing} within {self.timeout_seconds or 0:g} s"

    def redacted(self, clear: Callable[[Any], Any]) -> "Waiting":
        """The same, with all that an agent could have put a secret into cleared of it."""
        child = None if self.child is None else replace(self.child, input=clear(self.child.input))
        return replace(self, shown=clear(self.shown), otherwise=clear(self.otherwise), child=child)


@dataclass(frozen=True, slots=True)
class Signal:
    """How a waiting step ends: with an output, or, where there is an error, failed with that."""

    output: Any
    error: Mapping[str, Any] | None

"""What a step waits for that ends by a signal from outside."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

OnTimeout = Literal["fail", "continue"]


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

    def as_json(self) -> dict[str, Any]:
        """The form in which it is journalled."""
        return asdict(self)

    def redacted(self, clear: Callable[[Any], Any]) -> "Waiting":
        """The same, with all that an agent could have put a secret into cleared of it."""
        return replace(self, shown=clear(self.shown), otherwise=clear(self.otherwise))


@dataclass(frozen=True, slots=True)
class Signal:
    """How a waiting step ends: with an output, or, where there is an error, failed with that."""

    output: Any
    error: Mapping[str, Any] | None

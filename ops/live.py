"""What the commands ask of a live stack, wherever it runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ops.console import Report
from ops.home import PROJECT_DIR, Home
from ops.logs import LogSource
from ops.parts import Inventory, Verdict
from ops.stack_config import target_of

if TYPE_CHECKING:
    from ops.context import Context
    from ops.engine import Engine


class LivePart(Protocol):
    """One part as it is now."""

    @property
    def name(self) -> str:
        """The part's name."""

    @property
    def kind(self) -> str:
        """How it lives: service, daemon, stateful, job or schedule."""

    @property
    def verdict(self) -> Verdict:
        """What its state means for its kind."""

    def as_json(self) -> dict[str, Any]:
        """The shape that `status --json` promises."""


class LiveStack(Protocol):
    """A deployed stack, asked and changed without Pulumi. Closed by whoever opened it."""

    def parts(self, inventory: Inventory | None = None) -> Sequence[LivePart]:
        """All parts that exist or, by the stack's `inventory` output, should exist; ordered by name."""

    def log_sources(self, part: str | None, follow: bool) -> Mapping[str, LogSource]:
        """What to read for one part or for all; with `follow` a long silence is no failure.

        Raises OperatorError, naming the parts, for an unknown one.
        """

    def migrate(self, write: Callable[[str], None]) -> int:
        """Runs the migrations once more; returns their exit code."""

    def stop(self, report: Report) -> list[str]:
        """Ends the programs and keeps their data; returns the names of the parts that ran."""

    def deployed(self, home: Home) -> None:
        """Notes where the stack now is, as far as a later command has to know."""

    def resume(self, report: Report) -> None:
        """Takes back what `stop` did, as far as Pulumi does not do it by itself."""

    def fingerprint(self) -> str:
        """Changes when somebody changes the stack by hand."""

    def recover(self, engine: "Engine", report: Report, refuse_foreign: bool = True) -> None:
        """Makes a stack whose last operation was cut off ready for the next one."""

    def remove_leftovers(self, report: Report, keep_data: bool = False) -> str:
        """Deletes what is left after Pulumi deleted the stack; returns what still is and should not be, in words."""

    def published_ports(self) -> set[int]:
        """The ports of this machine that the stack holds."""

    def close(self) -> None:
        """Ends the connection."""


@contextmanager
def live_stack(context: "Context", stack: str, project: Path = PROJECT_DIR, seconds: float = 60) -> Iterator[LiveStack]:
    """The live side of a stack for a while. `seconds` bounds one request. Raises OperatorError when nothing answers."""
    if target_of(stack, project) == "kubernetes":
        from ops.live_kubernetes import KubernetesStack

        described = context.stack(stack)
        live: LiveStack = KubernetesStack.of(context.home, described)
    else:
        from ops.live_docker import DockerStack

        live = DockerStack.of(stack, seconds)
    try:
        yield live
    finally:
        live.close()

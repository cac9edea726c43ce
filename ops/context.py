"""What every command needs: the machine's home, the progress display, its log, and Pulumi."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ops.console import Progress
from ops.engine import Engine
from ops.errors import OperatorError
from ops.home import PROJECT_DIR, Home
from ops.records import CommandLog

if TYPE_CHECKING:
    from stacks.model import Stack

RELEASE_VARIABLE = "WORKFLOW_RELEASE"
"""Tells the program to take description and images from a release record."""


@dataclass(frozen=True)
class Context:
    """One run of one command."""

    home: Home
    record: CommandLog
    release: Path | None = None
    """The release record that is deployed; without one, what the tree says is."""

    @cached_property
    def progress(self) -> Progress:
        """Steps on stderr, every word in the log."""
        return Progress(log=self.record.write)

    @cached_property
    def engine(self) -> Engine:
        """Pulumi for this home and project."""
        chosen = {RELEASE_VARIABLE: str(self.release)} if self.release else {}
        return Engine(self.home, environ={**os.environ, **chosen}, log=self.record.write)

    def stack(self, name: str) -> "Stack":
        """The description of a stack. Shows every fault and raises OperatorError with the first."""
        from stacks.errors import StackError
        from stacks.load import load_release, load_stack

        try:
            return load_release(name, self.release) if self.release else load_stack(name, PROJECT_DIR)
        except StackError as error:
            others = error.faults[1:]
            for fault in error.faults if others else []:
                self.progress.say(f"  - {fault}")
            more = f" (and {len(others)} more, above)" if others else ""
            file = self.release.name if self.release else f"Pulumi.{name}.yaml"
            raise OperatorError(f"stack {name} is refused: {error.faults[0]}{more}", f"correct {file}") from error

    def live_outputs(self, stack: str, secrets: bool = False) -> dict[str, object]:
        """The outputs of a deployed stack. Raises OperatorError when it is not deployed."""
        if not self.engine.exists(stack) or not (outputs := self.engine.outputs(stack, secrets)):
            raise OperatorError(f"stack {stack} is not deployed on this machine", f"./deploy-api.sh up {stack}")
        return outputs

    @property
    def log(self) -> str:
        """Where the full log of this run is."""
        return str(self.record.path)

    def published_by(self, stack: str) -> set[int]:
        """The ports of this machine that the stack itself holds."""
        from ops.live import live_stack

        with live_stack(self, stack) as live:
            return live.published_ports()

    def of_release(self, record: Path) -> "Context":
        """The same run with the description and images of a release record in place of the tree's."""
        return replace(self, release=record)

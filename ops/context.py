"""What every command needs: the machine's home, the progress display, its log, and Pulumi."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ops.console import Progress
from ops.engine import Engine
from ops.errors import OperatorError
from ops.home import PROJECT_DIR, Home
from ops.records import CommandLog

if TYPE_CHECKING:
    from stacks.model import Stack


@dataclass(frozen=True)
class Context:
    """One run of one command."""

    home: Home
    record: CommandLog

    @cached_property
    def progress(self) -> Progress:
        """Steps on stderr, every word in the log."""
        return Progress(log=self.record.write)

    @cached_property
    def engine(self) -> Engine:
        """Pulumi for this home and project."""
        return Engine(self.home, log=self.record.write)

    def stack(self, name: str) -> "Stack":
        """The description of a stack. Shows every fault and raises OperatorError with the first."""
        from stacks.errors import StackError
        from stacks.load import load_stack

        try:
            return load_stack(name, PROJECT_DIR)
        except StackError as error:
            others = error.faults[1:]
            for fault in error.faults if others else []:
                self.progress.say(f"  - {fault}")
            more = f" (and {len(others)} more, above)" if others else ""
            raise OperatorError(
                f"stack {name} is refused: {error.faults[0]}{more}", f"correct Pulumi.{name}.yaml"
            ) from error

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
        """The host ports that the stack's own containers hold."""
        from ops.docker_client import connect
        from ops.parts import live_parts

        client = connect()
        try:
            parts = live_parts(client, stack)
        finally:
            client.close()
        return {int(address.rsplit(":", 1)[1]) for part in parts for address in part.ports.values()}

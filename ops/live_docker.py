"""A live stack on the Docker engine of this machine."""

from collections.abc import Callable, Mapping, Sequence

from docker import DockerClient

from ops import fingerprint, leftovers
from ops.console import Report
from ops.docker_client import connect
from ops.engine import Engine
from ops.home import Home
from ops.logs import ContainerLog, choose
from ops.migrate import migrate
from ops.parts import Inventory, Part, live_parts
from ops.stop import stop


class DockerStack:
    """Its containers, networks and volumes, found by their label."""

    def __init__(self, client: DockerClient, stack: str) -> None:
        self._client = client
        self._stack = stack

    @classmethod
    def of(cls, stack: str, seconds: float = 60) -> "DockerStack":
        """The stack on the engine that answers. Raises OperatorError when none does."""
        return cls(connect(timeout=seconds), stack)

    def parts(self, inventory: Inventory | None = None) -> Sequence[Part]:
        return live_parts(self._client, self._stack, inventory)

    def log_sources(self, part: str | None, follow: bool) -> Mapping[str, ContainerLog]:
        if follow:
            self._client.api.timeout = None  # type: ignore[assignment]
        return {name: ContainerLog(item) for name, item in choose(self._client, self._stack, part).items()}

    def migrate(self, write: Callable[[str], None]) -> int:
        return migrate(self._client, self._stack, write)

    def stop(self, report: Report) -> list[str]:
        return stop(self._client, self._stack, report)

    def deployed(self, home: Home) -> None:
        """Nothing: the engine is the one of this machine."""

    def resume(self, report: Report) -> None:
        """Nothing: Pulumi sees that containers are down."""

    def fingerprint(self) -> str:
        return fingerprint.live_fingerprint(self._client, self._stack)

    def recover(self, engine: Engine, report: Report, refuse_foreign: bool = True) -> None:
        leftovers.recover(engine, self._client, self._stack, report, refuse_foreign)

    def remove_leftovers(self, report: Report, keep_data: bool = False) -> str:
        leftovers.remove(self._client, leftovers.find(self._client, self._stack), report)
        return str(leftovers.find(self._client, self._stack))

    def published_ports(self) -> set[int]:
        return {int(address.rsplit(":", 1)[1]) for part in self.parts() for address in part.ports.values()}

    def close(self) -> None:
        self._client.close()

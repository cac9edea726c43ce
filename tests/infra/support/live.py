"""A deployed stack as the checks see it, whatever carries it."""

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tests.infra.support.hosts import Host
from tests.infra.support.stack_outputs import StackOutputs


class CannotTellError(Exception):
    """Something about the stack can't be found out from where the checks run; the message says what and why."""


@dataclass(frozen=True)
class Limits:
    """What a container may use: memory in bytes, processor time in cores; 0 stands for no limit."""

    memory: int
    cpus: float


@dataclass(frozen=True)
class ImageFacts:
    """An image: size in bytes (as it is stored where the checks can see it), user, labels, and how it was made."""

    size: int
    user: str
    labels: Mapping[str, str]
    history: str


class Live(Protocol):
    """One live stack. A part may have several replicas ("instances"); those of one part are made alike.

    Every answer is fresh: nothing is remembered between two calls but connections.
    """

    target: str
    trust: ssl.SSLContext
    """By whom the stack's public addresses are vouched for."""

    @property
    def insider(self) -> ssl.SSLContext:
        """The same for what is not public, where the checks come as one of the stack's own programs if asked."""

    def close(self) -> None:
        """Ends all connections."""

    # ---- the inside ----
    def instances(self, part: str) -> list[str]:
        """The names of a part's replicas that are not about to end."""

    def host(self, part: str, instance: str | None = None) -> Host:
        """The inside of a part's container: of the given replica, or of its first one."""

    def database_host(self) -> Host:
        """The inside of the database server that takes writes."""

    def environment(self, part: str) -> dict[str, str]:
        """The variables that a part's container was given as plain text."""

    def secrets(self, part: str) -> dict[str, str]:
        """The secrets that a part was given as files, by name; certificates, which are public, are left out."""

    # ---- what it says ----
    def log(self, part: str) -> str:
        """What all replicas of a part have written since their last start."""

    def logs(self) -> dict[str, str]:
        """All that every container of the stack has written, also ended ones, by container."""

    def figures(self, parts: Collection[str]) -> list[str]:
        """The metrics pages of every replica of these parts."""

    def url(self, part: str, instance: str | None = None) -> str:
        """An address at which a part's main port answers the checks, published or not."""

    def scrape_urls(self, part: str, path: str = "/metrics") -> set[str]:
        """Where Prometheus has to read a part's figures."""

    def series_of(self, part: str) -> str:
        """The label matcher by which a query selects the series of a part."""

    # ---- what it is ----
    def started(self, part: str) -> datetime:
        """When the replica that was started last was started."""

    def runs(self, part: str) -> set[str]:
        """What identifies the present run of every replica: another one after each restart."""

    def restart(self, part: str, seconds: float) -> None:
        """Restarts every replica, in the way that interrupts least; each may take `seconds` to end."""

    def descriptions(self) -> dict[str, str]:
        """Everything that somebody may read who can inspect the stack but not its secrets, by name."""

    def image(self, part: str) -> ImageFacts:
        """The image that a part is deployed with. Raises CannotTellError."""

    def same_image(self, parts: Collection[str]) -> dict[str, bool]:
        """For each of these parts: whether all its replicas run the image that the API is deployed with."""

    def limits(self, part: str) -> Limits:
        """The declared limits of a part's container."""

    def identities(self, part: str) -> list[str]:
        """The name under which each replica works."""

    # ---- judgements: the faults, worded for people ----
    def state_faults(self, part: str) -> list[str]:
        """Replicas that are not simply up."""

    def job_faults(self, part: str) -> list[str]:
        """A job that did not end well."""

    def stop_faults(self, part: str) -> list[str]:
        """Replicas that were killed at the last `restart` instead of ending by themselves."""

    def hardening_faults(self, part: str, *, read_only: bool = True) -> list[str]:
        """More privilege than a program needs; with `read_only` a writable root file system counts too."""

    def limit_faults(self, part: str) -> list[str]:
        """Missing limits of memory and CPU."""

    def health_faults(self, part: str) -> list[str]:
        """No health check, or one that does not say healthy."""

    def health_timing_faults(
        self, part: str, *, interval: int, timeout: int, start_period: int, retries: int
    ) -> list[str]:
        """Differences of the health check's timing (seconds) from the wanted one."""

    def health_question(self, part: str) -> str:
        """What the health check asks, as text."""

    def volume_faults(self, part: str, destination: str) -> list[str]:
        """A data directory that does not outlive its container."""


def connect(outputs: StackOutputs) -> Live:
    """The live stack that these outputs tell of."""
    if outputs.target == "kubernetes":
        from tests.infra.support.kubernetes_live import KubernetesLive

        return KubernetesLive(outputs)
    from tests.infra.support.docker_live import DockerLive

    return DockerLive(outputs)

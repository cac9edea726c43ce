"""What components tell one another. A provisioned part and an external one give the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi


@dataclass(frozen=True)
class PostgresEndpoint:
    """Where the database is and who may use it."""

    host: str
    port: int
    database: str
    user: str
    password: pulumi.Output[str]
    ready: Sequence[pulumi.Resource] = field(default_factory=tuple)

    @property
    def url(self) -> pulumi.Output[str]:
        """The documented DATABASE_URL. Every password of a stack fits into a URL without escapes."""
        place = f"{self.host}:{self.port}/{self.database}"
        return pulumi.Output.secret(pulumi.Output.concat("postgresql://", self.user, ":", self.password, "@", place))


@dataclass(frozen=True)
class KafkaEndpoint:
    """Where the brokers are."""

    brokers: str
    ready: Sequence[pulumi.Resource] = field(default_factory=tuple)


@dataclass(frozen=True)
class ScrapeTarget:
    """A program whose figures Prometheus collects."""

    job: str
    host: str
    port: int
    path: str = "/metrics"


@dataclass(frozen=True)
class Placed:
    """A workload that has been given to a target."""

    part: str
    resource: pulumi.Resource
    inventory: pulumi.Output[dict[str, object]]
    finished: pulumi.Output[str] | None = None
    """For jobs: resolves when the job succeeded, fails when it did not."""

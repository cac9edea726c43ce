"""Workers, pools, connections and memory: pure arithmetic over a description.

Pool numbers are per instance and are divided among the instance's workers, so that the documented 20/40 for four
workers means at most 60 connections an instance, not 240.
"""

from dataclasses import dataclass

from stacks.parts.common import Autoscaling, Resources

CONNECTIONS_RESERVED_FOR_OPERATORS = 5
"""Connections left for the superuser, migrations and a person with psql."""

CONNECTIONS_OF_MONITORING = 5
"""Upper bound of what postgres-exporter opens."""

DOUBLE = 2
"""Overflow over pool, and pool over workers, in the documents."""


@dataclass(frozen=True)
class Demand:
    """How many replicas of a part there can be at a time, and what each may take."""

    part: str
    count: int
    resources: Resources
    base: int | None = None
    """How many there are without scaling and without a rolling update; `count` when not given."""

    @property
    def least(self) -> int:
        """What must find room for the stack to come up at all."""
        return self.count if self.base is None else self.base


JOBS = Demand("jobs", 4, Resources(cpus=1, memory=512), base=1)
"""Upper bound of what runs to its end: migrations, roles, access, backups."""


def recommended_workers(cores: float) -> int:
    """The documented formula, two for each core of the container's CPU limit and one more."""
    return int(2 * cores) + 1


def smallest_pool(workers: int) -> int:
    """The documented lower bound of an instance's pool."""
    return DOUBLE * workers


def overflow_of(pool: int) -> int:
    """The documented overflow of a pool."""
    return DOUBLE * pool


def most_instances(replicas: int, scaling: Autoscaling | None, surge: int) -> int:
    """The most replicas that can be there at a time: all that may be scaled to, and those of a rolling update."""
    return max(replicas, scaling.most if scaling else 0) + surge


def connections_of(instances: int, pool: int, overflow: int) -> int:
    """The most connections that some instances with this pool can open at a time."""
    return instances * (pool + overflow)


def connections_available(max_connections: int) -> int:
    """What is left of the server's limit for programs."""
    return max_connections - CONNECTIONS_RESERVED_FOR_OPERATORS - CONNECTIONS_OF_MONITORING

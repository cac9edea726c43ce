"""Where workloads can be placed. Each target turns a Workload into resources of its own kind."""

from collections.abc import Sequence
from typing import Protocol

import pulumi

from infra.endpoints import Placed
from infra.workload import Workload


class Target(Protocol):
    """One stack on one kind of infrastructure."""

    replicates: bool
    """Whether one workload can have several replicas; where not, each instance is a workload of its own."""

    def place(self, workload: Workload, parent: pulumi.Resource, needs: Sequence[pulumi.Resource] = ()) -> Placed:
        """Registers all resources of a workload, after everything it needs."""

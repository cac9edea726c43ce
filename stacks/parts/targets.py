"""Where a stack runs."""

from typing import Annotated, Literal

from pydantic import Field

from stacks.parts.common import Name, Part
from stacks.quantities import Cores, Memory


class DockerTarget(Part):
    """Names on the Docker engine. Names are global there, so each stack of a machine needs its own."""

    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*-$")] = "workflow-"
    network: Name = "orchestrator-network"
    address: Literal["127.0.0.1"] = "127.0.0.1"
    """Host address that published ports are bound to."""


class Quota(Part):
    """Bounds of the stack's namespace: limits of processor and memory, and pods."""

    cpus: Cores = 64
    memory: Memory = 65536
    pods: Annotated[int, Field(ge=1, le=10000)] = 100


class KubernetesTarget(Part):
    """Where on which cluster. Each stack has a namespace of its own."""

    context: Annotated[str, Field(min_length=1)] | None = None
    """The kubeconfig's context; the current one when not given."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """`workflow-<stack>` when not given."""
    storage_class: Name | None = None
    """For every volume; the cluster's default when not given."""
    registry: Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$")] | None = None
    """Where the images built here are pushed to and pulled from."""
    image_pull_secret: Name | None = None
    spread: Literal["required", "preferred"] = "required"
    """Whether replicas of one part must run on different nodes, or only should."""
    keep_data: bool = True
    """Whether volumes and the namespace survive `destroy`, and the secrets that the next `up` needs to use them."""
    nodes: Annotated[int, Field(ge=1, le=5000)] = 10
    """The most nodes that the cluster is to have: the quota must have room for what runs on each."""
    quota: Quota = Quota()
    public_address: str | None = None
    """Host name or address under which the cluster's published ports are reached."""

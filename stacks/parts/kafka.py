"""The brokers, and those of somebody else."""

from typing import Annotated, Literal

from pydantic import Field

from stacks.parts.common import HealthTiming, Part, Resources
from stacks.quantities import Memory, Port


class ExternalKafka(Part):
    """Brokers that somebody else runs. The password is the secret `kafkaPassword` of the stack's config, never here."""

    brokers: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")], ...], Field(min_length=1)]
    protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "SASL_SSL"
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    username: Annotated[str, Field(min_length=1)] | None = None
    """Needed with SASL_SSL. This login may write and read both topics, and read with the group `workflow-executor`."""
    ca_file: Annotated[str, Field(min_length=1)] | None = None
    """A PEM file on the operator's machine with the authorities to trust; the system's where it is not given."""


class Kafka(Part):
    """The brokers: one in plain text, or a cluster of several with TLS, logins and rights; or somebody else's."""

    provision: bool = True
    """Whether the brokers are run here; if not, `external` says where they are."""
    external: ExternalKafka | None = None
    nodes: Literal[1, 3, 5] = 1
    """Each is broker and controller; an odd number, so that a majority of controllers is always clear."""
    replication: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies of each partition."""
    min_in_sync: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies that must be written before a message counts as taken."""
    storage: Memory = 2048
    """Disk space of one broker, where the target reserves it; it also bounds what a topic keeps."""
    published_port: Port = 9092
    """Host port of a single broker, for clients on the machine itself; a cluster publishes none."""
    heap: Memory = 384
    partitions: Annotated[int, Field(ge=1, le=1000)] = 6
    retention_hours: Annotated[int, Field(ge=1, le=24 * 365)] = 168
    execution_topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = "workflow.execution.requests"
    cancellation_topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = "workflow.cancellation.requests"
    resources: Resources = Resources(cpus=1, memory=1024)
    health: HealthTiming = HealthTiming(interval=3, start_period=60, retries=20)

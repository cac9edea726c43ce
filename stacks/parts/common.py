"""What the parts of a description share. Field names are camelCase in the config."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from stacks.quantities import Cores, Memory, Seconds

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]


class Part(BaseModel):
    """A frozen piece of a description that refuses fields it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, validate_default=True
    )


class Resources(Part):
    """Limits of one container. On a cluster `cpu_request` is what is set aside for it; its memory always is."""

    cpus: Cores = 0.5
    memory: Memory = 256
    cpu_request: Cores | None = None

    @property
    def requested_cpus(self) -> float:
        """Cores set aside: as described, or a quarter of the limit."""
        return self.cpus / 4 if self.cpu_request is None else self.cpu_request


class HealthTiming(Part):
    """When a container's health is probed, in seconds. A probe is a process started in the container, so it costs."""

    interval: Seconds = 15
    timeout: Seconds = 5
    start_period: Seconds = 20
    retries: Annotated[int, Field(ge=1, le=100)] = 4


class Autoscaling(Part):
    """How far a part may grow by itself, and from which use of its requested processor time on, per cent."""

    most: Annotated[int, Field(ge=1, le=100)]
    cpu_percent: Annotated[int, Field(ge=10, le=100)] = 75

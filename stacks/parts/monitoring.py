"""What measures, shows and alerts."""

from typing import Annotated

from pydantic import Field

from stacks.parts.common import HealthTiming, Part, Resources
from stacks.quantities import Port


class Prometheus(Part):
    """Metric store and alert rules."""

    published_port: Port = 9090
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 15
    resources: Resources = Resources(cpus=0.5, memory=512)
    health: HealthTiming = HealthTiming()


class Alertmanager(Part):
    """Where alerts are routed."""

    published_port: Port = 9093
    resources: Resources = Resources(cpus=0.25, memory=128)
    health: HealthTiming = HealthTiming()


class Grafana(Part):
    """Dashboards. Its image is pulled by reference; it is the only one that is not built here."""

    image: Annotated[str, Field(min_length=1)] = "grafana/grafana:12.2.1"
    required: bool = False
    """Whether a stack without Grafana is refused where its image can't be had."""
    published_port: Port = 3001
    uid: Annotated[int, Field(ge=1)] = 472
    resources: Resources = Resources(cpus=0.5, memory=384)
    health: HealthTiming = HealthTiming(start_period=60)


class Exporters(Part):
    """Host and Postgres figures for Prometheus."""

    enabled: bool = True
    resources: Resources = Resources(cpus=0.25, memory=64)
    health: HealthTiming = HealthTiming()


class Alerting(Part):
    """Where alerts go. Addresses are webhooks; none means that alerts are only shown."""

    critical_webhook: str | None = None
    warning_webhook: str | None = None

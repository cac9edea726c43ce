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


class Mail(Part):
    """The mail server that alerts are handed to. It is asked for TLS; it knows the stack by its address."""

    smarthost: Annotated[str, Field(pattern=r"^[a-z0-9.-]+:[0-9]{1,5}$")]
    sender: Annotated[str, Field(min_length=3)]


class Alerting(Part):
    """Where alerts go: critical ones to what calls somebody, warnings to what is read today. None: only shown."""

    critical_webhook: str | None = None
    critical_email: str | None = None
    warning_webhook: str | None = None
    warning_email: str | None = None
    mail: Mail | None = None
    """Needed by the e-mail addresses."""
    networks: tuple[Annotated[str, Field(pattern=r"^[0-9.]+/[0-9]{1,2}$")], ...] = ()
    """Private networks in which these receivers are; public addresses are reached anyway."""

    @property
    def sends(self) -> bool:
        """Whether anything leaves the stack."""
        return any((self.critical_webhook, self.critical_email, self.warning_webhook, self.warning_email))

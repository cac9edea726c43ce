"""The description of an environment, and the relations inside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stacks import sizing
from stacks.parts import (
    Alerting,
    Alertmanager,
    Api,
    Authentication,
    DockerTarget,
    Executor,
    Exporters,
    Grafana,
    Kafka,
    KubernetesTarget,
    Logging,
    Name,
    Part,
    Pki,
    Postgres,
    Prometheus,
    Relay,
)

PROJECT = "workflow-platform"
"""Name of the Pulumi project, and so the namespace of every config key."""


@dataclass(frozen=True)
class Fault:
    """A wrong relation between settings, worded for the person who wrote them."""

    key: str
    found: object
    wanted: str
    item: str

    def __str__(self) -> str:
        return f"{PROJECT}:{self.key} is {self.found}; {self.wanted} [{self.item}]"


class Stack(Part):
    """One environment. Frozen, complete, and free of secrets."""

    name: Name
    target: Literal["docker", "kubernetes"] = "docker"
    docker: DockerTarget = DockerTarget()
    kubernetes: KubernetesTarget = KubernetesTarget()
    pki: Pki = Pki()
    secret_generation: Annotated[int, Field(ge=1)] = 1
    """A higher number draws every secret anew at the next `up`; the generation before stays valid."""
    images: dict[Name, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    """Image references that replace those built here, by image name."""
    logging: Logging = Logging()
    authentication: Authentication = Authentication()
    postgres: Postgres = Postgres()
    kafka: Kafka = Kafka()
    api: Api = Api()
    relay: Relay = Relay()
    executor: Executor = Executor()
    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()
    alerting: Alerting = Alerting()
    grafana: Grafana = Grafana()
    exporters: Exporters = Exporters()

    @property
    def namespace(self) -> str:
        """The stack's namespace on a cluster."""
        return self.kubernetes.namespace or f"workflow-{self.name}"

    @property
    def published_ports(self) -> dict[str, int]:
        """Host port by config key, of everything this stack publishes."""
        return {
            "api.publishedPort": self.api.published_port,
            "prometheus.publishedPort": self.prometheus.published_port,
            "alertmanager.publishedPort": self.alertmanager.published_port,
            "grafana.publishedPort": self.grafana.published_port,
        }

    @property
    def most_connections(self) -> int:
        """The most database connections that all programs of this stack can hold at a time."""
        surge = 1 if self.target == "kubernetes" else 0
        groups = (
            (sizing.most_instances(self.api.replicas, self.api.autoscaling, surge), self.api.pool),
            (sizing.most_instances(self.relay.replicas, None, surge), self.relay.pool),
            (sizing.most_instances(self.executor.instances, self.executor.autoscaling, surge), self.executor.pool),
        )
        return sum(sizing.connections_of(instances, pool.size, pool.overflow) for instances, pool in groups)

    @property
    def demands(self) -> list[sizing.Demand]:
        """The most that all parts can take on a cluster at a time."""
        api, relay, executor = self.api, self.relay, self.executor
        return [
            sizing.Demand("api", sizing.most_instances(api.replicas, api.autoscaling, 1), api.resources),
            sizing.Demand("relay", sizing.most_instances(relay.replicas, None, 1), relay.resources),
            sizing.Demand(
                "executor", sizing.most_instances(executor.instances, executor.autoscaling, 1), executor.resources
            ),
            sizing.Demand("postgres", 1, self.postgres.resources),
            sizing.Demand("kafka", 1, self.kafka.resources),
            sizing.Demand("prometheus", 1, self.prometheus.resources),
            sizing.Demand("alertmanager", 1, self.alertmanager.resources),
            sizing.Demand("grafana", 1, self.grafana.resources),
            sizing.Demand("exporters", 2, self.exporters.resources),
            sizing.JOBS,
        ]

    @model_validator(mode="after")
    def _relations_hold(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise ValueError("\n".join(str(fault) for fault in faults))
        return self

    def _faults(self) -> Iterator[Fault]:
        api = self.api
        if self.target == "docker":
            for key, part in (("api", api), ("relay", self.relay)):
                if part.replicas > 1:
                    wanted = "one Docker engine runs one of it; several need target: kubernetes"
                    yield Fault(f"{key}.replicas", part.replicas, wanted, "api-replicas-prod")
        for key, replicas, scaling in (
            ("api", api.replicas, api.autoscaling),
            ("executor", self.executor.instances, self.executor.autoscaling),
        ):
            if scaling is not None and scaling.most < replicas:
                wanted = f"it must be at least {replicas}, the number to begin with"
                yield Fault(f"{key}.autoscaling.most", scaling.most, wanted, "autoscaling-policy")
        if self.target == "kubernetes":
            yield from self._quota_faults()
        if self.pki.renew_before_days >= self.pki.days:
            wanted = f"it must be less than pki.days = {self.pki.days}"
            yield Fault("pki.renewBeforeDays", self.pki.renew_before_days, wanted, "tls-certificates-valid")
        if api.reload and api.workers > 1:
            yield Fault("api.reload", "true", f"with {api.workers} workers it must be false", "api-reload-off")
        if api.workers > (most := sizing.recommended_workers(api.resources.cpus)):
            limit = f"{api.resources.cpus:g} cores allow at most 2 x cores + 1 = {most}"
            yield Fault("api.workers", api.workers, limit, "api-workers-formula")
        if api.pool.size < (least := sizing.smallest_pool(api.workers)):
            wanted = f"it must be at least 2 x workers = {least}"
            yield Fault("api.pool.size", api.pool.size, wanted, "database-pool-size-formula")
        if api.pool.overflow != (overflow := sizing.overflow_of(api.pool.size)):
            wanted = f"it must be 2 x size = {overflow}"
            yield Fault("api.pool.overflow", api.pool.overflow, wanted, "database-max-overflow-formula")
        if api.default_page_size > api.max_page_size:
            wanted = f"it must not exceed api.maxPageSize = {api.max_page_size}"
            yield Fault("api.defaultPageSize", api.default_page_size, wanted, "page-size-settings")
        if api.cors.allow_credentials and "*" in api.cors.origins:
            wanted = "with api.cors.allowCredentials it must list exact origins"
            yield Fault("api.cors.origins", "*", wanted, "cors-credentials-safe")
        available = sizing.connections_available(self.postgres.max_connections)
        if self.most_connections > available:
            wanted = (
                f"the programs may open {self.most_connections} connections and {available} are left for them: "
                f"raise it to {self.postgres.max_connections + self.most_connections - available} or shrink the pools"
            )
            yield Fault("postgres.maxConnections", self.postgres.max_connections, wanted, "pool-not-exhausted")
        if self.postgres.shared_buffers * 2 > self.postgres.resources.memory:
            wanted = f"it must be at most half of postgres.resources.memory = {self.postgres.resources.memory}Mi"
            yield Fault("postgres.sharedBuffers", f"{self.postgres.shared_buffers}Mi", wanted, "resource-limits-set")
        if self.kafka.heap * 3 > self.kafka.resources.memory * 2:
            wanted = f"it must be at most two thirds of kafka.resources.memory = {self.kafka.resources.memory}Mi"
            yield Fault("kafka.heap", f"{self.kafka.heap}Mi", wanted, "resource-limits-set")
        for (key, port), (other, other_port) in combinations(self.published_ports.items(), 2):
            if port == other_port:
                yield Fault(key, port, f"{PROJECT}:{other} has the same; give each its own", "required-ports-free")

    def _quota_faults(self) -> Iterator[Fault]:
        quota, demands = self.kubernetes.quota, self.demands
        for name, given, needed, unit in (
            ("cpus", quota.cpus, sum(each.count * each.resources.cpus for each in demands), ""),
            ("memory", quota.memory, sum(each.count * each.resources.memory for each in demands), "Mi"),
            ("pods", quota.pods, sum(each.count for each in demands), ""),
        ):
            if given < needed:
                wanted = f"all parts together can take {needed:g}{unit}: raise it, or make the parts smaller"
                yield Fault(f"kubernetes.quota.{name}", f"{given:g}{unit}", wanted, "resource-limits-set")

"""The description of an environment, and the relations inside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from stacks import sizing
from stacks.parts.common import Name, Part
from stacks.parts.edge import Edge
from stacks.parts.kafka import Kafka
from stacks.parts.monitoring import Alerting, Alertmanager, Exporters, Grafana, Prometheus
from stacks.parts.operations import Operations
from stacks.parts.pki import Pki
from stacks.parts.postgres import Postgres
from stacks.parts.service import Api, Authentication, Executor, Logging, Relay
from stacks.parts.targets import DockerTarget, KubernetesTarget

PROJECT = "workflow-platform"
"""Name of the Pulumi project, and so the namespace of every config key."""

EDGE_KEEPS_SECONDS = 4
"""How long the edge uses one connection to the API."""

NODE_PORTS = range(30000, 32768)
"""The ports that a cluster opens on its nodes."""


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
    environment: Literal["development", "rehearsal", "production"] = "development"
    """What the stack is for. Its programs are told; in production they refuse to start with settings for debugging."""
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
    operations: Operations = Operations()
    edge: Edge | None = None
    """None: there is no way in from outside."""

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
            **({"kafka.publishedPort": self.kafka.published_port} if self.publishes_kafka else {}),
        }

    @property
    def publishes_kafka(self) -> bool:
        """Whether programs on the machine itself reach the broker."""
        return self.target == "docker" and self.kafka.provision and self.kafka.nodes == 1

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
            sizing.Demand("api", sizing.most_instances(api.replicas, api.autoscaling, 1), api.resources, api.replicas),
            sizing.Demand("relay", sizing.most_instances(relay.replicas, None, 1), relay.resources, relay.replicas),
            sizing.Demand(
                "executor",
                sizing.most_instances(executor.instances, executor.autoscaling, 1),
                executor.resources,
                executor.instances,
            ),
            sizing.Demand("postgres", self.postgres.members, self.postgres.resources),
            sizing.Demand("backups", 4, self.postgres.backup.resources),
            sizing.Demand("kafka", self.kafka.nodes if self.kafka.provision else 0, self.kafka.resources),
            sizing.Demand("prometheus", 1, self.prometheus.resources),
            sizing.Demand("alertmanager", 1, self.alertmanager.resources),
            sizing.Demand("grafana", 1, self.grafana.resources),
            sizing.Demand("node-exporter", self.kubernetes.nodes, self.exporters.resources, base=1),
            sizing.Demand("postgres-exporter", 1, self.exporters.resources),
            *([sizing.Demand("edge", self.edge.replicas + 1, self.edge.resources)] if self.edge else []),
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
        yield from self._postgres_faults()
        yield from self._alerting_faults()
        if self.edge is not None:
            yield from self._edge_faults(self.edge)
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
        yield from self._kafka_faults()
        for (key, port), (other, other_port) in combinations(self.published_ports.items(), 2):
            if port == other_port:
                yield Fault(key, port, f"{PROJECT}:{other} has the same; give each its own", "required-ports-free")

    def _postgres_faults(self) -> Iterator[Fault]:
        postgres = self.postgres
        if postgres.provision == (postgres.external is not None):
            wanted = "with postgres.external it must be false, without it true"
            yield Fault("postgres.provision", str(postgres.provision).lower(), wanted, "postgres-reachable")
        if self.target == "docker" and postgres.members > 1:
            wanted = "one Docker engine runs one of it; several need target: kubernetes"
            yield Fault("postgres.members", postgres.members, wanted, "postgres-reachable")

    def _alerting_faults(self) -> Iterator[Fault]:
        alerting = self.alerting
        for key, address in (("criticalEmail", alerting.critical_email), ("warningEmail", alerting.warning_email)):
            if address and alerting.mail is None:
                wanted = "it needs alerting.mail, the server that takes the mail"
                yield Fault(f"alerting.{key}", address, wanted, "alert-receivers-configured")

    def _edge_faults(self, edge: Edge) -> Iterator[Fault]:
        if self.target != "kubernetes":
            yield Fault("edge", "given", "it needs target: kubernetes", "tls-public-endpoints")
        if self.api.drain_seconds <= EDGE_KEEPS_SECONDS:
            wanted = f"the edge keeps a connection to the API for up to {EDGE_KEEPS_SECONDS} s, so it must be more"
            yield Fault("api.drainSeconds", self.api.drain_seconds, wanted, "zero-5xx-first-hour")
        given = edge.certificate
        if given.source == "files" and (given.certificate is None or given.key is None):
            wanted = "it needs edge.certificate.certificate and edge.certificate.key, paths of PEM files"
            yield Fault("edge.certificate.source", given.source, wanted, "tls-certificates-valid")
        if given.source == "cert-manager" and given.issuer is None:
            wanted = "it needs edge.certificate.issuer, the name of the cluster's issuer"
            yield Fault("edge.certificate.source", given.source, wanted, "tls-certificates-valid")
        if edge.service_type == "NodePort":
            ports = {"publishedPort": edge.published_port, "publishedHttpPort": edge.published_http_port}
            for key, port in ports.items():
                if port not in NODE_PORTS:
                    wanted = f"with serviceType: NodePort it must be {NODE_PORTS.start} to {NODE_PORTS.stop - 1}"
                    yield Fault(f"edge.{key}", port, wanted, "required-ports-free")
        if edge.published_port == edge.published_http_port:
            wanted = "edge.publishedPort has the same; give each its own"
            yield Fault("edge.publishedHttpPort", edge.published_http_port, wanted, "required-ports-free")

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

    def _kafka_faults(self) -> Iterator[Fault]:
        kafka = self.kafka
        for own in {kafka.execution_topic, kafka.cancellation_topic} & set(self.executor.kafka_topics):
            wanted = "it is a topic of the service itself, where no agent may publish; take it out"
            yield Fault("executor.kafkaTopics", own, wanted, "kafka-topics-exist")
        for own in {kafka.execution_topic, kafka.cancellation_topic} & set(self.executor.kafka_reply_topics):
            wanted = "it is a topic of the service itself, where no replies come; take it out"
            yield Fault("executor.kafkaReplyTopics", own, wanted, "kafka-topics-exist")
        if self.target == "docker" and kafka.nodes > 1:
            yield Fault("kafka.nodes", kafka.nodes, "a cluster needs target: kubernetes", "kafka-broker-count-prod")
        if kafka.replication > kafka.nodes:
            wanted = f"it must not exceed kafka.nodes = {kafka.nodes}"
            yield Fault("kafka.replication", kafka.replication, wanted, "kafka-broker-count-prod")
        if kafka.nodes > 1 and kafka.min_in_sync >= kafka.replication:
            wanted = f"it must be less than kafka.replication = {kafka.replication}, else one broker away stops writes"
            yield Fault("kafka.minInSync", kafka.min_in_sync, wanted, "kafka-broker-count-prod")
        if kafka.nodes == 1 and kafka.min_in_sync > 1:
            yield Fault("kafka.minInSync", kafka.min_in_sync, "one broker can only be 1", "kafka-broker-count-prod")
        if kafka.provision == (kafka.external is not None):
            wanted = (
                "kafka.external must be left out, or kafka.provision be false"
                if kafka.provision
                else "kafka.external must say where the brokers are"
            )
            yield Fault("kafka.provision", str(kafka.provision).lower(), wanted, "kafka-reachable")
        elif (external := kafka.external) and (external.protocol == "SASL_SSL") != (external.username is not None):
            wanted = "kafka.external.username must be given with SASL_SSL, and only with it"
            yield Fault("kafka.external.protocol", external.protocol, wanted, "kafka-reachable")

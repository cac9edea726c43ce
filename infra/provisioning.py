"""What differs between the targets: where workloads go, who is trusted, how Postgres and Kafka come to be."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from infra.components.kafka import Kafka
from infra.components.kafka_cluster import KafkaCluster, external_kafka
from infra.components.kafka_settings import METRICS_PORT as KAFKA_METRICS_PORT
from infra.components.kafka_settings import PART as KAFKA
from infra.components.postgres import Postgres
from infra.components.postgres_cluster import PostgresCluster
from infra.components.postgres_external import external_postgres
from infra.endpoints import KafkaEndpoint, Placed, PostgresEndpoint, ScrapeTarget
from infra.images import ImageSource
from infra.stack_secrets import Secrets
from infra.targets import Target
from infra.targets.docker import DockerTarget
from infra.trust import StackTrust, Trust
from stacks.model import Stack

PROJECT_FOLDER = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Provisioned:
    """What everything else is built on."""

    stack: Stack
    target: Target
    trust: Trust
    postgres: PostgresEndpoint
    kafka: KafkaEndpoint
    network: str
    """Name of what the parts share: a Docker network, a namespace."""
    placed: Sequence[Placed] = field(default_factory=tuple)
    scrape: Sequence[ScrapeTarget] = field(default_factory=tuple)

    def urls(self, missing: Collection[str]) -> dict[str, str]:
        """Entry points of the parts that are reached from outside."""
        stack = self.stack
        if stack.target == "kubernetes":
            if stack.edge is None:
                return {}
            host = stack.kubernetes.public_address or stack.edge.hosts[0]
            return {"api": f"https://{host}:{stack.edge.published_port}"}
        return {
            key.removesuffix(".publishedPort"): f"http://{stack.docker.address}:{port}"
            for key, port in stack.published_ports.items()
            if key.removesuffix(".publishedPort") not in {*missing, KAFKA}
        }

    def entry_points(self, missing: Collection[str]) -> dict[str, str]:
        """Where people find the system and its tools. On a cluster all but the API are reached from inside it only,
        for instance through `kubectl port-forward`, so that nobody probes these from here."""
        urls = self.urls(missing)
        if self.stack.target == "kubernetes":
            inside = f"{self.stack.namespace}.svc"
            ports = {"prometheus": 9090, "alertmanager": 9093, "grafana": 3000}
            urls |= {part: f"https://{part}.{inside}:{port}" for part, port in ports.items() if part not in missing}
            return {**urls, "docs": f"https://api.{inside}:{self.stack.api.port}/docs"}
        return {**urls, "docs": f"{urls['api']}/docs"}


def provision(stack: Stack, image: ImageSource, secrets: Secrets) -> Provisioned:
    """Registers target, trust, database and broker as the description says."""
    return _on_kubernetes(stack, image, secrets) if stack.target == "kubernetes" else _on_docker(stack, image, secrets)


def _on_docker(stack: Stack, image: ImageSource, secrets: Secrets) -> Provisioned:
    target, trust = DockerTarget(stack, image), Trust()
    return _provisioned(
        stack,
        target,
        trust,
        stack.docker.network,
        _postgres(stack, target, trust, image, secrets),
        _kafka(stack, target, trust, image, secrets),
    )


def _on_kubernetes(stack: Stack, image: ImageSource, secrets: Secrets) -> Provisioned:
    # Imported here: a stack on Docker must not pay a second for the SDK of a target it does not use.
    from infra.targets.kubernetes.target import KubernetesTarget

    target, trust = KubernetesTarget(stack), StackTrust(stack.name, stack.namespace, stack.pki)
    return _provisioned(
        stack,
        target,
        trust,
        stack.namespace,
        _postgres(stack, target, trust, image, secrets),
        _kafka(stack, target, trust, image, secrets),
    )


Endpoint = TypeVar("Endpoint")


@dataclass(frozen=True)
class _System(Generic[Endpoint]):
    """A system that was provisioned here, or one of somebody else, which has only its endpoint."""

    endpoint: Endpoint
    placed: Sequence[Placed] = ()
    scrape: Sequence[ScrapeTarget] = ()


def _provisioned(
    stack: Stack,
    target: Target,
    trust: Trust,
    network: str,
    postgres: _System[PostgresEndpoint],
    kafka: _System[KafkaEndpoint],
) -> Provisioned:
    placed, scrape = [*postgres.placed, *kafka.placed], [*postgres.scrape, *kafka.scrape]
    return Provisioned(stack, target, trust, postgres.endpoint, kafka.endpoint, network, placed, scrape)


def _postgres(
    stack: Stack, target: Target, trust: Trust, image: ImageSource, secrets: Secrets
) -> _System[PostgresEndpoint]:
    if not stack.postgres.provision:
        return _System(external_postgres(stack, secrets, PROJECT_FOLDER))
    if isinstance(trust, StackTrust):
        cluster = PostgresCluster(stack, target, trust, image("postgres"), secrets)
        return _System(cluster.endpoint, cluster.placed, cluster.scrape)
    single = Postgres(stack, target, image("postgres"), secrets.postgres, secrets.monitoring)
    return _System(single.endpoint, [single.placed])


def _kafka(stack: Stack, target: Target, trust: Trust, image: ImageSource, secrets: Secrets) -> _System[KafkaEndpoint]:
    if not stack.kafka.provision:
        return _System(external_kafka(stack))
    if stack.kafka.nodes == 1:
        single = Kafka(stack, target, image("kafka"))
        return _System(single.endpoint, [single.placed], [ScrapeTarget(KAFKA, KAFKA, KAFKA_METRICS_PORT)])
    made = KafkaCluster(stack, target, image("kafka"), image("api"), secrets, trust)
    return _System(made.endpoint, made.placed, made.targets)

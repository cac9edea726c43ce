"""What differs between the targets: where workloads go, who is trusted, how Postgres and Kafka come to be."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from infra.components.kafka import METRICS_PORT as KAFKA_METRICS_PORT
from infra.components.kafka import Kafka
from infra.components.postgres import Postgres
from infra.endpoints import KafkaEndpoint, Placed, PostgresEndpoint, ScrapeTarget
from infra.images import ImageSource
from infra.stack_secrets import Secrets
from infra.targets import Target
from infra.targets.docker import DockerTarget
from infra.trust import StackTrust, Trust
from stacks.model import Stack


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
            return {}
        return {
            key.removesuffix(".publishedPort"): f"http://{stack.docker.address}:{port}"
            for key, port in stack.published_ports.items()
            if key.removesuffix(".publishedPort") not in missing
        }


def provision(stack: Stack, image: ImageSource, secrets: Secrets) -> Provisioned:
    """Registers target, trust, database and broker as the description says."""
    return _on_kubernetes(stack, image, secrets) if stack.target == "kubernetes" else _on_docker(stack, image, secrets)


def _on_docker(stack: Stack, image: ImageSource, secrets: Secrets) -> Provisioned:
    target = DockerTarget(stack, image)
    postgres = Postgres(stack, target, image("postgres"), secrets.postgres, secrets.monitoring)
    kafka = Kafka(stack, target, image("kafka"))
    return Provisioned(
        stack,
        target,
        Trust(),
        postgres.endpoint,
        kafka.endpoint,
        stack.docker.network,
        [postgres.placed, kafka.placed],
        [ScrapeTarget("kafka", "kafka", KAFKA_METRICS_PORT)],
    )


def _on_kubernetes(stack: Stack, image: ImageSource, secrets: Secrets) -> Provisioned:
    # Imported here: a stack on Docker must not pay a second for the SDK of a target it does not use.
    from infra.targets.kubernetes import KubernetesTarget

    target = KubernetesTarget(stack)
    trust = StackTrust(stack.name, stack.namespace, stack.pki)
    postgres = Postgres(stack, target, image("postgres"), secrets.postgres, secrets.monitoring)
    kafka = Kafka(stack, target, image("kafka"))
    return Provisioned(
        stack,
        target,
        trust,
        postgres.endpoint,
        kafka.endpoint,
        stack.namespace,
        [postgres.placed, kafka.placed],
        [ScrapeTarget("kafka", "kafka", KAFKA_METRICS_PORT)],
    )

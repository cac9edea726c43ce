"""What is deployed, in the order in which it depends on one another."""

import pulumi

from images.catalog import reference
from infra.components.exporters import Exporters
from infra.components.kafka import METRICS_PORT as KAFKA_METRICS_PORT
from infra.components.kafka import Kafka
from infra.components.monitoring import Alertmanager, Grafana, Prometheus
from infra.components.postgres import Postgres
from infra.components.service import WORKER_PORT, Api, Executors, Migrations, Relay, ServiceParts
from infra.endpoints import Placed, ScrapeTarget
from infra.stack_secrets import Secrets
from infra.targets.docker import DockerTarget
from infra.targets.docker_images import why_unavailable
from stacks.errors import StackError
from stacks.model import Stack


def deploy(stack: Stack) -> None:
    """Registers every resource of the stack and exports its outputs."""

    def image(name: str) -> str:
        return stack.images.get(name) or reference(name)

    secrets = Secrets()
    target = DockerTarget(stack, image)
    postgres = Postgres(stack, target, image("postgres"), secrets.postgres, secrets.monitoring)
    kafka = Kafka(stack, target, image("kafka"))
    parts = ServiceParts(
        stack=stack,
        target=target,
        image=image("api"),
        postgres=postgres.endpoint,
        kafka=kafka.endpoint,
        jwt_secret=secrets.jwt,
        admin_password=secrets.admin,
    )
    migrations = Migrations(parts)
    api = Api(parts, migrations.succeeded)
    relay = Relay(parts, migrations.succeeded)
    executors = Executors(parts, migrations.succeeded)
    placed = [postgres.placed, kafka.placed, migrations.placed, api.placed, relay.placed, *executors.placed]
    scrape = [
        ScrapeTarget("workflow-api", "api", stack.api.port),
        ScrapeTarget("relay", "relay", WORKER_PORT),
        *(ScrapeTarget("executor", each.part, WORKER_PORT) for each in executors.placed),
        ScrapeTarget("kafka", "kafka", KAFKA_METRICS_PORT),
    ]
    if stack.exporters.enabled:
        exporters = Exporters(
            stack, target, image("node-exporter"), image("postgres-exporter"), postgres.endpoint, secrets.monitoring
        )
        placed += exporters.placed
        scrape += exporters.targets
    alertmanager = Alertmanager(stack, target, image("alertmanager"))
    prometheus = Prometheus(stack, target, image("prometheus"), scrape, alertmanager.address)
    placed += [alertmanager.placed, prometheus.placed]
    missing: dict[str, str] = {}
    if (reason := why_unavailable(stack.grafana.image)) is None:
        placed.append(Grafana(stack, target, prometheus.url, secrets.grafana).placed)
    elif stack.grafana.required:
        raise StackError(stack.name, [f"workflow-platform:grafana.required is true, but {reason}"])
    else:
        pulumi.log.warn(f"Grafana is left out: {reason}. The rest is deployed; load the image and run `up` again.")
        missing["grafana"] = reason
    export(stack, placed, missing, secrets)


def export(stack: Stack, placed: list[Placed], missing: dict[str, str], secrets: Secrets) -> None:
    """The stack's outputs: entry points, and the inventory that the live verification works from."""
    host = stack.docker.address
    urls = {
        key.removesuffix(".publishedPort"): f"http://{host}:{port}"
        for key, port in stack.published_ports.items()
        if key.removesuffix(".publishedPort") not in missing
    }
    pulumi.export("urls", urls)
    pulumi.export("inventory", {each.part: each.inventory for each in placed})
    pulumi.export("missing", missing)
    pulumi.export("network", stack.docker.network)
    pulumi.export("adminUsername", stack.authentication.admin_username)
    pulumi.export("adminPassword", secrets.admin)

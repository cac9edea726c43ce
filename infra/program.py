"""What is deployed, in the order in which it depends on one another."""

import pulumi

from infra.components.edge import EdgeProxy
from infra.components.exporters import Exporters
from infra.components.monitoring import GRAFANA_PORT, Alertmanager, Grafana, Prometheus
from infra.components.service import WORKER_PORT, Api, Executors, Migrations, Relay, ServiceParts
from infra.edge.nginx_config import HEALTH_PORT, UPTIME_PATH
from infra.endpoints import ScrapeTarget
from infra.images import Lookup, image_source, pinned
from infra.provisioning import provision
from infra.stack_secrets import Secrets
from infra.targets.docker_images import digest_reference, why_unavailable
from stacks.errors import StackError
from stacks.model import Stack


def deploy(stack: Stack, lookup: Lookup | None = None) -> None:
    """Registers every resource of the stack and exports its outputs.

    `lookup` answers in place of registries and of this machine's engine, for those who only want to see what would be
    registered.
    """
    look = lookup or Lookup(digest_reference, why_unavailable)
    image = image_source(stack, look)
    secrets = Secrets(generation=stack.secret_generation)
    base = provision(stack, image, secrets)
    target, scheme = base.target, base.trust.scheme
    parts = ServiceParts(
        stack=stack,
        target=target,
        image=image("api"),
        postgres=base.postgres,
        kafka=base.kafka,
        secrets=secrets,
        trust=base.trust,
    )
    migrations = Migrations(parts)
    api = Api(parts, migrations.succeeded)
    relay = Relay(parts, migrations.succeeded)
    executors = Executors(parts, migrations.succeeded)
    placed = [*base.placed, migrations.placed, api.placed, relay.placed, *executors.placed]
    if stack.edge is not None:
        placed.append(EdgeProxy(stack, stack.edge, target, image("edge"), base.trust, api.placed).placed)
    scrape = [
        ScrapeTarget("workflow-api", "api", stack.api.port, scheme=scheme, replicas=stack.api.replicas),
        ScrapeTarget("relay", "relay", WORKER_PORT, scheme=scheme, replicas=stack.relay.replicas),
        *(
            ScrapeTarget("executor", each.part, WORKER_PORT, scheme=scheme, replicas=executors.replicas)
            for each in executors.placed
        ),
        *base.scrape,
    ]
    if stack.edge is not None:
        scrape.append(ScrapeTarget("edge", "edge", HEALTH_PORT, path=UPTIME_PATH, replicas=stack.edge.replicas))
    if stack.exporters.enabled:
        exporters = Exporters(
            stack, target, image("node-exporter"), image("postgres-exporter"), base.postgres, base.trust
        )
        placed += exporters.placed
        scrape += exporters.targets
    # Issued before Prometheus is told when each certificate ends.
    operator = base.trust.identity("operator")
    missing: dict[str, str] = {}
    if (reason := look.unavailable(stack.grafana.image)) is not None:
        if stack.grafana.required:
            raise StackError(stack.name, [f"workflow-platform:grafana.required is true, but {reason}"])
        pulumi.log.warn(f"Grafana is left out: {reason}. The rest is deployed; load the image and run `up` again.")
        missing["grafana"] = reason
    else:
        scrape.append(ScrapeTarget("grafana", "grafana", GRAFANA_PORT, scheme=scheme))
    alertmanager = Alertmanager(stack, target, image("alertmanager"), base.trust)
    prometheus = Prometheus(
        stack, target, image("prometheus"), scrape, alertmanager.scrape, base.trust, shown=not missing
    )
    placed += [alertmanager.placed, prometheus.placed]
    if not missing:
        dashboards = pinned(stack, stack.grafana.image, look)
        placed.append(Grafana(stack, target, dashboards, prometheus.url, secrets.grafana, base.trust).placed)
    pulumi.export("urls", base.urls(missing))
    pulumi.export("entryPoints", base.entry_points(missing))
    pulumi.export("inventory", {each.part: each.inventory for each in placed})
    pulumi.export("missing", missing)
    pulumi.export("network", base.network)
    pulumi.export("target", stack.target)
    pulumi.export("adminUsername", stack.authentication.admin_username)
    pulumi.export("adminPassword", secrets.admin)
    if base.trust.authority is not None:
        pulumi.export("authority", base.trust.authority)
        # By which people and the verification are let into Prometheus and Alertmanager.
        pulumi.export("operator", operator)

"""Figures of the host and of Postgres, for Prometheus."""

import pulumi

from infra.components import web
from infra.endpoints import Placed, PostgresEndpoint, ScrapeTarget
from infra.targets import Target
from infra.trust import Trust
from infra.workload import Kind, Port, Workload, secret_path
from stacks.model import Stack

NODE_PORT = 9100
POSTGRES_PORT = 9187


class Exporters(pulumi.ComponentResource):
    """node-exporter and postgres-exporter."""

    def __init__(
        self,
        stack: Stack,
        target: Target,
        node_image: str,
        postgres_image: str,
        postgres: PostgresEndpoint,
        trust: Trust,
    ) -> None:
        super().__init__("workflow:infra:Exporters", "exporters")
        settings = stack.exporters
        node = target.place(
            Workload(
                part="node-exporter",
                image=node_image,
                kind=Kind.DAEMON,
                resources=settings.resources,
                config_files=web.config_files(trust),
                secret_files=trust.identity("node-exporter"),
                rereads=web.REREAD,
                ports=[Port(NODE_PORT, peers=["prometheus"])],
                health=web.health(trust, NODE_PORT, "/metrics", settings.health),
                host_view=True,
            ),
            parent=self,
        )
        login = postgres.login("monitoring")
        encryption = (
            f"verify-full&sslrootcert={secret_path('database-ca.crt')}" if postgres.ca is not None else "disable"
        )
        database = target.place(
            Workload(
                part="postgres-exporter",
                image=postgres_image,
                kind=Kind.SERVICE,
                resources=settings.resources,
                env={
                    "DATA_SOURCE_URI": f"{postgres.host}:{postgres.port}/{postgres.database}?sslmode={encryption}",
                    "DATA_SOURCE_USER": login.user,
                    "DATA_SOURCE_PASS_FILE": secret_path("monitoring"),
                },
                config_files=web.config_files(trust),
                secret_files={
                    "monitoring": login.password,
                    **({"database-ca.crt": postgres.ca} if postgres.ca is not None else {}),
                    **trust.identity("postgres-exporter"),
                },
                rereads=web.REREAD,
                ports=[Port(POSTGRES_PORT, peers=["prometheus"])],
                health=web.health(trust, POSTGRES_PORT, "/metrics", settings.health),
            ),
            parent=self,
            needs=postgres.ready,
        )
        self.placed: list[Placed] = [node, database]
        self.targets = [
            ScrapeTarget("node", "node-exporter", NODE_PORT, scheme=trust.scheme),
            ScrapeTarget("postgres", "postgres-exporter", POSTGRES_PORT, scheme=trust.scheme),
        ]
        self.register_outputs({})

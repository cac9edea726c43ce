"""Figures of the host and of Postgres, for Prometheus."""

import pulumi

from infra.endpoints import Placed, PostgresEndpoint, ScrapeTarget
from infra.targets import Target
from infra.trust import Trust
from infra.workload import Health, Kind, Port, Workload, http_probe, secret_path
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
                kind=Kind.SERVICE,
                resources=settings.resources,
                ports=[Port(NODE_PORT, peers=["prometheus"])],
                health=Health(http_probe(NODE_PORT), settings.health, gates_start=False),
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
                secret_files={
                    "monitoring": login.password,
                    **({"database-ca.crt": postgres.ca} if postgres.ca is not None else {}),
                },
                ports=[Port(POSTGRES_PORT, peers=["prometheus"])],
                health=Health(http_probe(POSTGRES_PORT), settings.health, gates_start=False),
            ),
            parent=self,
            needs=postgres.ready,
        )
        self.placed: list[Placed] = [node, database]
        self.targets = [
            ScrapeTarget("node", "node-exporter", NODE_PORT),
            ScrapeTarget("postgres", "postgres-exporter", POSTGRES_PORT),
        ]
        self.register_outputs({})

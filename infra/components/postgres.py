"""The database server."""

import pulumi

from infra.endpoints import EVERYBODY, Login, PostgresEndpoint
from infra.postgres.settings import server_settings
from infra.targets import Target
from infra.workload import DataVolume, Health, Kind, Port, Workload, secret_path
from stacks.model import Stack

PORT = 5432


class Postgres(pulumi.ComponentResource):
    """PostgreSQL with the application's database, its user and a role for monitoring."""

    def __init__(
        self,
        stack: Stack,
        target: Target,
        image: str,
        password: pulumi.Output[str],
        monitoring_password: pulumi.Output[str],
    ) -> None:
        super().__init__("workflow:infra:Postgres", "postgres-server")
        settings = stack.postgres
        self.placed = target.place(
            Workload(
                part="postgres",
                image=image,
                kind=Kind.STATEFUL,
                resources=settings.resources,
                env={
                    "POSTGRES_DB": settings.database,
                    "POSTGRES_USER": settings.user,
                    "POSTGRES_PASSWORD_FILE": secret_path("password"),
                    "MONITORING_PASSWORD_FILE": secret_path("monitoring"),
                },
                config_files={"postgresql.conf": server_settings(settings)},
                secret_files={"password": password, "monitoring": monitoring_password},
                ports=[Port(PORT)],
                volumes=[DataVolume("postgres-data", "/var/lib/postgresql/data")],
                scratch=["/tmp", "/var/run/postgresql"],  # noqa: S108 - a path inside the container, in memory
                health=Health(["pg_isready", "-q", "-h", "127.0.0.1", "-d", settings.database], settings.health),
                stop_signal="SIGINT",  # fast shutdown: open transactions are rolled back, not waited for
                stop_seconds=30,
            ),
            parent=self,
        )
        self.endpoint = PostgresEndpoint(
            host="postgres",
            port=PORT,
            database=settings.database,
            logins={EVERYBODY: Login(settings.user, password), "monitoring": Login("monitoring", monitoring_password)},
            ready=[self.placed.resource],
        )
        self.register_outputs({})

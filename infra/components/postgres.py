"""The database server."""

import pulumi

from infra.endpoints import EVERYBODY, Login, PostgresEndpoint
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
                config_files={"postgresql.conf": server_settings(stack)},
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


def server_settings(stack: Stack) -> str:
    """The part of postgresql.conf that the stack decides."""
    settings = stack.postgres
    lines = {
        "max_connections": settings.max_connections,
        "shared_buffers": f"{settings.shared_buffers}MB",
        "log_min_duration_statement": "500ms",
        "log_lock_waits": "on",
        "idle_in_transaction_session_timeout": "60s",
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items())

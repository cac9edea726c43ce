"""The programs of the service image: migrations, api, relay and executors. They share one set of env names."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.endpoints import KafkaEndpoint, Placed, PostgresEndpoint
from infra.targets.docker import DockerTarget
from infra.workload import Health, Kind, Port, Workload, secret_path
from stacks.model import Stack
from stacks.parts import HealthTiming, Pool, Resources

WORKER_PORT = 8001
"""Where relay and executor tell their health and figures."""


@dataclass(frozen=True)
class ServiceParts:
    """What the programs of the service need from the rest of the stack."""

    stack: Stack
    target: DockerTarget
    image: str
    postgres: PostgresEndpoint
    kafka: KafkaEndpoint
    jwt_secret: pulumi.Output[str]
    admin_password: pulumi.Output[str]

    @property
    def ready(self) -> list[pulumi.Resource]:
        """What must be healthy before any of the programs starts."""
        return [*self.postgres.ready, *self.kafka.ready]


class Migrations(pulumi.ComponentResource):
    """The one-shot that brings schema, first administrator and topics up to date."""

    def __init__(self, parts: ServiceParts) -> None:
        super().__init__("workflow:infra:Migrations", "migrations-job")
        stack = parts.stack
        self.placed = parts.target.place(
            Workload(
                part="migrations",
                image=parts.image,
                kind=Kind.JOB,
                resources=Resources(cpus=1, memory=256),
                command=["migrate"],
                env={
                    **common_env(stack, parts.kafka, Pool(size=2, overflow=2)),
                    "BOOTSTRAP_ADMIN_USERNAME": stack.authentication.admin_username,
                    "BOOTSTRAP_ADMIN_PASSWORD_FILE": secret_path("admin_password"),
                    "KAFKA_TOPIC_PARTITIONS": str(stack.kafka.partitions),
                    "KAFKA_TOPIC_REPLICATION": "1",
                },
                secret_files={"database_url": parts.postgres.url, "admin_password": parts.admin_password},
            ),
            parent=self,
            needs=parts.ready,
        )
        if self.placed.finished is None:
            raise TypeError("migrations must be a job, so that the API can wait for its success")
        self.succeeded: pulumi.Output[str] = self.placed.finished
        self.register_outputs({})


class Api(pulumi.ComponentResource):
    """The HTTP service."""

    def __init__(self, parts: ServiceParts, migrated: pulumi.Output[str]) -> None:
        super().__init__("workflow:infra:Api", "api-service")
        stack = parts.stack
        api = stack.api
        self.placed = parts.target.place(
            Workload(
                part="api",
                container_name="management-api",
                image=parts.image,
                kind=Kind.SERVICE,
                resources=api.resources,
                command=["api"],
                env={
                    **common_env(stack, parts.kafka, api.pool),
                    **api_env(stack),
                    "JWT_SECRET_FILE": secret_path("jwt"),
                },
                secret_files={"database_url": parts.postgres.url, "jwt": parts.jwt_secret},
                ports=[Port(api.port, api.published_port)],
                # The engine's first probe comes after one whole documented interval of 30 s; waiting for it would
                # hold every `up` back, and `verify` asks /health/ready itself.
                health=Health(probe(f"http://localhost:{api.port}/health"), api.health, gates_start=False),
                after={"migrations": migrated},
                stop_seconds=30,
            ),
            parent=self,
            needs=parts.ready,
        )
        self.register_outputs({})


class Relay(pulumi.ComponentResource):
    """What carries accepted runs from the outbox to Kafka."""

    def __init__(self, parts: ServiceParts, migrated: pulumi.Output[str]) -> None:
        super().__init__("workflow:infra:Relay", "relay-service")
        relay = parts.stack.relay
        self.placed = _worker(self, parts, "relay", "relay", relay.pool, relay.resources, relay.health, migrated, {})
        self.register_outputs({})


class Executors(pulumi.ComponentResource):
    """What runs the workflows: one container an instance, each with an id of its own."""

    def __init__(self, parts: ServiceParts, migrated: pulumi.Output[str]) -> None:
        super().__init__("workflow:infra:Executors", "executor-service")
        executor = parts.stack.executor
        self.placed: list[Placed] = []
        for number in range(1, executor.instances + 1):
            part = "executor" if number == 1 else f"executor-{number}"
            env = {
                "EXECUTOR_ID": f"worker-{number}",
                "EXECUTOR_CONCURRENCY": str(executor.concurrency),
                "EXECUTOR_LEASE_SECONDS": str(executor.lease_seconds),
                "HTTP_AGENT_ALLOWED_HOSTS": ",".join(executor.http_allowed_hosts),
            }
            placed = _worker(
                self, parts, part, "executor", executor.pool, executor.resources, executor.health, migrated, env
            )
            self.placed.append(placed)
        self.register_outputs({})


def _worker(
    parent: pulumi.Resource,
    parts: ServiceParts,
    part: str,
    command: str,
    pool: Pool,
    resources: Resources,
    timing: HealthTiming,
    migrated: pulumi.Output[str],
    env: Mapping[str, str],
) -> Placed:
    return parts.target.place(
        Workload(
            part=part,
            image=parts.image,
            kind=Kind.SERVICE,
            resources=resources,
            command=[command],
            env={**common_env(parts.stack, parts.kafka, pool), "WORKER_HTTP_PORT": str(WORKER_PORT), **env},
            secret_files={"database_url": parts.postgres.url},
            ports=[Port(WORKER_PORT)],
            health=Health(probe(f"http://localhost:{WORKER_PORT}/health"), timing, gates_start=False),
            after={"migrations": migrated},
            stop_seconds=30,
        ),
        parent=parent,
        needs=parts.ready,
    )


def probe(url: str) -> list[str]:
    """The health command of the service image: fails on any answer but 200."""
    return ["python", "-m", "service.healthcheck", url]


def common_env(stack: Stack, kafka: KafkaEndpoint, pool: Pool) -> dict[str, str]:
    """The documented variables that every program of the service reads."""
    return {
        "DATABASE_URL_FILE": secret_path("database_url"),
        "DATABASE_POOL_SIZE": str(pool.size),
        "DATABASE_MAX_OVERFLOW": str(pool.overflow),
        "DATABASE_ECHO": _flag(pool.echo),
        "KAFKA_BROKERS": kafka.brokers,
        "KAFKA_EXECUTION_TOPIC": stack.kafka.execution_topic,
        "KAFKA_CANCELLATION_TOPIC": stack.kafka.cancellation_topic,
        "LOG_LEVEL": stack.logging.level,
        "LOG_FORMAT": stack.logging.format,
    }


def api_env(stack: Stack) -> dict[str, str]:
    """The documented variables that only the API reads."""
    api = stack.api
    return {
        "API_TITLE": api.title,
        "API_VERSION": api.version,
        "API_DESCRIPTION": api.description,
        "API_PREFIX": api.prefix,
        "API_HOST": "0.0.0.0",  # noqa: S104 - inside its own container; published on loopback
        "API_PORT": str(api.port),
        "API_RELOAD": _flag(api.reload),
        "API_WORKERS": str(api.workers),
        "JWT_SECRET_FILE": secret_path("jwt"),
        "JWT_ALGORITHM": stack.authentication.jwt_algorithm,
        "JWT_EXPIRATION_MINUTES": str(stack.authentication.jwt_expiration_minutes),
        "API_KEY_HEADER": stack.authentication.api_key_header,
        "CORS_ORIGINS": ",".join(api.cors.origins),
        "CORS_ALLOW_CREDENTIALS": _flag(api.cors.allow_credentials),
        "CORS_ALLOW_METHODS": ",".join(api.cors.methods),
        "CORS_ALLOW_HEADERS": ",".join(api.cors.headers),
        "DEFAULT_PAGE_SIZE": str(api.default_page_size),
        "MAX_PAGE_SIZE": str(api.max_page_size),
        "ENABLE_METRICS": _flag(api.enable_metrics),
        "ENABLE_AUDIT_LOGGING": _flag(api.enable_audit_logging),
        "RATE_LIMIT_REQUESTS": str(api.rate_limit.requests),
        "RATE_LIMIT_WINDOW": str(api.rate_limit.window),
        "TRUSTED_HOSTS": ",".join(api.trusted_hosts),
    }


def _flag(value: bool) -> str:
    return "true" if value else "false"

"""The programs of the service image: migrations, api, relay and executors. They share one set of env names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pulumi

from infra.endpoints import KafkaEndpoint, Placed, PostgresEndpoint
from infra.stack_secrets import Secrets
from infra.targets import Target
from infra.trust import IDENTITY_FILES, Trust
from infra.workload import Autoscale, Health, HttpCheck, Kind, Port, Readiness, Workload, secret_path
from stacks.model import Stack
from stacks.parts.common import Autoscaling, HealthTiming, Resources
from stacks.parts.service import Pool

AGENT_SECRETS = "agents"
"""The folder, among the executor's secrets, of those that agents may use."""

WORKER_PORT = 8001
"""Where relay and executor tell their health and figures."""


@dataclass(frozen=True)
class ServiceParts:
    """What the programs of the service need from the rest of the stack."""

    stack: Stack
    target: Target
    image: str
    postgres: PostgresEndpoint
    kafka: KafkaEndpoint
    secrets: Secrets
    trust: Trust

    @property
    def ready(self) -> list[pulumi.Resource]:
        """What must be healthy before any of the programs starts."""
        return [*self.postgres.ready, *self.kafka.ready]

    def env(self, program: str, pool: Pool) -> dict[str, pulumi.Input[str]]:
        """The documented variables that every program of the service reads."""
        return {**common_env(self.stack, pool), **self.kafka.env(program)}

    def secret_files(self, program: str) -> dict[str, pulumi.Input[str]]:
        """What a program needs to reach database and broker."""
        return {**self.postgres.secret_files(program), **self.kafka.secret_files(program)}


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
                    **parts.env("migrations", Pool(size=2, overflow=2)),
                    "BOOTSTRAP_ADMIN_USERNAME": stack.authentication.admin_username,
                    "BOOTSTRAP_ADMIN_PASSWORD_FILE": secret_path("admin_password"),
                    "KAFKA_TOPIC_PARTITIONS": str(stack.kafka.partitions),
                    "KAFKA_TOPIC_REPLICATION": str(parts.kafka.replication),
                    # Whoever runs other brokers makes the topics there.
                    "KAFKA_AGENT_TOPICS": ",".join(stack.executor.kafka_topics if stack.kafka.provision else ()),
                    "KAFKA_AGENT_REPLY_TOPICS": ",".join(
                        stack.executor.kafka_reply_topics if stack.kafka.provision else ()
                    ),
                },
                told=parts.postgres.told("migrations"),
                secret_files={**parts.secret_files("migrations"), "admin_password": parts.secrets.admin},
                # A renewed certificate is no reason to migrate again.
                rereads=IDENTITY_FILES,
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
        previous = parts.secrets.jwt_previous
        local = f"{parts.trust.scheme}://localhost:{api.port}"
        self.placed = parts.target.place(
            Workload(
                part="api",
                container_name="management-api",
                object_name="workflow-api",
                image=parts.image,
                kind=Kind.SERVICE,
                resources=api.resources,
                command=["api"],
                env={
                    **parts.env("api", api.pool),
                    **api_env(stack),
                    **webhook_env(stack),
                    **parts.trust.env(),
                    **({"JWT_PREVIOUS_SECRET_FILE": secret_path("jwt_previous")} if previous is not None else {}),
                },
                told=parts.postgres.told("api"),
                secret_files={
                    **parts.secret_files("api"),
                    "jwt": parts.secrets.jwt,
                    "webhook": parts.secrets.webhook,
                    **({"jwt_previous": previous} if previous is not None else {}),
                    **parts.trust.identity("api"),
                },
                rereads=IDENTITY_FILES,
                ports=[Port(api.port, api.published_port, peers=["edge", "prometheus", "executor"])],
                # The engine's first probe comes after one whole documented interval of 30 s; waiting for it would
                # hold every `up` back, and `verify` asks /health/ready itself.
                health=Health(
                    probe(f"{local}/health"),
                    api.health,
                    gates_start=False,
                    probe=HttpCheck(api.port, "/health", parts.trust.enabled),
                    readiness=Readiness(HttpCheck(api.port, "/health/ready", parts.trust.enabled), api.readiness),
                ),
                after={"migrations": migrated},
                stop_seconds=30,
                drain_seconds=api.drain_seconds,
                replicas=api.replicas,
                autoscale=_autoscale(api.replicas, api.autoscaling),
            ),
            parent=self,
            needs=parts.ready,
        )
        self.register_outputs({})


class Relay(pulumi.ComponentResource):
    """What carries accepted runs from the outbox to Kafka, fires schedules and sends webhooks."""

    def __init__(self, parts: ServiceParts, migrated: pulumi.Output[str]) -> None:
        super().__init__("workflow:infra:Relay", "relay-service")
        relay = parts.stack.relay
        env = {
            "RETENTION_RUNS_DAYS": str(relay.retention_runs_days),
            "RETENTION_AUDIT_DAYS": str(relay.retention_audit_days),
        }
        self.placed = _worker(
            self, parts, "relay", "relay", relay.pool, relay.resources, relay.health, migrated,
            {**env, **webhook_env(parts.stack)}, relay.replicas, secret_files={"webhook": parts.secrets.webhook},
        )  # fmt: skip
        self.register_outputs({})


class Executors(pulumi.ComponentResource):
    """What runs the workflows: replicas of one workload, or one workload an instance where a target has no replicas."""

    def __init__(self, parts: ServiceParts, migrated: pulumi.Output[str]) -> None:
        super().__init__("workflow:infra:Executors", "executor-service")
        executor = parts.stack.executor
        self.placed: list[Placed] = []
        self.replicas = executor.instances if parts.target.replicates else 1
        """Of each workload that is placed."""
        env = {
            "EXECUTOR_CONCURRENCY": str(executor.concurrency),
            "EXECUTOR_LEASE_SECONDS": str(executor.lease_seconds),
            "KAFKA_AGENT_TOPICS": ",".join(executor.kafka_topics),
            "KAFKA_AGENT_REPLY_TOPICS": ",".join(executor.kafka_reply_topics),
            "AGENT_SECRETS_DIR": secret_path(AGENT_SECRETS) if executor.agent_secrets else "",
            **hosts_env(parts.stack),
        }
        given = parts.secrets.of_agents(executor.agent_secrets)
        agent_secrets = {f"{AGENT_SECRETS}/{name}": value for name, value in given.items()}

        def place(part: str, more: Mapping[str, str], replicas: int, scaling: Autoscaling | None) -> None:
            placed = _worker(
                self, parts, part, "executor", executor.pool, executor.resources, executor.health, migrated,
                {**env, **more}, replicas, scaling, secret_files=agent_secrets,
                # A step that needs a secret reads it then.
                rereads=agent_secrets,
            )  # fmt: skip
            self.placed.append(placed)

        if parts.target.replicates:
            # Each replica's id is its own host name.
            place("executor", {}, executor.instances, executor.autoscaling)
        else:
            for number in range(1, executor.instances + 1):
                part = "executor" if number == 1 else f"executor-{number}"
                place(part, {"EXECUTOR_ID": f"worker-{number}"}, 1, None)
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
    replicas: int,
    scaling: Autoscaling | None = None,
    *,
    secret_files: Mapping[str, pulumi.Input[str]] | None = None,
    rereads: Iterable[str] = (),
) -> Placed:
    trust = parts.trust
    return parts.target.place(
        Workload(
            part=part,
            image=parts.image,
            kind=Kind.SERVICE,
            resources=resources,
            command=[command],
            env={**parts.env(command, pool), **trust.env(), "WORKER_HTTP_PORT": str(WORKER_PORT), **env},
            told=parts.postgres.told(command),
            secret_files={**parts.secret_files(command), **trust.identity(command), **(secret_files or {})},
            rereads=IDENTITY_FILES | set(rereads),
            ports=[Port(WORKER_PORT, peers=["prometheus"])],
            health=Health(
                probe(f"{trust.scheme}://localhost:{WORKER_PORT}/health"),
                timing,
                gates_start=False,
                probe=HttpCheck(WORKER_PORT, "/health", trust.enabled),
            ),
            after={"migrations": migrated},
            stop_seconds=30,
            replicas=replicas,
            autoscale=_autoscale(replicas, scaling),
            # HTTP agents call what workflows name, the relay what webhooks name; which hosts that may be is a setting.
            calls_out=command in ("executor", "relay"),
        ),
        parent=parent,
        needs=parts.ready,
    )


def probe(url: str) -> list[str]:
    """The health command of the service image: fails on any answer but 200."""
    return ["python", "-m", "service.healthcheck", url]


def _autoscale(replicas: int, scaling: Autoscaling | None) -> Autoscale | None:
    return Autoscale(replicas, scaling.most, scaling.cpu_percent) if scaling else None


def common_env(stack: Stack, pool: Pool) -> dict[str, str]:
    """The documented variables of environment, database and logging that every program of the service reads."""
    return {
        "ENVIRONMENT": stack.environment,
        "DATABASE_URL_FILE": secret_path("database_url"),
        "DATABASE_POOL_SIZE": str(pool.size),
        "DATABASE_MAX_OVERFLOW": str(pool.overflow),
        "DATABASE_ECHO": _flag(pool.echo),
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
        "RUN_BACKLOG_LIMIT": str(api.backlog_limit),
        "ENABLE_METRICS": _flag(api.enable_metrics),
        "ENABLE_AUDIT_LOGGING": _flag(api.enable_audit_logging),
        "RATE_LIMIT_REQUESTS": str(api.rate_limit.requests),
        "RATE_LIMIT_WINDOW": str(api.rate_limit.window),
        "TRUSTED_HOSTS": ",".join(api.trusted_hosts),
        # In a cluster only the edge and Prometheus may call the API, from addresses that nobody knows before; the edge
        # says who its visitor is, and passes on no such claim.
        **({"FORWARDED_ALLOW_IPS": "*"} if stack.edge else {}),
    }


def hosts_env(stack: Stack) -> dict[str, str]:
    """Where agents and webhooks may call."""
    return {"HTTP_AGENT_ALLOWED_HOSTS": ",".join(stack.executor.http_allowed_hosts)}


def webhook_env(stack: Stack) -> dict[str, str]:
    """What the API, which takes webhooks, and the relay, which sends them, must know alike."""
    return {"WEBHOOK_SECRET_FILE": secret_path("webhook"), **hosts_env(stack)}


def _flag(value: bool) -> str:
    return "true" if value else "false"

"""The programs of the service, and what they have in common."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stacks.parts.common import Autoscaling, HealthTiming, Part, Resources
from stacks.quantities import Memory, Port, Seconds

LEAST_RETENTION_DAYS = 30
"""As the service has it."""


class Pool(Part):
    """Database connections of one instance, divided among its workers."""

    size: Annotated[int, Field(ge=1, le=1000)] = 10
    overflow: Annotated[int, Field(ge=0, le=2000)] = 20
    echo: bool = False


class Cors(Part):
    """Which browser origins may call the API."""

    origins: tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s*]+)$")], ...] = ("http://localhost:3000",)
    allow_credentials: bool = True
    methods: tuple[str, ...] = ("*",)
    headers: tuple[str, ...] = ("*",)


class RateLimit(Part):
    """Requests that one client may make in a window of seconds."""

    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    window: Seconds = 60


class Authentication(Part):
    """Tokens and keys. The secrets themselves are never here."""

    jwt_algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    jwt_expiration_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    api_key_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] = "X-API-Key"
    admin_username: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{2,62}$")] = "admin"


class Logging(Part):
    """Records of all our programs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    format: Literal["json", "text"] = "json"
    max_size: Memory = 10
    """Size of one log file of a container before it is rotated."""
    max_files: Annotated[int, Field(ge=1, le=100)] = 3


class Api(Part):
    """The HTTP service."""

    title: Annotated[str, Field(min_length=1, max_length=200)] = "Workflow Management API"
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?$")] = "1.0.0"
    description: Annotated[str, Field(max_length=1000)] = "REST API for managing workflow orchestration"
    prefix: Annotated[str, Field(pattern=r"^(/[a-z0-9-]+)+$")] = "/api/v1"
    port: Port = 8000
    published_port: Port = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    reload: bool = False
    pool: Pool = Pool()
    cors: Cors = Cors()
    rate_limit: RateLimit = RateLimit()
    default_page_size: Annotated[int, Field(ge=1, le=10000)] = 20
    max_page_size: Annotated[int, Field(ge=1, le=10000)] = 100
    backlog_limit: Annotated[int, Field(ge=0)] = 100_000
    enable_metrics: bool = True
    enable_audit_logging: bool = True
    trusted_hosts: tuple[str, ...] = ("*",)
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    autoscaling: Autoscaling | None = None
    resources: Resources = Resources(cpus=1, memory=512)
    health: HealthTiming = HealthTiming(interval=30, timeout=10, start_period=40, retries=3)
    readiness: HealthTiming = HealthTiming(interval=10, timeout=5, start_period=20, retries=3)
    drain_seconds: Annotated[int, Field(ge=0, le=120)] = 8
    """How long a replica goes on answering after it was taken out of the service; longer than the edge keeps a
    connection."""


def _not_young(days: int) -> int:
    if 0 < days < LEAST_RETENTION_DAYS:
        raise ValueError(f"must be 0, to keep everything, or at least {LEAST_RETENTION_DAYS} days")
    return days


Retention = Annotated[int, Field(ge=0, le=36_500), AfterValidator(_not_young)]
"""Days; the service refuses what is shorter than a month as well."""


class Relay(Part):
    """What carries accepted runs from the outbox to Kafka, fires schedules and sends webhooks."""

    replicas: Annotated[int, Field(ge=1, le=10)] = 1
    """One relays, the others stand by; all fire schedules and send webhooks."""
    retention_runs_days: Retention = 90
    """Days that runs are kept after they ended; 0 for ever."""
    retention_audit_days: Retention = 365
    pool: Pool = Pool(size=2, overflow=2)
    resources: Resources = Resources(cpus=0.5, memory=192)
    health: HealthTiming = HealthTiming()


class Executor(Part):
    """What runs the workflows."""

    instances: Annotated[int, Field(ge=1, le=100)] = 1
    autoscaling: Autoscaling | None = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 16
    lease_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    http_allowed_hosts: tuple[str, ...] = ()
    """Hosts that HTTP agents and webhooks may call."""
    kafka_topics: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")], ...], Field(max_length=50)
    ] = ()
    """Topics that a kafka agent may publish to. Brokers that are run here get them; whoever runs others makes them, and
    lets the login write there."""
    kafka_reply_topics: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")], ...], Field(max_length=50)
    ] = ()
    """Topics from which executors read what kafka agents wait for: the replies to their messages. They are this stack's
    alone. Brokers that are run here get them; whoever runs others makes them, and lets the login read there."""
    agent_secrets: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")], ...], Field(max_length=200)
    ] = ()
    """Names of the secrets that agents may use; the value of each is the secret `agentSecret-<name>` of the config."""
    pool: Pool = Pool(size=6, overflow=6)
    resources: Resources = Resources(cpus=1, memory=384)
    health: HealthTiming = HealthTiming()

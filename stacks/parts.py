"""The parts of a stack's description. Field names are camelCase in the config."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from stacks.quantities import Cores, Memory, Port, Seconds

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,40}$")]
Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
"""A name that Postgres takes without quotes."""


Cron = Annotated[str, Field(pattern=r"^(\S+\s+){4}\S+$")]
HostName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")]
"""A name or an IPv4 address as a URL has it, in small letters."""


class Part(BaseModel):
    """A frozen piece of a description that refuses fields it does not know."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, validate_default=True
    )


class Resources(Part):
    """Limits of one container. On a cluster `cpu_request` is what is set aside for it; its memory always is."""

    cpus: Cores = 0.5
    memory: Memory = 256
    cpu_request: Cores | None = None

    @property
    def requested_cpus(self) -> float:
        """Cores set aside: as described, or a quarter of the limit."""
        return self.cpus / 4 if self.cpu_request is None else self.cpu_request


class HealthTiming(Part):
    """When a container's health is probed, in seconds. A probe is a process started in the container, so it costs."""

    interval: Seconds = 15
    timeout: Seconds = 5
    start_period: Seconds = 20
    retries: Annotated[int, Field(ge=1, le=100)] = 4


class DockerTarget(Part):
    """Names on the Docker engine. Names are global there, so each stack of a machine needs its own."""

    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*-$")] = "workflow-"
    network: Name = "orchestrator-network"
    address: Literal["127.0.0.1"] = "127.0.0.1"
    """Host address that published ports are bound to."""


class Quota(Part):
    """Bounds of the stack's namespace: limits of processor and memory, and pods."""

    cpus: Cores = 64
    memory: Memory = 65536
    pods: Annotated[int, Field(ge=1, le=10000)] = 100


class KubernetesTarget(Part):
    """Where on which cluster. Each stack has a namespace of its own."""

    context: Annotated[str, Field(min_length=1)] | None = None
    """The kubeconfig's context; the current one when not given."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """`workflow-<stack>` when not given."""
    storage_class: Name | None = None
    """For every volume; the cluster's default when not given."""
    registry: Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$")] | None = None
    """Where the images built here are pushed to and pulled from."""
    image_pull_secret: Name | None = None
    spread: Literal["required", "preferred"] = "required"
    """Whether replicas of one part must run on different nodes, or only should."""
    keep_data: bool = True
    """Whether volumes and the namespace survive `destroy`."""
    quota: Quota = Quota()
    public_address: str | None = None
    """Host name or address under which the cluster's published ports are reached."""


class Pki(Part):
    """Lives of the stack's own authority and certificates, in days."""

    authority_days: Annotated[int, Field(ge=30, le=7300)] = 3650
    authority_generation: Annotated[int, Field(ge=1)] = 1
    days: Annotated[int, Field(ge=1, le=397)] = 90
    renew_before_days: Annotated[int, Field(ge=0, le=180)] = 30
    generation: Annotated[int, Field(ge=1)] = 1
    """A higher number issues every certificate anew at the next `up`."""


class Autoscaling(Part):
    """How far a part may grow by itself, and from which use of its requested processor time on, per cent."""

    most: Annotated[int, Field(ge=1, le=100)]
    cpu_percent: Annotated[int, Field(ge=10, le=100)] = 75


class ExternalPostgres(Part):
    """A server that somebody else runs. Connections are encrypted and the server is verified."""

    host: Annotated[str, Field(min_length=1)]
    port: Port = 5432
    ca_file: Annotated[str, Field(min_length=1)]
    """The certificates by which it is trusted, PEM; a path below the project's folder."""


class Backup(Part):
    """Physical backups of a cluster with its write-ahead log; times are cron's five fields, UTC."""

    full: Cron = "15 1 * * *"
    incremental: Cron = "45 * * * *"
    drill: Cron = "30 3 * * 0"
    """When the newest backup is restored into a scratch server and compared with the live tables."""
    keep_daily: Annotated[int, Field(ge=1, le=366)] = 14
    """Days whose newest full backup is kept, with its incremental ones and the log: any point in time can be had."""
    keep_weekly: Annotated[int, Field(ge=0, le=520)] = 8
    keep_monthly: Annotated[int, Field(ge=0, le=120)] = 12
    size: Annotated[Memory, Field(ge=512)] = 8192
    """Of the repository's volume."""
    resources: Resources = Resources(cpus=1, memory=256)
    health: HealthTiming = HealthTiming()


class Postgres(Part):
    """The database server."""

    database: Identifier = "workflow_db"
    user: Identifier = "workflow_user"
    max_connections: Annotated[int, Field(ge=20, le=10000)] = 100
    shared_buffers: Memory = 128
    resources: Resources = Resources(cpus=1, memory=512)
    health: HealthTiming = HealthTiming(interval=3, retries=20)
    provision: bool = True
    """Whether the server is made here; where not, `external` says where it is."""
    external: ExternalPostgres | None = None
    members: Annotated[int, Field(ge=1, le=7)] = 1
    """One primary and its standbys; several need a target that replicates."""
    synchronous: bool = True
    """Whether a commit waits until a standby has it too, while there is one."""
    size: Annotated[Memory, Field(ge=512)] = 4096
    """Of each member's volume, where the target can bound it."""
    backup: Backup = Backup()


class ExternalKafka(Part):
    """Brokers that somebody else runs. The password is the secret `kafkaPassword` of the stack's config, never here."""

    brokers: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$")], ...], Field(min_length=1)]
    protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "SASL_SSL"
    mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    username: Annotated[str, Field(min_length=1)] | None = None
    """Needed with SASL_SSL. This login may write and read both topics, and read with the group `workflow-executor`."""
    ca_file: Annotated[str, Field(min_length=1)] | None = None
    """A PEM file on the operator's machine with the authorities to trust; the system's where it is not given."""


class Kafka(Part):
    """The brokers: one in plain text, or a cluster of several with TLS, logins and rights; or somebody else's."""

    provision: bool = True
    """Whether the brokers are run here; if not, `external` says where they are."""
    external: ExternalKafka | None = None
    nodes: Literal[1, 3, 5] = 1
    """Each is broker and controller; an odd number, so that a majority of controllers is always clear."""
    replication: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies of each partition."""
    min_in_sync: Annotated[int, Field(ge=1, le=5)] = 1
    """Copies that must be written before a message counts as taken."""
    storage: Memory = 2048
    """Disk space of one broker, where the target reserves it."""
    heap: Memory = 384
    partitions: Annotated[int, Field(ge=1, le=1000)] = 6
    retention_hours: Annotated[int, Field(ge=1, le=24 * 365)] = 168
    execution_topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = "workflow.execution.requests"
    cancellation_topic: Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,200}$")] = "workflow.cancellation.requests"
    resources: Resources = Resources(cpus=1, memory=1024)
    health: HealthTiming = HealthTiming(interval=3, start_period=60, retries=20)


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


class Relay(Part):
    """What carries accepted runs from the outbox to Kafka."""

    replicas: Annotated[int, Field(ge=1, le=10)] = 1
    """One works, the others stand by."""
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
    """Hosts that an HTTP agent may call."""
    pool: Pool = Pool(size=6, overflow=6)
    resources: Resources = Resources(cpus=1, memory=384)
    health: HealthTiming = HealthTiming()


class Prometheus(Part):
    """Metric store and alert rules."""

    published_port: Port = 9090
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 15
    resources: Resources = Resources(cpus=0.5, memory=512)
    health: HealthTiming = HealthTiming()


class Alertmanager(Part):
    """Where alerts are routed."""

    published_port: Port = 9093
    resources: Resources = Resources(cpus=0.25, memory=128)
    health: HealthTiming = HealthTiming()


class Grafana(Part):
    """Dashboards. Its image is pulled by reference; it is the only one that is not built here."""

    image: Annotated[str, Field(min_length=1)] = "grafana/grafana:12.2.1"
    required: bool = False
    """Whether a stack without Grafana is refused where its image can't be had."""
    published_port: Port = 3001
    uid: Annotated[int, Field(ge=1)] = 472
    resources: Resources = Resources(cpus=0.5, memory=384)
    health: HealthTiming = HealthTiming(start_period=60)


class Exporters(Part):
    """Host and Postgres figures for Prometheus."""

    enabled: bool = True
    resources: Resources = Resources(cpus=0.25, memory=64)
    health: HealthTiming = HealthTiming()


class Alerting(Part):
    """Where alerts go. Addresses are webhooks; none means that alerts are only shown."""

    critical_webhook: str | None = None
    warning_webhook: str | None = None


class EdgeCertificate(Part):
    """Where the certificate that visitors see comes from."""

    source: Literal["stack", "files", "cert-manager"] = "stack"
    """From the stack's own authority, from given files, or ordered from cert-manager in the cluster."""
    certificate: str | None = None
    """For `files`: path of the PEM chain, the leaf first."""
    key: str | None = None
    """For `files`: path of the PEM key."""
    issuer: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,252}$")] | None = None
    """For `cert-manager`: name of the issuer."""
    issuer_kind: Literal["Issuer", "ClusterIssuer"] = "ClusterIssuer"


class EdgeLimits(Part):
    """What one address may do at the edge; more is answered with 429."""

    requests_per_second: Annotated[int, Field(ge=1, le=100_000)] = 200
    burst: Annotated[int, Field(ge=0, le=100_000)] = 400
    """Requests that may come at once beyond the rate before one is refused."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 1000


class Edge(Part):
    """The proxy in front of the API: ends TLS, limits visitors, and says when maintenance is on."""

    hosts: Annotated[tuple[HostName, ...], Field(min_length=1)] = ("localhost",)
    """Names that visitors may ask for; the first is the one of the certificate."""
    certificate: EdgeCertificate = EdgeCertificate()
    hsts_seconds: Annotated[int, Field(ge=0, le=10 * 365 * 24 * 3600)] = 365 * 24 * 3600
    """How long browsers remember that the names are HTTPS only; 0 tells them to forget."""
    body_limit: Memory = 1
    limits: EdgeLimits = EdgeLimits()
    answer_seconds: Annotated[int, Field(ge=20, le=600)] = 30
    """How long the API may take for an answer; it may itself wait for a change of the database's primary."""
    maintenance: bool = False
    """Whether business routes answer 503; health stays open."""
    replicas: Annotated[int, Field(ge=1, le=50)] = 2
    service_type: Literal["LoadBalancer", "NodePort"] = "LoadBalancer"
    published_port: Port = 443
    """Port by which visitors reach HTTPS; plain HTTP is redirected there."""
    published_http_port: Port = 80
    resources: Resources = Resources(cpus=0.5, memory=96)
    health: HealthTiming = HealthTiming(interval=10, start_period=5)

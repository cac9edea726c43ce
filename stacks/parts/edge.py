"""The way in from outside."""

from typing import Annotated, Literal

from pydantic import Field

from stacks.parts.common import HealthTiming, Part, Resources
from stacks.quantities import Memory, Port

HostName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$")]
"""A name or an IPv4 address as a URL has it, in small letters."""


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

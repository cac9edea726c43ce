"""Renders the edge's nginx configuration."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stacks.parts.edge import Edge

TEMPLATE = Path(__file__).with_name("nginx.conf")
HTTPS_PORT, HTTP_PORT, HEALTH_PORT = 8443, 8080, 8081
DEFAULT_HTTPS_PORT = 443
UPTIME_PATH = "/edge/uptime"
"""At the health port: whether a visitor of the public address is served."""

STACK_AUTHORITY, SYSTEM_AUTHORITIES = "/config/secrets/ca.crt", "/etc/ssl/certs/ca-certificates.crt"
MAINTENANCE_RETRY_SECONDS = 120
OVERLOAD_RETRY_SECONDS = 2
_PROBLEM_TYPE = "urn:problem:workflow-management:"


@dataclass(frozen=True)
class _EdgeError:
    """An answer of the edge itself, in the form of the API's: a problem document."""

    status: int
    kind: str
    title: str
    detail: str
    retry_seconds: int | None = None


_ERRORS = (
    _EdgeError(403, "forbidden", "Forbidden", "This method is not allowed here."),
    _EdgeError(404, "not-found", "Not Found", "There is nothing at this address."),
    _EdgeError(413, "too-large", "Content Too Large", "The body is larger than this service takes."),
    _EdgeError(429, "too-many-requests", "Too Many Requests", "Too much from one address.", OVERLOAD_RETRY_SECONDS),
    _EdgeError(502, "unavailable", "Bad Gateway", "The service does not answer now.", OVERLOAD_RETRY_SECONDS),
    _EdgeError(504, "unavailable", "Gateway Timeout", "The service did not answer in time.", OVERLOAD_RETRY_SECONDS),
)
_MAINTENANCE = _EdgeError(
    503,
    "maintenance",
    "Service Unavailable",
    "The service is being maintained; please come back later.",
    MAINTENANCE_RETRY_SECONDS,
)


def render(edge: Edge, *, api_port: int, api_prefix: str) -> str:
    """The whole file, for the folder that the image reads. The API is the service `api`, reached by verified TLS."""
    headers = _headers(edge.hsts_seconds)
    port = "" if edge.published_port == DEFAULT_HTTPS_PORT else f":{edge.published_port}"
    # nginx checks a certificate for a name only; where visitors know nothing but addresses, the visit goes unchecked.
    name = next((host for host in edge.hosts if not host.replace(".", "").isdigit()), None)
    values = {
        "ANSWER_SECONDS": edge.answer_seconds,
        "API_PORT": api_port,
        "BODY_LIMIT": edge.body_limit,
        "BURST": edge.limits.burst,
        "BUSINESS": _indented(_business(edge, api_prefix, headers), 8),
        "CONNECTIONS": edge.limits.connections,
        "ERRORS": _indented((line for error in _ERRORS for line in _error(error, headers)), 8),
        "HEADERS": _indented(headers, 8),
        "HOST": name or edge.hosts[0],
        "NAME_IS_CHECKED": "on" if name else "off",
        "HOSTS": " ".join(edge.hosts),
        "HTTPS_PORT": port,
        "PUBLIC_AUTHORITY": STACK_AUTHORITY if edge.certificate.source == "stack" else SYSTEM_AUTHORITIES,
        "UPTIME_PATH": UPTIME_PATH,
        "REQUESTS_PER_SECOND": edge.limits.requests_per_second,
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _headers(hsts_seconds: int) -> list[str]:
    """Said with every answer; nginx forgets them in a place that adds one of its own, which must repeat them."""
    return [
        f'add_header Strict-Transport-Security "max-age={hsts_seconds}; includeSubDomains" always;',
    ]


def _error(error: _EdgeError, headers: Sequence[str]) -> list[str]:
    return [f"error_page {error.status} @answer-{error.status};", *_answer(f"@answer-{error.status}", error, headers)]


def _answer(place: str, error: _EdgeError, headers: Sequence[str]) -> list[str]:
    document = {
        "type": _PROBLEM_TYPE + error.kind,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "correlation_id": "$correlation_id",
    }
    more = [f"add_header Retry-After {error.retry_seconds} always;"] if error.retry_seconds else []
    return [
        f"location {place} {{",
        "    default_type application/problem+json;",
        *(f"    {line}" for line in headers),
        *(f"    {line}" for line in more),
        "    add_header X-Correlation-ID $correlation_id always;",
        "    add_header X-Content-Type-Options nosniff always;",
        "    add_header Cache-Control no-store always;",
        f"    return {error.status} '{json.dumps(document)}';",
        "}",
    ]


def _business(edge: Edge, api_prefix: str, headers: Sequence[str]) -> list[str]:
    if edge.maintenance:
        return ["# Maintenance is on.", *_answer(f"{api_prefix}/", _MAINTENANCE, headers)]
    return [
        f"location {api_prefix}/ {{",
        "    proxy_pass https://api;",
        "}",
        "# Events are passed on as they come, for as long as they come.",
        f"location ~ ^{api_prefix}/(.+/)?events$ {{",
        "    proxy_pass https://api;",
        "    proxy_buffering off;",
        "    proxy_read_timeout 1h;",
        "}",
    ]


def _indented(lines: Iterable[str], spaces: int) -> str:
    return "\n".join(f"{' ' * spaces}{line}" for line in lines)

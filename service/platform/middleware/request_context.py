"""The outermost layer: correlation id, one log record and the metrics of each request."""

import logging
import time
from collections.abc import Iterable
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform import metrics
from service.platform.logging import bound_contextvars, get_logger
from service.platform.middleware import correlation
from service.platform.middleware.answer_start import before_start
from service.platform.request_headers import first_values

UNMATCHED = "unmatched"
"""The endpoint label of every path that no route has, so that a scanner cannot make up labels."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET_PATHS = frozenset({"/health", "/health/ready", "/metrics"})
_STREAM = b"text/event-stream"
_NAME = correlation.HEADER.lower().encode()
_LOGGER = "service.access"

log = get_logger(_LOGGER)
_threshold = logging.getLogger(_LOGGER)
"""Asked first: to make a record that nobody wants costs as much as all the rest of this layer."""


def route_template(scope: Scope) -> str:
    """The full template of the route that took the request, with all its routers' prefixes."""
    # FastAPI nests routers since 0.137: the route in the scope knows only its own part of the path.
    effective = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(effective, "path_format", None) or getattr(scope.get("route"), "path_format", None)
    return path if isinstance(path, str) else UNMATCHED


@lru_cache(maxsize=4096)
def _series(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
    # Looked up once: both names of an endpoint are of a bounded number, and finding a series costs more than counting.
    return metrics.HTTP_REQUESTS.labels(method, endpoint, str(status)), metrics.HTTP_LATENCY.labels(method, endpoint)


def _is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"content-type":
            return value.startswith(_STREAM)
    return False


class RequestContextMiddleware:
    """Names, measures and records each request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        chosen = correlation.choose(first_values(scope).get(_NAME, b"").decode("latin-1"))
        named = (_NAME, chosen.encode())
        started = time.perf_counter()
        status = 500
        waited: float | None = None

        def name_it(message: Message) -> None:
            nonlocal status, waited
            status = message["status"]
            # Nobody else sets this one.
            message["headers"].append(named)
            if _is_stream(message["headers"]):
                # It lasts as long as its reader likes; what he waited for is its beginning.
                waited = time.perf_counter() - started

        with bound_contextvars(correlation_id=chosen, user_id=None, workflow_id=None):
            metrics.HTTP_ACTIVE.inc()
            try:
                await self.app(scope, receive, before_start(scope, send, name_it))
            finally:
                metrics.HTTP_ACTIVE.dec()
                self._record(scope, status, time.perf_counter() - started, waited)

    def _record(self, scope: Scope, status: int, seconds: float, waited: float | None) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        endpoint = route_template(scope)
        answered, latency = _series(method, endpoint, status)
        answered.inc()
        latency.observe(seconds if waited is None else waited)
        level = logging.DEBUG if scope["path"] in _QUIET_PATHS and status < 400 else logging.INFO
        if not _threshold.isEnabledFor(level):
            return
        client = scope.get("client")
        # The path without its query, which may carry what does not belong into a log.
        log.log(
            level,
            "Request answered",
            method=method,
            path=scope["path"],
            endpoint=endpoint,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client=client[0] if client else None,
        )

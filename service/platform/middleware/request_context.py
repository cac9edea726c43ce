"""The outermost layer: correlation id, one log record and the metrics of each request."""

import time
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform import metrics
from service.platform.logging import bound_contextvars, get_logger
from service.platform.middleware import correlation

UNMATCHED = "unmatched"
"""The endpoint label of every path that no route has, so that a scanner cannot make up labels."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET_PATHS = frozenset({"/health", "/health/ready", "/metrics"})
_STREAM = b"text/event-stream"
_NAME = correlation.HEADER.lower().encode()

log = get_logger("service.access")


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


def _given(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _NAME:
            return bytes(value).decode("latin-1")
    return None


class RequestContextMiddleware:
    """Names, measures and records each request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        chosen = correlation.choose(_given(scope))
        named = chosen.encode()
        started = time.perf_counter()
        status = 500
        waited: float | None = None

        async def send_named(message: Message) -> None:
            nonlocal status, waited
            if message["type"] == "http.response.start":
                status = message["status"]
                # Nobody else sets this one.
                message["headers"] = [*message["headers"], (_NAME, named)]
                if any(name == b"content-type" and value.startswith(_STREAM) for name, value in message["headers"]):
                    # It lasts as long as its reader likes; what he waited for is its beginning.
                    waited = time.perf_counter() - started
            await send(message)

        with (
            bound_contextvars(correlation_id=chosen, user_id=None, workflow_id=None),
            metrics.HTTP_ACTIVE.track_inprogress(),
        ):
            try:
                await self.app(scope, receive, send_named)
            finally:
                self._record(scope, status, time.perf_counter() - started, waited)

    def _record(self, scope: Scope, status: int, seconds: float, waited: float | None) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        endpoint = route_template(scope)
        answered, latency = _series(method, endpoint, status)
        answered.inc()
        latency.observe(seconds if waited is None else waited)
        client = scope.get("client")
        # The path without its query, which may carry what does not belong into a log.
        write = log.debug if scope["path"] in _QUIET_PATHS and status < 400 else log.info
        write(
            "Request answered",
            method=method,
            path=scope["path"],
            endpoint=endpoint,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            client=client[0] if client else None,
        )

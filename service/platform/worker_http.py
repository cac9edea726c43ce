"""The small HTTP server of relay and executor: ``/health`` and ``/metrics`` and nothing else; HTTPS by TLS_CERT_FILE.

It reads only a request's first line and headers, both limited in size and time, and closes after each answer.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service.platform import metrics
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.tls import server_context

REQUEST_SECONDS = 5.0
_REQUEST_BYTES = 16 * 1024
_CONNECTIONS = 32
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

log = get_logger(__name__)

Problems = Callable[[], dict[str, str]]
"""Names what is wrong with a process and why; nothing wrong is an empty dict."""


def _answer(method: str, path: str, settings: Settings, problems: Problems) -> tuple[int, str, bytes]:
    if method not in ("GET", "HEAD"):
        return 405, "text/plain; charset=utf-8", b"only GET\n"
    if path == "/health":
        found = problems()
        body: dict[str, object] = {
            "status": "unhealthy" if found else "healthy",
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if found:
            body["problems"] = found
        return (503 if found else 200), "application/json", json.dumps(body).encode()
    if path == "/metrics" and settings.enable_metrics:
        return 200, metrics.CONTENT_TYPE, metrics.render()
    return 404, "text/plain; charset=utf-8", b"not found\n"


@asynccontextmanager
async def serve_health(settings: Settings, problems: Problems, *, port: int | None = None) -> AsyncIterator[int]:
    """Serve while the block runs and yield the port; ``port=0`` takes a free one, None takes WORKER_HTTP_PORT."""
    slots = asyncio.Semaphore(_CONNECTIONS)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with slots, asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                parts = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
                if len(parts) == 3:
                    status, kind, body = _answer(parts[0], parts[1].partition("?")[0], settings, problems)
                else:
                    status, kind, body = 400, "text/plain; charset=utf-8", b"not an HTTP request\n"
                writer.write(
                    f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
                    "Connection: close\r\nX-Content-Type-Options: nosniff\r\n\r\n".encode("latin-1")
                )
                if parts[0] != "HEAD":
                    writer.write(body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("A health request was not finished")
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    context = server_context(settings)
    server = await asyncio.start_server(
        talk,
        settings.api_host,
        settings.worker_http_port if port is None else port,
        limit=_REQUEST_BYTES,
        ssl=context,
        ssl_handshake_timeout=REQUEST_SECONDS if context else None,
        ssl_shutdown_timeout=1.0 if context else None,
    )
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REQUEST_SECONDS + 1):
                await server.wait_closed()

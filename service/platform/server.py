"""Serves the API with uvicorn, in one process or several."""

import asyncio
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
import uvloop

from service.platform.drain import DrainingApp
from service.platform.garbage import keep_what_is_loaded
from service.platform.settings import Settings
from service.platform.tls import reloading_context, server_context

KEEP_ALIVE_SECONDS = 75
"""Longer than a proxy keeps an idle connection, so that the proxy is the one that closes it."""


TLS_GOODBYE_SECONDS = 1.0
"""How long a client may take to say goodbye when an idle connection is closed; by default it could hold a stop up."""


class Loop(uvloop.Loop):
    """uvicorn has no setting for the time of TLS' goodbye, so the loop gives it to every server that it makes."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.AbstractServer:  # type: ignore[override]
        """As the loop's own."""
        if options.get("ssl") is not None:
            options.setdefault("ssl_shutdown_timeout", TLS_GOODBYE_SECONDS)
        return await super().create_server(*arguments, **options)


def _end_well(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def create_app() -> DrainingApp:
    """The application as each process serves it."""
    from service import app

    made = app.create_app()
    keep_what_is_loaded()
    return DrainingApp(made, leaving=lambda: made.state.service.streams.end_all())


def _ssl_context(config: uvicorn.Config, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    return reloading_context(Path(str(config.ssl_certfile)), Path(str(config.ssl_keyfile)))


def run(settings: Settings) -> int:
    """Serve until a signal stops it; requests under way get GRACEFUL_SHUTDOWN_SECONDS. Returns the exit code.

    It is HTTPS where TLS_CERT_FILE is set. Raises InvalidSettingsError when the certificate cannot be used.
    """
    encrypted = server_context(settings) is not None
    # After its orderly stop uvicorn raises the signal once more, for whoever handled it before; by default that would
    # make an orderly stop look like a kill.
    signal.signal(signal.SIGTERM, _end_well)
    try:
        uvicorn.run(
            "service.platform.server:create_app",
            factory=True,
            host=settings.api_host,
            port=settings.api_port,
            workers=settings.api_workers,
            reload=settings.api_reload,
            loop="service.platform.server:Loop",
            http="httptools",
            ws="none",
            lifespan="on",
            # The application sets logging up in each process, and writes the access records itself.
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.graceful_shutdown_seconds,
            forwarded_allow_ips=list(settings.forwarded_allow_ips),
            ssl_certfile=settings.tls_cert_file,
            ssl_keyfile=settings.tls_key_file,
            ssl_context_factory=_ssl_context if encrypted else None,
        )
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0

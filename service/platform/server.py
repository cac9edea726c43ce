"""Serves the API with uvicorn, in one process or several."""

import signal
import sys
from types import FrameType

import uvicorn

from service.platform.settings import Settings

KEEP_ALIVE_SECONDS = 75
"""Longer than a proxy keeps an idle connection, so that the proxy is the one that closes it."""


def _end_well(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def run(settings: Settings) -> int:
    """Serve until a signal stops it; requests under way get GRACEFUL_SHUTDOWN_SECONDS. Returns the exit code."""
    # After its orderly stop uvicorn raises the signal once more, for whoever handled it before; by default that would
    # make an orderly stop look like a kill.
    signal.signal(signal.SIGTERM, _end_well)
    try:
        uvicorn.run(
            "service.app:create_app",
            factory=True,
            host=settings.api_host,
            port=settings.api_port,
            workers=settings.api_workers,
            reload=settings.api_reload,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            # The application sets logging up in each process, and writes the access records itself.
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.graceful_shutdown_seconds,
        )
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0

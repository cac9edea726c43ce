"""Serves the API with uvicorn, in one process or several."""

import uvicorn

from service.platform.logging import configure_logging
from service.platform.settings import Settings

KEEP_ALIVE_SECONDS = 75
"""Longer than a proxy keeps an idle connection, so that the proxy is the one that closes it."""


def run(settings: Settings) -> int:
    """Serve until a signal stops it; requests under way get GRACEFUL_SHUTDOWN_SECONDS. Returns the exit code."""
    configure_logging(settings)
    config = uvicorn.Config(
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
        date_header=True,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.graceful_shutdown_seconds,
    )
    server = uvicorn.Server(config)
    if config.should_reload:
        from uvicorn.supervisors import ChangeReload

        ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        return 0
    if config.workers > 1:
        from uvicorn.supervisors import Multiprocess

        Multiprocess(config, target=server.run, sockets=[config.bind_socket()]).run()
        return 0
    server.run()
    return 0 if server.started else 3

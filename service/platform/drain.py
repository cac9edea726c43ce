"""Leaves without a failed request: what to do between the signal to stop and the end of listening."""

import asyncio
import signal
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform.logging import get_logger
from service.platform.middleware.answer_start import before_start

DRAIN_SECONDS = 3.0
"""Longer than the edge keeps an idle connection to the API, so that no request meets a connection that is closing."""

log = get_logger(__name__)


class DrainingApp:
    """Around the whole application: on SIGTERM it serves on for ``seconds`` and closes each connection it answers on.

    A client learns from ``Connection: close`` to open its next connection, which by then goes to another instance;
    only after that is the server told to stop listening and to finish what is under way.
    """

    def __init__(
        self, app: ASGIApp, seconds: float = DRAIN_SECONDS, *, leaving: Callable[[], None] | None = None
    ) -> None:
        """``leaving`` ends what would never end by itself; it is called with the signal."""
        self.app = app
        self.seconds = seconds
        self.leaving = leaving
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._watching_for_the_start(send))
            return

        await self.app(scope, receive, before_start(scope, send, self._close_where_leaving))

    def _close_where_leaving(self, message: Message) -> None:
        if self.draining:
            others = [header for header in message["headers"] if header[0] != b"connection"]
            message["headers"] = [*others, (b"connection", b"close")]

    def _watching_for_the_start(self, send: Send) -> Send:
        async def watched(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._take_the_signal()
            await send(message)

        return watched

    def _take_the_signal(self) -> None:
        """Stand before the server's own handler, which stops listening at once."""
        stop = signal.getsignal(signal.SIGTERM)
        if not callable(stop):
            return
        loop = asyncio.get_running_loop()

        def drain() -> None:
            if self.draining:
                return
            self.draining = True
            log.info("Asked to stop: answering on for a moment", seconds=self.seconds)
            if self.leaving is not None:
                self.leaving()
            loop.call_later(self.seconds, stop, signal.SIGTERM, None)

        loop.add_signal_handler(signal.SIGTERM, drain)

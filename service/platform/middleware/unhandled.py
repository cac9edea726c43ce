"""Answers what nothing else caught: a problem document for the caller, the traceback for the log."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform.logging import get_logger
from service.platform.middleware.answer_start import before_start
from service.platform.problems import problem_response

log = get_logger(__name__)


class UnhandledErrorMiddleware:
    """Turns an unexpected exception into a 500 that tells nothing internal."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        def note(_message: Message) -> None:
            nonlocal begun
            begun = True

        send = before_start(scope, send, note)
        try:
            await self.app(scope, receive, send)
        except Exception:
            log.exception("A request failed unexpectedly", path=scope["path"])
            if begun:
                raise
            response = problem_response(
                500, "internal", "Something went wrong inside the service; it was recorded under the correlation id."
            )
            await response(scope, receive, send)

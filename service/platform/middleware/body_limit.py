"""Refuses bodies that are larger than any request of this API needs."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform.problems import ProblemError, problem_response
from service.platform.request_headers import first_values

MAXIMUM_BYTES = 1024 * 1024

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})
"""No handler of these reads one."""


def _too_large(maximum: int) -> ProblemError:
    return ProblemError(413, "too-large", f"The body may have {maximum} bytes at most.")


class BodyLimitMiddleware:
    """Answers 413 by the announced length, and while reading where the length was not announced or was a lie."""

    def __init__(self, app: ASGIApp, maximum: int = MAXIMUM_BYTES) -> None:
        self.app = app
        self.maximum = maximum

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = first_values(scope).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.maximum:
            error = _too_large(self.maximum)
            await problem_response(error.status_code, error.kind, error.text)(scope, receive, send)
            return
        if scope["method"] in _WITHOUT_BODY:
            await self.app(scope, receive, send)
            return
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.maximum:
                raise _too_large(self.maximum)
            return message

        await self.app(scope, receive_counted, send)

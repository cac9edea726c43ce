"""Answers browsers that ask from pages of other origins (CORS); other requests only learn that it might differ."""

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Message, Receive, Scope, Send

from service.platform.middleware.answer_start import before_start
from service.platform.request_headers import first_values

_VARIES = (b"vary", b"Origin")


class CrossOriginMiddleware(CORSMiddleware):
    """Starlette's layer, entered only by requests that name an origin: to all others it answers with one same field."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or b"origin" in first_values(scope):
            await super().__call__(scope, receive, send)
            return
        await self.app(scope, receive, before_start(scope, send, _vary))


def _vary(message: Message) -> None:
    if b"vary" not in dict(message["headers"]):
        message["headers"].append(_VARIES)
        return
    headers = MutableHeaders(scope=message)
    headers["Vary"] = ", ".join([*headers.getlist("Vary"), "Origin"])

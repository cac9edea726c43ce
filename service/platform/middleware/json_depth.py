"""Refuses bodies that nest deeper than anything that this API takes, before they are parsed."""

import re
from itertools import accumulate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform.problems import FieldProblem, ProblemError

MAXIMUM_DEPTH = 64

_OPENING, _CLOSING = b"[{", b"]}"
_OTHERS = bytes(set(range(256)) - set(_OPENING + _CLOSING))
_STEPS = [(byte in _OPENING) - (byte in _CLOSING) for byte in range(256)]
# Never fails once it has begun: what does not end is a string until the end. So it takes time in proportion only.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)


def is_deeper(body: bytes, maximum: int) -> bool:
    """Whether arrays and objects are nested more than ``maximum`` times, up to where the body is no JSON."""
    if sum(body.count(byte) for byte in _OPENING) <= maximum:
        return False
    brackets = _STRING.sub(b"", body).translate(None, _OTHERS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > maximum


class JsonDepthMiddleware:
    """Answers 422 to a body that is too deep: parsers and what walks through values recurse, and run out of stack."""

    def __init__(self, app: ASGIApp, maximum: int = MAXIMUM_DEPTH) -> None:
        self.app = app
        self.maximum = maximum

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        pieces: list[bytes] = []

        async def receive_checked() -> Message:
            message = await receive()
            if message["type"] != "http.request":
                return message
            pieces.append(message.get("body", b""))
            if not message.get("more_body", False) and is_deeper(b"".join(pieces), self.maximum):
                limit = FieldProblem(field="body", message=f"may nest arrays and objects {self.maximum} times at most")
                raise ProblemError(422, "too-deep", "The body is nested too deeply.", errors=[limit])
            return message

        await self.app(scope, receive_checked, send)

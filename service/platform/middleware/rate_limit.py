"""So many requests an address may send in a window of time, counted in this process."""

from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform import rate_headers
from service.platform.middleware.answer_start import before_start
from service.platform.problems import ProblemError, problem_response
from service.platform.sliding_window import SlidingWindow

EXEMPT = frozenset({"/health", "/health/ready", "/metrics"})

_NETWORK_BITS = 64


class RateLimitMiddleware:
    """Answers 429 with Retry-After to an address that sends more than ``requests`` in ``window`` seconds.

    Behind a proxy the address is the one that uvicorn takes from X-Forwarded-For of a trusted proxy. Zero requests
    switch the limit off. Every answer tells where the client stands, also with limits that are counted further in.
    """

    def __init__(self, app: ASGIApp, requests: int, window: int) -> None:
        self.app = app
        self.addresses = SlidingWindow("address", requests, window) if requests > 0 else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or self.addresses is None or scope["path"] in EXEMPT:
            await self.app(scope, receive, send)
            return

        def tell(message: Message) -> None:
            message["headers"] += rate_headers.fields(rate_headers.standings(scope))

        send = before_start(scope, send, tell)
        try:
            address = scope["client"][0] if scope.get("client") else ""
            rate_headers.count(scope, self.addresses, network_of(address))
        except ProblemError as error:
            response = problem_response(error.status_code, error.kind, error.text, headers=error.headers)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)


def network_of(address: str) -> str:
    """Who is behind an address: with IPv6 everybody has a whole network of them, so it is that."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> _NETWORK_BITS << _NETWORK_BITS)}/{_NETWORK_BITS}"

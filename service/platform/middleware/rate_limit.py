"""So many requests a client may send in a window of time, counted in this process."""

import math
import time

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Receive, Scope, Send

from service.platform import metrics
from service.platform.logging import get_logger
from service.platform.problems import problem_response

_EXEMPT = ("/health", "/metrics")

log = get_logger(__name__)


class RateLimitMiddleware:
    """Answers 429 with Retry-After (seconds) to a client that sends more than ``requests`` in ``window`` seconds.

    A client is an address: behind a proxy, the one that uvicorn takes from X-Forwarded-For of a trusted proxy. Zero
    requests switch the limit off. Refused requests do not count against the client.
    """

    def __init__(self, app: ASGIApp, requests: int, window: int) -> None:
        self.app = app
        self.enabled = requests > 0
        self.item = RateLimitItemPerSecond(max(requests, 1), window)
        self.limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or not self.enabled or scope["path"].startswith(_EXEMPT):
            await self.app(scope, receive, send)
            return
        address = scope["client"][0] if scope.get("client") else "unknown"
        if await self.limiter.hit(self.item, address):
            await self.app(scope, receive, send)
            return
        free_at, _ = await self.limiter.get_window_stats(self.item, address)
        seconds = min(max(1, math.ceil(free_at - time.time())), self.item.get_expiry())
        metrics.RATE_LIMITED.inc()
        log.warning("Too many requests from a client", client=address, retry_after=seconds)
        response = problem_response(
            429,
            "too-many-requests",
            f"At most {self.item.amount} requests in {self.item.get_expiry()} seconds are answered.",
            headers={"Retry-After": str(seconds)},
        )
        await response(scope, receive, send)

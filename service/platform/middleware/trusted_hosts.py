"""Refuses requests whose Host header is not one of ours."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from service.platform.problems import problem_response
from service.platform.request_headers import first_values

_PROBES = ("/health", "/metrics")
"""Probes and scrapes address a container by whatever name or number it has just now."""


class TrustedHostsMiddleware:
    """``hosts`` are exact names or ``*.suffix``; ``*`` allows every one."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self.any = "*" in hosts
        self.names = frozenset(host.lower() for host in hosts)
        self.suffixes = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or self.any or scope["path"].startswith(_PROBES) or self._trusted(scope):
            await self.app(scope, receive, send)
            return
        response = problem_response(400, "unknown-host", "The Host header names a host that this service is not.")
        await response(scope, receive, send)

    def _trusted(self, scope: Scope) -> bool:
        given = first_values(scope).get(b"host", b"").decode("latin-1").lower()
        name = given.partition("]")[0] + "]" if given.startswith("[") else given.partition(":")[0]
        return name in self.names or (bool(self.suffixes) and name.endswith(self.suffixes))

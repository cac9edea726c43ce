"""What a page of the console declares, and the check: the API's own, with the session instead of a header.

Whatever changes something must come from a page of ours. Browsers say by themselves where a request comes from
(Sec-Fetch-Site, Origin) and no page can have them say something else, so what they do not say is refused.
"""

from typing import Any
from urllib.parse import urlsplit

from fastapi import Depends, Request

from service.auth.access import Access
from service.auth.principal import ANONYMOUS, Principal
from service.auth.scopes import SCOPES, Scope
from service.auth.tokens import InvalidTokenError
from service.console.session import token_of
from service.platform import metrics
from service.platform.logging import get_logger
from service.platform.problems import ProblemError
from service.state import ServiceState

_READING = frozenset({"GET", "HEAD"})

log = get_logger(__name__)


class NoSessionError(ProblemError):
    """The browser has no session, or one that has ended; the way on is the log-in page."""

    def __init__(self) -> None:
        super().__init__(401, "unauthenticated", "Log in first.")


class ConsoleAccess(Access):
    """The check of a page, called for each request."""

    async def __call__(self, request: Request) -> None:
        """Let the request pass, with its caller noted, or raise the problem to answer with."""
        if request.method not in _READING and not _is_from_here(request):
            log.warning("Refused because another site's page sent it")
            raise ProblemError(403, "cross-site", "This was not sent by a page of the console.")
        await super().__call__(request)

    async def caller(self, request: Request, state: ServiceState) -> Principal:
        """Who the session belongs to."""
        principal = ANONYMOUS
        if state.settings.authentication_enabled:
            token = token_of(request)
            if token is None:
                raise NoSessionError
            try:
                principal = state.tokens.read(token)
            except InvalidTokenError as error:
                metrics.AUTH_FAILURES.labels(error.reason).inc()
                log.info("A session has ended", reason=error.reason)
                raise NoSessionError from None
        request.state.visitor = principal
        return principal


def _is_from_here(request: Request) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    # Browsers leave it out where the console is not reached by HTTPS.
    origin = urlsplit(request.headers.get("Origin", ""))
    return bool(origin.netloc) and origin.netloc == request.headers.get("Host")


def guarded(scope: Scope, *, audit: str | None = None) -> Any:
    """A page's entry in ``dependencies``: only who may do what the scope allows; ``audit`` as for ``requires``."""
    return Depends(ConsoleAccess(SCOPES[scope].role, scope, audit))


def everybody(*, audit: str | None = None) -> Any:
    """A page's entry in ``dependencies``: also who has no session."""
    return Depends(ConsoleAccess(None, None, audit))

"""Deny by default: a route exists only with a declaration of who may call it, what it changes and how it refuses."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

from fastapi import APIRouter, Depends, Request

from service.auth import activity
from service.auth.authenticate import authenticate
from service.auth.principal import ANONYMOUS, Principal
from service.auth.roles import Role
from service.auth.scopes import SCOPES, Scope
from service.platform import rate_headers
from service.platform.logging import bind_contextvars, get_logger
from service.platform.patient_route import PatientRoute
from service.platform.problems import GUARDED_STATUSES, ProblemError, documented_one
from service.state import ServiceState

CHANGES_NOTHING = "nothing"
"""What a route declares as ``audit`` that changes nothing, though its method sounds like it."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_ACTION = re.compile(r"[a-z][a-z_]*\.[a-z][a-z_]*")

log = get_logger(__name__)


class Access:
    """What a route declares: the role that its callers must have (None lets everybody in), the scope that a narrowed
    key must have, and the action that its change is audited as. Called for each request, it is the check.

    It is written among a route's ``dependencies``, but asked before anything of the request is read: who may not ask
    learns nothing about what he asked, and the body of a stranger is not parsed.
    """

    def __init__(self, role: Role | None, scope: Scope | None, audit: str | None) -> None:
        self.role = role
        self.scope = scope
        self.audit = audit

    async def __call__(self, request: Request) -> None:
        """Let the request pass, with its caller noted, or raise the problem to answer with."""
        # What is read as ``request.state``.
        noted = request.scope.setdefault("state", {})
        noted["audit"] = self.audit
        if self.role is None:
            noted["principal"] = ANONYMOUS
            return
        state = cast(ServiceState, request.app.state.service)
        principal = noted["principal"] = await self.caller(request, state)
        bind_contextvars(user_id=principal.subject)
        activity.note(principal.subject)
        if state.callers is not None and principal is not ANONYMOUS:
            rate_headers.count(request.scope, state.callers, principal.subject)
        if not principal.role.includes(self.role):
            log.warning("Refused for want of a role", role=principal.role, needed=self.role)
            raise ProblemError(
                403, "forbidden", f"This needs the role {self.role.value}; you have {principal.role.value}."
            )
        if self.scope is None or not principal.may(self.scope):
            log.warning("Refused for want of a scope", needed=self.scope)
            raise ProblemError(
                403, "out-of-scope", f"This needs the scope {self.scope}; your key is narrowed to others."
            )

    async def caller(self, request: Request, state: ServiceState) -> Principal:
        """Who sent the request, by what it carries; raises the problem to answer with where that proves nothing."""
        return await authenticate(request, state)


def requires(role: Role, scope: Scope | None = None, *, audit: str | None = None) -> Any:
    """A route's entry in ``dependencies``: only callers with this role, or more, pass, and keys with this scope.

    ``audit`` is for methods that change something: the action of the one audit entry, like ``workflow.create``, or
    CHANGES_NOTHING.
    """
    return Depends(Access(role, scope, audit))


def public(*, audit: str | None = None) -> Any:
    """A route's entry in ``dependencies``: everybody passes; ``audit`` as for ``requires``."""
    return Depends(Access(None, None, audit))


PUBLIC: Any = public()
"""Everybody passes, and nothing is changed."""


class GuardedRoute(PatientRoute):
    """A route that handles the requests which its declaration lets pass."""

    access: Access

    async def before(self, request: Request) -> None:
        """Ask the declaration."""
        await self.access(request)


class GuardedRouter(APIRouter):
    """A router that takes only routes that declare themselves; they outlast a change of the database's primary.

    Each declares in ``dependencies`` one role with its scope, or PUBLIC, with the audited action where its method
    changes something, and in ``responses`` the problems that it answers. What cannot declare that (mounts, websockets)
    is not taken.
    """

    def __init__(self, *, route_class: type[GuardedRoute] = GuardedRoute, **options: Any) -> None:
        super().__init__(route_class=route_class, **options)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a route. Raises TypeError, which says what it does not declare."""
        marks = list(options.pop("dependencies", None) or ())
        checks = [mark.dependency for mark in marks if isinstance(mark.dependency, Access)]
        others = [mark for mark in marks if not isinstance(mark.dependency, Access)]
        methods = sorted(options.get("methods") or {"GET"})
        missing = list(_missing(checks, methods, options.get("responses")))
        if missing:
            raise TypeError(f"the route {' '.join(methods)} {self.prefix}{path} must declare {'; '.join(missing)}")
        access = checks[0]
        extra = {**(options.pop("openapi_extra", None) or {}), "security": []}
        if access.role and access.scope:
            # The two ways to prove who one is. For schemes like these the list names what the caller must have.
            extra["security"] = [{"bearer": []}, {"apiKey": [access.scope.value]}]
            extra["x-required-role"] = access.role.value
        if access.audit and access.audit != CHANGES_NOTHING:
            extra["x-audit-action"] = access.audit
        if not _READING.issuperset(methods):
            # Every body can be too large.
            options["responses"] = {**options["responses"], 413: documented_one(413)}
        super().add_api_route(path, endpoint, openapi_extra=extra, dependencies=others, **options)
        cast(GuardedRoute, self.routes[-1]).access = access

    def include_router(self, router: APIRouter, **options: Any) -> None:
        """Take the routes of another guarded router. Raises TypeError for one that is not."""
        if not isinstance(router, GuardedRouter):
            raise TypeError("a guarded router takes the routes of guarded routers only")
        super().include_router(router, **options)

    def _unguarded(self, *given: Any, **_options: Any) -> NoReturn:
        raise TypeError(f"{given}: only routes of get, post, put, patch and delete can declare who may call them")

    # Starlette's own ways to add something know no dependencies, and nobody checks who opens a websocket.
    add_route = add_websocket_route = add_api_websocket_route = mount = host = _unguarded


def _missing(checks: list[Access], methods: list[str], responses: dict[int | str, Any] | None) -> Iterator[str]:
    """What a declaration lacks, in words that say what would be right."""
    if len(checks) != 1:
        yield "one role, or PUBLIC, in its dependencies"
    for access in checks[:1]:
        yield from _missing_scope(access)
        reading = _READING.issuperset(methods)
        if reading and access.audit is not None:
            yield "no audit action, because its method only reads"
        if not reading and access.audit is None:
            yield "the audit action of its change, like audit='workflow.create', or audit=CHANGES_NOTHING"
        if not reading and access.audit not in (None, CHANGES_NOTHING) and not _ACTION.fullmatch(str(access.audit)):
            yield f"an audit action that reads like workflow.create, not {access.audit!r}"
        if responses is None:
            yield "its problems, by responses=documented(...), or NO_PROBLEMS"
        elif access.role and not responses.keys() >= set(GUARDED_STATUSES):
            lacking = ", ".join(str(status) for status in GUARDED_STATUSES if status not in responses)
            yield f"the problems {lacking}, by responses=documented(...)"


def _missing_scope(access: Access) -> Iterator[str]:
    if access.role is None:
        return
    if access.scope is None:
        yield "the scope that a narrowed key needs, one of service/auth/scopes.py"
    elif SCOPES[access.scope].role is not access.role:
        yield f"the role {SCOPES[access.scope].role}, which its scope {access.scope} has in service/auth/scopes.py"

"""Deny by default: a route exists only with a declared role, or as explicitly public."""

from collections.abc import Callable
from typing import Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.params import Depends as DependsMark

from service.auth import activity
from service.auth.keys import find_key
from service.auth.principal import ANONYMOUS, Principal
from service.auth.roles import Role
from service.auth.tokens import InvalidTokenError, read_token
from service.platform import metrics
from service.platform.database import autocommit
from service.platform.logging import bind_contextvars, get_logger
from service.platform.patient_route import PatientRoute
from service.platform.problems import ProblemError
from service.state import ServiceState

SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
"""The two ways to prove who one is, as the OpenAPI document names them."""

log = get_logger(__name__)


class Access:
    """The check in front of a route: the caller must be known and have the role; None lets everybody in."""

    def __init__(self, role: Role | None) -> None:
        self.role = role

    async def __call__(self, request: Request) -> None:
        """Let the request pass, with its caller noted, or raise the problem to answer with."""
        if self.role is None:
            request.state.principal = ANONYMOUS
            return
        principal = await authenticate(request)
        request.state.principal = principal
        bind_contextvars(user_id=principal.subject)
        activity.note(principal.subject)
        if not principal.role.includes(self.role):
            log.warning("Refused for want of a role", role=principal.role, needed=self.role)
            raise ProblemError(
                403, "forbidden", f"This needs the role {self.role.value}; you have {principal.role.value}."
            )


def requires(role: Role) -> Any:
    """A route's entry in ``dependencies``: only callers with this role, or more, pass."""
    return Depends(Access(role))


PUBLIC: Any = Depends(Access(None))
"""A route's entry in ``dependencies``: everybody passes."""


class GuardedRouter(APIRouter):
    """A router that takes only routes that say who may call them; they outlast a change of the database's primary."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=PatientRoute, **options)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a route. Raises TypeError when its dependencies name neither a role nor PUBLIC."""
        found = [mark for mark in options.get("dependencies") or () if isinstance(mark, DependsMark)]
        checks = [mark.dependency for mark in found if isinstance(mark.dependency, Access)]
        if len(checks) != 1:
            raise TypeError(f"the route {path} must declare one role, or PUBLIC, in its dependencies")
        role = checks[0].role
        extra = {**(options.pop("openapi_extra", None) or {}), "security": SECURITY if role else []}
        if role:
            extra["x-required-role"] = role.value
        super().add_api_route(path, endpoint, openapi_extra=extra, **options)


def _refused(reason: str, detail: str) -> ProblemError:
    metrics.AUTH_FAILURES.labels(reason).inc()
    log.warning("Authentication refused", reason=reason)
    return ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


async def authenticate(request: Request) -> Principal:
    """The request's caller, by bearer token or API key. Raises a 401 problem."""
    state = cast(ServiceState, request.app.state.service)
    if not state.settings.authentication_enabled:
        return ANONYMOUS
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        try:
            return read_token(state.settings, token.strip())
        except InvalidTokenError as error:
            detail = "The token has expired." if error.reason == "expired_token" else "The token is not valid."
            raise _refused(error.reason, detail) from None
    key = request.headers.get(state.settings.api_key_header)
    if not key:
        raise _refused("no_credentials", f"Send a bearer token, or a key in {state.settings.api_key_header}.")
    async with autocommit(state.engine) as connection:
        row = await find_key(connection, key)
    if row is None:
        raise _refused("bad_key", "The API key is not valid.")
    return Principal(f"key:{row.id}", Role(row.role), "api_key", user_id=row.user_id, expires_at=row.expires_at)

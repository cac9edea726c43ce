"""Who sent a request: by bearer token or API key."""

from fastapi import Request

from service.auth.keys import find_key
from service.auth.principal import ANONYMOUS, Principal
from service.auth.roles import Role
from service.auth.scopes import ALWAYS
from service.auth.tokens import InvalidTokenError
from service.platform import metrics
from service.platform.database import autocommit
from service.platform.logging import get_logger
from service.platform.problems import ProblemError
from service.platform.request_headers import first_values
from service.state import ServiceState

log = get_logger(__name__)


def _refused(reason: str, detail: str) -> ProblemError:
    metrics.AUTH_FAILURES.labels(reason).inc()
    log.warning("Authentication refused", reason=reason)
    return ProblemError(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


async def authenticate(request: Request, state: ServiceState) -> Principal:
    """The request's caller, by bearer token or API key. Raises a 401 problem."""
    if not state.settings.authentication_enabled:
        return ANONYMOUS
    given = first_values(request.scope)
    scheme, _, token = given.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer":
        try:
            return state.tokens.read(token.strip())
        except InvalidTokenError as error:
            detail = "The token has expired." if error.reason == "expired_token" else "The token is not valid."
            raise _refused(error.reason, detail) from None
    key = given.get(state.settings.api_key_header.lower().encode("latin-1"), b"").decode("latin-1")
    if not key:
        raise _refused("no_credentials", f"Send a bearer token, or a key in {state.settings.api_key_header}.")
    found = await state.keys.find(key, lambda: _look_up(state, key))
    if found is None:
        raise _refused("bad_key", "The API key is not valid.")
    return found


async def _look_up(state: ServiceState, key: str) -> Principal | None:
    async with autocommit(state.engine) as connection:
        row = await find_key(connection, key)
    if row is None:
        return None
    # A key can never do more than the one who made it, also when that one's role was taken down since.
    role = Role(row.role).at_most(Role(row.owner_role)) if row.owner_role else Role(row.role)
    scopes = None if row.scopes is None else frozenset(row.scopes) | ALWAYS
    return Principal(f"key:{row.id}", role, "api_key", user_id=row.user_id, expires_at=row.expires_at, scopes=scopes)

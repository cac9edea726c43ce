"""Log-in, credential check and API keys."""

from uuid import UUID

from fastapi import Request, Response
from sqlalchemy import select

from service.audit.change import API_KEY, change, locked
from service.audit.record import Actor, record
from service.auth import keys
from service.auth.access import CHANGES_NOTHING, GuardedRouter, public, requires
from service.auth.new_keys import refuse_more_than_own
from service.auth.principal import Caller, Principal, address_of
from service.auth.roles import Role
from service.auth.schemas import CallerAnswer, KeyAnswer, KeyRequest, LoginRequest, NewKeyAnswer, TokenAnswer
from service.auth.scopes import Scope
from service.auth.tokens import issue_token
from service.platform import metrics
from service.platform.database import autocommit, transaction
from service.platform.logging import get_logger
from service.platform.paging import Page, Paging
from service.platform.problems import ProblemError, documented, not_found
from service.platform.tables import api_keys, users
from service.state import State

router = GuardedRouter(prefix="/auth", tags=["auth"])
log = get_logger(__name__)


@router.post("/login", dependencies=[public(audit="auth.login")], responses=documented(409))
async def login(body: LoginRequest, request: Request, state: State) -> TokenAnswer:
    """Exchange a user's name and password for a bearer token. Who is refused often has to wait."""
    if not state.settings.authentication_enabled:
        raise ProblemError(409, "authentication-off", "Authentication is off here: no token is needed.")
    with state.logins.attempt(body.username, address_of(request)) as attempt:
        async with autocommit(state.engine) as connection:
            query = select(users.c.id, users.c.password_hash, users.c.role).where(users.c.username == body.username)
            user = (await connection.execute(query)).one_or_none()
        # The connection is given back before the slow hash, so that log-ins cannot use up the pool.
        fits = await state.passwords.verify(body.password.get_secret_value(), user.password_hash if user else None)
        attempt.refused = not fits
    if user is None or not fits:
        metrics.AUTH_FAILURES.labels("bad_password").inc()
        log.warning("Log-in refused", user_id=str(user.id) if user else None)
        raise ProblemError(401, "bad-login", "Name or password is wrong.", headers={"WWW-Authenticate": "Bearer"})
    principal = Principal(str(user.id), Role(user.role), "user", user_id=user.id)
    async with transaction(state.engine) as connection:
        await record(connection, Actor.of(request, principal), "auth.login", "user", user.id)
    log.info("Log-in", user_id=principal.subject)
    token = issue_token(state.settings, user.id, principal.role)
    return TokenAnswer(access_token=token, expires_in=state.settings.jwt_expiration_minutes * 60)


@router.post(
    "/test", dependencies=[requires(Role.VIEWER, Scope.SELF_READ, audit=CHANGES_NOTHING)], responses=documented()
)
async def check_credentials(caller: Caller) -> CallerAnswer:
    """Tell who the presented token or key belongs to."""
    scopes = None if caller.scopes is None else sorted(caller.scopes)
    return CallerAnswer(
        subject=caller.subject, kind=caller.kind, role=caller.role, scopes=scopes, expires_at=caller.expires_at
    )


@router.post(
    "/keys",
    status_code=201,
    dependencies=[requires(Role.ADMIN, Scope.KEYS_MANAGE, audit="api_key.create")],
    responses=documented(),
)
async def create_key(body: KeyRequest, request: Request, caller: Caller, state: State) -> NewKeyAnswer:
    """Create an API key. The answer is the only place where the key can be read; it cannot do more than its maker."""
    refuse_more_than_own(caller, body)
    async with transaction(state.engine) as connection:
        key, row = await keys.create_key(
            connection,
            name=body.name,
            role=body.role,
            scopes=body.scopes,
            user_id=caller.user_id,
            expires_at=body.expires_at,
        )
        detail = change(API_KEY, after=row)
        await record(connection, Actor.of(request, caller), "api_key.create", "api_key", row.id, detail)
    return NewKeyAnswer(key=key, **KeyAnswer.model_validate(row).model_dump())


@router.get("/keys", dependencies=[requires(Role.ADMIN, Scope.KEYS_MANAGE)], responses=documented())
async def list_keys(paging: Paging, state: State) -> Page[KeyAnswer]:
    """List the API keys, newest first; the keys themselves are not stored."""
    async with autocommit(state.engine) as connection:
        rows, total = await keys.list_keys(connection, limit=paging.size, offset=paging.offset)
    items = [KeyAnswer.model_validate(row) for row in rows]
    return Page(items=items, total=total, page=paging.page, size=paging.size)


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    dependencies=[requires(Role.ADMIN, Scope.KEYS_MANAGE, audit="api_key.revoke")],
    responses=documented(404),
)
async def revoke_key(key_id: UUID, request: Request, caller: Caller, state: State) -> Response:
    """Revoke an API key; within seconds it is refused everywhere. Revoking it again changes nothing."""
    async with transaction(state.engine) as connection:
        before = await locked(connection, api_keys, key_id)
        after = await keys.revoke_key(connection, key_id)
        if before is None or after is None:
            raise not_found("API key")
        if before.revoked_at is None:
            detail = change(API_KEY, before, after)
            await record(connection, Actor.of(request, caller), "api_key.revoke", "api_key", key_id, detail)
    state.keys.forget()
    return Response(status_code=204)

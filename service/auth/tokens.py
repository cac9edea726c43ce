"""Bearer tokens: signed, short-lived, bound to one algorithm.

Each names the key that signed it, so that while a secret is exchanged the tokens of the one before stay good.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt

from service.auth.principal import Principal
from service.auth.roles import Role
from service.platform.settings import Settings

ISSUER = "workflow-management"
_REQUIRED = ["exp", "iat", "sub", "role", "iss"]


class InvalidTokenError(Exception):
    """A token that proves nothing; ``reason`` is ``expired_token`` or ``bad_token``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _secret(settings: Settings) -> str:
    if settings.jwt_secret is None:
        raise RuntimeError("JWT_SECRET is not set, so there are no tokens")
    return settings.jwt_secret.get_secret_value()


def key_id(secret: str) -> str:
    """The public name of a signing key: says which one it is, and nothing that helps to guess it."""
    return hmac.new(secret.encode(), b"workflow-management key id", hashlib.sha256).hexdigest()[:16]


def _key_of(settings: Settings, token: str) -> str:
    """The key that the token names, of those we accept; one without a name is from before keys had names.

    Raises InvalidTokenError.
    """
    current = _secret(settings)
    accepted = {key_id(current): current}
    if settings.jwt_previous_secret is not None:
        previous = settings.jwt_previous_secret.get_secret_value()
        accepted[key_id(previous)] = previous
    named = jwt.get_unverified_header(token).get("kid")
    if named is not None:
        if named not in accepted:
            raise InvalidTokenError("bad_token")
        return accepted[named]
    for candidate in accepted.values():
        try:
            jwt.decode(token, candidate, algorithms=[settings.jwt_algorithm], options={"verify_exp": False})
        except jwt.InvalidSignatureError:
            continue
        return candidate
    raise InvalidTokenError("bad_token")


def issue_token(settings: Settings, user_id: UUID, role: Role, *, now: datetime | None = None) -> str:
    """A token for the user, valid for JWT_EXPIRATION_MINUTES from ``now``."""
    issued = now or datetime.now(UTC)
    claims = {
        "sub": str(user_id),
        "role": role.value,
        "iss": ISSUER,
        "iat": issued,
        "exp": issued + timedelta(minutes=settings.jwt_expiration_minutes),
    }
    secret = _secret(settings)
    return jwt.encode(claims, secret, algorithm=settings.jwt_algorithm, headers={"kid": key_id(secret)})


def read_token(settings: Settings, token: str) -> Principal:
    """The user that the token speaks for. Raises InvalidTokenError."""
    try:
        claims = jwt.decode(
            token,
            _key_of(settings, token),
            # Pinned: what the token itself says about its algorithm must not matter.
            algorithms=[settings.jwt_algorithm],
            issuer=ISSUER,
            options={"require": _REQUIRED},
        )
        return Principal(
            claims["sub"],
            Role(claims["role"]),
            "user",
            user_id=UUID(claims["sub"]),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )
    except jwt.ExpiredSignatureError:
        raise InvalidTokenError("expired_token") from None
    except (jwt.InvalidTokenError, ValueError):
        raise InvalidTokenError("bad_token") from None

"""Bearer tokens: signed, short-lived, bound to one algorithm."""

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
    return jwt.encode(claims, _secret(settings), algorithm=settings.jwt_algorithm)


def read_token(settings: Settings, token: str) -> Principal:
    """The user that the token speaks for. Raises InvalidTokenError."""
    try:
        claims = jwt.decode(
            token,
            _secret(settings),
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

"""Log-in, and who the credentials belong to."""

from wfm.calls import Body, Call, operation
from wfm.models import CallerAnswer, LoginRequest, TokenAnswer


@operation("POST /api/v1/auth/login")
def login(body: LoginRequest | Body) -> Call[TokenAnswer]:
    """Exchange name and password for a token. A client that was given both does it by itself."""
    return Call(TokenAnswer, body=body, anonymous=True)


@operation("POST /api/v1/auth/test")
def whoami() -> Call[CallerAnswer]:
    """Whose credentials these are, and what they may."""
    return Call(CallerAnswer, changes_nothing=True)


class AuthOperations:
    """Log-in, and who the credentials belong to."""

    login = login
    whoami = whoami

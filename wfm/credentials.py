"""How a client proves who it is. None of them shows its secret when it is printed."""

from dataclasses import dataclass, field

from wfm.models import LoginRequest


@dataclass(frozen=True)
class ApiKey:
    """A key, sent with each request; ``header`` is the server's ``API_KEY_HEADER``."""

    key: str = field(repr=False)
    header: str = "X-API-Key"

    def headers(self, _token: str | None) -> dict[str, str]:
        """What a request carries."""
        return {self.header: self.key}


@dataclass(frozen=True)
class Token:
    """A bearer token that somebody got; when it ends, so does this client's access."""

    token: str = field(repr=False)

    def headers(self, _token: str | None) -> dict[str, str]:
        """What a request carries."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Login:
    """A user's name and password, exchanged for a token that is renewed before it ends."""

    username: str
    password: str = field(repr=False)

    def headers(self, token: str | None) -> dict[str, str]:
        """What a request carries."""
        return {"Authorization": f"Bearer {token}"} if token else {}

    def request(self) -> LoginRequest:
        """The body of the log-in."""
        return LoginRequest(username=self.username, password=self.password)


Credentials = ApiKey | Token | Login


def chosen(
    api_key: str | None, header: str, token: str | None, username: str | None, password: str | None
) -> Credentials | None:
    """The one that is given. Raises ValueError where there are several, or half of one."""
    found: list[Credentials] = []
    if (username is None) != (password is None):
        raise ValueError(f"username and password belong together; {'password' if username else 'username'} is missing")
    if username is not None and password is not None:
        found.append(Login(username, password))
    if api_key is not None:
        found.append(ApiKey(api_key, header))
    if token is not None:
        found.append(Token(token))
    if len(found) > 1:
        raise ValueError("give one of api_key, token, and username with password; there are several")
    return found[0] if found else None

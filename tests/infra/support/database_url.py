"""What a DATABASE_URL says, without its password."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class DatabaseUrl:
    """The plain fields of a URL. The password itself is not kept, so that no failing check prints it."""

    scheme: str
    host: str | None
    port: int | None
    user: str | None
    database: str
    has_password: bool
    sslmode: str | None

    @property
    def place(self) -> tuple[str, str | None, int | None, str | None, str, bool]:
        """Everything but how the connection is protected."""
        return (self.scheme, self.host, self.port, self.user, self.database, self.has_password)


def parse(url: str) -> DatabaseUrl:
    """Reads a URL."""
    parts = urlsplit(url)
    options = parse_qs(parts.query)
    return DatabaseUrl(
        parts.scheme,
        parts.hostname,
        parts.port,
        parts.username,
        parts.path.removeprefix("/"),
        bool(parts.password),
        options.get("sslmode", [None])[0],
    )

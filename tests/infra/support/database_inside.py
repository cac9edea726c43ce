"""Tries the database as a program and as less than that. Run inside its container: `python -c <this text> HOST...`.

Prints for each try the SQLSTATE of the refusal, or "let in". The passwords stay inside.
"""

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SOURCE = Path(__file__).read_text(encoding="utf-8") if "__file__" in globals() else ""
SECONDS = 10.0


def own_url() -> SplitResult:
    """The DATABASE_URL of this program."""
    return urlsplit(Path(os.environ["DATABASE_URL_FILE"]).read_text(encoding="utf-8").strip())


async def tried(url: SplitResult, host: str | None = None, **changed: Any) -> dict[str, Any]:
    """One session with this program's own login, changed as given; how it ended and on what kind of server."""
    import asyncpg

    options = {name: values[0] for name, values in parse_qs(url.query).items()}
    context = ssl.create_default_context(cafile=options.get("sslrootcert"))
    if certificate := options.get("sslcert"):
        context.load_cert_chain(certificate, options.get("sslkey"))
    given: dict[str, Any] = {
        "host": host or url.hostname,
        "port": url.port or 5432,
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "database": url.path.removeprefix("/"),
        "ssl": context,
        "timeout": SECONDS,
        **changed,
    }
    if given["ssl"] == "without a certificate":
        given["ssl"] = ssl.create_default_context(cafile=options.get("sslrootcert"))
    try:
        session = await asyncpg.connect(**given)
    except asyncpg.PostgresError as error:
        return {"refused": error.sqlstate}
    except (OSError, ssl.SSLError, TimeoutError) as error:
        return {"refused": type(error).__name__}
    try:
        row = await session.fetchrow("select pg_is_in_recovery() as standby, current_setting('ssl') as ssl")
        return {"let in": True, "standby": row["standby"]}
    finally:
        await session.close()


async def main(url: SplitResult, replicas: str) -> dict[str, Any]:
    """Every try once."""
    return {
        "as it is": await tried(url),
        "read-only service": await tried(url, replicas),
        "in the clear": await tried(url, ssl=False),
        "without a certificate": await tried(url, ssl="without a certificate"),
        "with a wrong password": await tried(url, password="not-the-password"),
        "as the superuser": await tried(url, user="postgres", database="postgres"),
        "into another database": await tried(url, database="postgres"),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(own_url(), sys.argv[1]))))

"""The command ``create-admin``: makes an administrator, with a password that never stands on a command line."""

import getpass
import sys
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.postgresql import insert

from service.audit.record import Actor, record
from service.auth.password_rule import weakness
from service.auth.passwords import hash_password
from service.auth.roles import Role
from service.platform.database import create_engine, transaction
from service.platform.ids import new_id
from service.platform.settings import Settings
from service.platform.tables import users

ACTOR = "command:create-admin"
"""Who is named in the audit."""

LONGEST_NAME = 200
LONGEST_PASSWORD = 1024
"""As long as a log-in may send them."""


class RefusedError(ValueError):
    """The administrator cannot be made like this; the text says why and shows no password."""


def read_password(file: Path | None, *, from_stdin: bool) -> str:
    """The password from a file, from standard input, or asked for twice at the terminal. Raises RefusedError."""
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise RefusedError(f"--password-file {file} cannot be read: {reason}") from None
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise RefusedError("there is no terminal to ask for the password: give --password-file or --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise RefusedError("the two passwords differ")
    return password


async def create_admin(settings: Settings, name: str, password: str) -> dict[str, Any]:
    """Make the administrator and return what may be told of it. Raises RefusedError, having changed nothing."""
    if not 1 <= len(name) <= LONGEST_NAME or name != name.strip() or not name.isprintable():
        raise RefusedError(f"the name must have 1 to {LONGEST_NAME} printable characters and no space around it")
    if len(password) > LONGEST_PASSWORD:
        raise RefusedError(f"the password must have at most {LONGEST_PASSWORD} characters")
    weak = weakness(password, name)
    if weak is not None:
        raise RefusedError(weak)
    values = {"id": new_id(), "username": name, "password_hash": hash_password(password), "role": Role.ADMIN.value}
    engine = create_engine(settings, application="workflow-create-admin")
    try:
        async with transaction(engine) as connection:
            statement = insert(users).values(values).on_conflict_do_nothing(index_elements=["username"])
            user_id = await connection.scalar(statement.returning(users.c.id))
            if user_id is None:
                raise RefusedError(f"there is a user {name!r} already")
            told = {"username": name, "role": Role.ADMIN.value}
            actor = Actor(ACTOR, None, settings.enable_audit_logging)
            await record(connection, actor, "user.create", "user", user_id, {"after": told})
    finally:
        await engine.dispose()
    return {"id": str(user_id), **told}

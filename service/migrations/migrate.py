"""The one-shot that makes a deployment's database and Kafka ready: schema, first user, topics.

Safe to run again and to run twice at once: an advisory lock lets one at a time work, and each part changes only what is
missing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from service.auth.passwords import fits, hash_password
from service.migrations import rights
from service.platform.database import create_engine, is_unavailable, transaction
from service.platform.ids import new_id
from service.platform.kafka import KafkaRefusedError, KafkaUnavailableError, ensure_topics
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.tables import users

WAIT_SECONDS = 60.0
"""How long to wait for a database or a broker that is only starting."""
LOCK_SECONDS = 120
_LOCK = 0x776F726B
_RETRY_SECONDS = 0.5

T = TypeVar("T")

log = get_logger(__name__)


class MigrationFailedError(RuntimeError):
    """What could not be brought up to date, and why."""


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the revisions in this package; works from any directory."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


async def migrate(settings: Settings) -> None:
    """Bring everything up to date. Raises MigrationFailedError."""
    engine = create_engine(settings, application="workflow-migrate", statement_seconds=None)
    try:
        await _when_there(lambda: upgrade_schema(engine), "the schema")
        await _when_there(lambda: give_rights(engine), "the rights")
        await _when_there(lambda: bootstrap_admin(engine, settings), "the first user")
        created = await _when_there(lambda: ensure_topics(settings), "the topics")
        log.info("Topics are there", created=created)
    finally:
        await engine.dispose()


async def _when_there(work: Callable[[], Awaitable[T]], what: str) -> T:
    """Do the work, again and again while database or broker are not there yet, for ``WAIT_SECONDS``."""
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        try:
            return await work()
        except (KafkaUnavailableError, DBAPIError, OSError) as error:
            away = isinstance(error, KafkaUnavailableError) and not isinstance(error, KafkaRefusedError)
            passing = away or is_unavailable(error)
            if not passing or asyncio.get_running_loop().time() > deadline:
                raise MigrationFailedError(f"{what}: {error}") from error
            log.info("Waiting for a dependency", what=what, reason=str(error))
        await asyncio.sleep(_RETRY_SECONDS)


@asynccontextmanager
async def schema_lock(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection that alone may change the schema; waits while another process does.

    Raises MigrationFailedError when that takes longer than LOCK_SECONDS.
    """
    async with engine.connect() as connection:
        await connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        # Asked again and again: a statement that waits for the lock is itself waited for by an index that is built
        # concurrently under it.
        deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
        while not await connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
            await connection.commit()
            if asyncio.get_running_loop().time() > deadline:
                raise MigrationFailedError(f"another migration has not ended within {LOCK_SECONDS} s")
            await asyncio.sleep(_RETRY_SECONDS)
        await connection.commit()
        try:
            yield connection
        finally:
            await connection.rollback()
            await connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            await connection.commit()


async def upgrade_schema(engine: AsyncEngine) -> None:
    """Bring the schema to the newest revision; waits while another process does the same."""
    async with schema_lock(engine) as connection:
        await connection.run_sync(lambda inner: command.upgrade(alembic_config(inner), "head"))
        await connection.commit()
        revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    log.info("The schema is up to date", revision=revision)


async def give_rights(engine: AsyncEngine) -> None:
    """Bring the rights of the programs' group roles up to date, where the server has such roles."""
    async with transaction(engine) as connection:
        roles = await rights.grant(connection)
    log.info("The rights are given" if roles else "No group roles: one user does everything", roles=roles)


async def bootstrap_admin(engine: AsyncEngine, settings: Settings) -> None:
    """Create the first user, or give it the configured password anew when that has changed."""
    if settings.bootstrap_admin_password is None:
        log.info("No first user: BOOTSTRAP_ADMIN_PASSWORD is not set")
        return
    password = settings.bootstrap_admin_password.get_secret_value()
    async with transaction(engine) as connection:
        query = users.select().where(users.c.username == settings.bootstrap_admin_username).with_for_update()
        existing = (await connection.execute(query)).one_or_none()
        if existing is not None and fits(password, existing.password_hash):
            log.info("The first user is there", user_id=str(existing.id))
            return
        row = {
            "id": new_id(),
            "username": settings.bootstrap_admin_username,
            "password_hash": hash_password(password),
            "role": "admin",
        }
        insertion = insert(users).values(row)
        statement = insertion.on_conflict_do_update(
            index_elements=["username"], set_={"password_hash": insertion.excluded.password_hash}
        ).returning(users.c.id)
        user = await connection.scalar(statement)
    log.info("The first user was created" if existing is None else "The first user's password was set", user_id=user)

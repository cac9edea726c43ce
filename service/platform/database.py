"""The connection pool and the transaction helper.

The pool's numbers are for one instance of the service and are divided among its processes, because the database's
limit of connections is shared by all of them.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import asyncpg
from sqlalchemy import ExceptionContext, Row, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util import greenlet_spawn

from service.platform import metrics
from service.platform.failover import is_lost, note_commit, note_connection
from service.platform.settings import Settings

AnyRow = Row[*tuple[Any, ...]]
"""A row of a query, read by its columns' names."""

CONNECT_SECONDS = 5.0
POOL_WAIT_SECONDS = 3.0
STATEMENT_SECONDS = 10.0
IDLE_IN_TRANSACTION_SECONDS = 30.0
RECYCLE_SECONDS = 1800


# What the server or the network says when the same statement may succeed a little later.
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
)


class DatabaseUnavailableError(ConnectionError):
    """No connection to the database could be made; the message holds no address and no credentials."""


def pool_share(total: int, processes: int, *, least: int) -> int:
    """One process' part of a number of connections that is meant for the whole instance."""
    return max(least, total // processes)


async def connect(
    settings: Settings, *, application: str, statement_seconds: float | None = STATEMENT_SECONDS
) -> "asyncpg.Connection[Any]":
    """A connection of its own, outside the pool: for LISTEN, advisory locks and the pool itself.

    asyncpg reads the address itself, so the documented ``?sslmode=`` and ``sslrootcert=`` mean what libpq says. A
    server that takes no writes is refused like one that is away, unless the address has a target_session_attrs.
    ``statement_seconds=None`` sets no limit, for migrations of large tables.
    """
    limit = 0 if statement_seconds is None else int(statement_seconds * 1000)
    try:
        return await asyncpg.connect(
            settings.asyncpg_dsn,
            target_session_attrs=None if "target_session_attrs=" in settings.asyncpg_dsn else "read-write",
            timeout=CONNECT_SECONDS,
            # A little more than the server's own limit, which gives the better message; this one is for a lost network.
            command_timeout=None if statement_seconds is None else statement_seconds + 2,
            server_settings={
                "application_name": application,
                "timezone": "UTC",
                "statement_timeout": str(limit),
                "idle_in_transaction_session_timeout": str(int(IDLE_IN_TRANSACTION_SECONDS * 1000)),
            },
        )
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        reason = _missing_authorities(settings) if isinstance(error, FileNotFoundError) else _reason(error)
        raise DatabaseUnavailableError(f"no connection to the database: {reason}") from error


def create_engine(
    settings: Settings,
    *,
    application: str,
    processes: int = 1,
    statement_seconds: float | None = STATEMENT_SECONDS,
) -> AsyncEngine:
    """The pool of one process; ``processes`` is how many processes share this instance's numbers.

    A caller waits at most ``POOL_WAIT_SECONDS`` for a connection and a statement runs at most ``statement_seconds``.
    """
    size = pool_share(settings.database_pool_size, processes, least=1)

    async def new_connection() -> "asyncpg.Connection[Any]":
        return await connect(settings, application=application, statement_seconds=statement_seconds)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=new_connection,
        pool_size=size,
        max_overflow=pool_share(settings.database_max_overflow, processes, least=0),
        pool_timeout=POOL_WAIT_SECONDS,
        pool_recycle=RECYCLE_SECONDS,
        pool_use_lifo=True,
        echo=settings.database_echo,
        hide_parameters=True,
    )
    _replace_dead_connections(engine)
    _leave_a_demoted_primary(engine)
    _count_connections(engine, size)
    return engine


def _replace_dead_connections(engine: AsyncEngine) -> None:
    """Hand out only connections that are open: asyncpg notices a lost one by itself, so no ping is needed."""

    @event.listens_for(engine.sync_engine, "checkout")
    def refuse_closed(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
        connection = dbapi_connection.driver_connection
        if connection.is_closed():
            raise DisconnectionError("the connection was closed by the server")
        # The server tells by itself when one of these changes.
        told = connection.get_settings()
        if "on" in (getattr(told, "in_hot_standby", "off"), getattr(told, "default_transaction_read_only", "off")):
            raise DisconnectionError("the server takes no writes any more")


def _leave_a_demoted_primary(engine: AsyncEngine) -> None:
    """One refused write, or one lost connection, ends all connections of the pool: their server is the same."""

    @event.listens_for(engine.sync_engine, "handle_error")
    def disconnect(context: ExceptionContext) -> None:
        if is_lost(context.sqlalchemy_exception or context.original_exception):
            context.is_disconnect = True


def _count_connections(engine: AsyncEngine, size: int) -> None:
    """Keep the pool's gauges true by its events: gauges of several processes cannot be computed on demand."""
    metrics.DB_POOL_SIZE.set(size)
    measure_pool(engine)

    @event.listens_for(engine.sync_engine, "checkout")
    def lent(_connection: Any, _record: Any, _proxy: Any) -> None:
        measure_pool(engine)

    @event.listens_for(engine.sync_engine, "checkin")
    def returned(_connection: Any, _record: Any) -> None:
        # The event comes before the pool counts the connection as returned.
        measure_pool(engine, returning=1)


def measure_pool(engine: AsyncEngine, *, returning: int = 0) -> None:
    """Set the gauges to the pool's state; ``returning`` connections are on their way back and do not count."""
    pool = engine.sync_engine.pool
    if not isinstance(pool, QueuePool):
        raise TypeError(f"the pool is a {type(pool).__name__}, which cannot be measured")
    checked_out = max(0, pool.checkedout() - returning)
    metrics.DB_POOL_CHECKED_OUT.set(checked_out)
    metrics.DB_POOL_OVERFLOW.set(max(0, checked_out - pool.size()))


@asynccontextmanager
async def _bounded() -> AsyncIterator[None]:
    """A server that is silent is away; the driver says so with an error that belongs to nobody."""
    try:
        yield
    except TimeoutError as error:
        raise DatabaseUnavailableError("the database does not answer in time") from error


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed when the block ends, rolled back when it raises.

    The commit is done when the ``async with`` is left, so answer the caller after it, never inside.
    """
    async with _bounded(), engine.connect() as connection, connection.begin():
        note_connection()
        yield connection
        note_commit()


@asynccontextmanager
async def autocommit(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection whose every statement is a transaction of its own: one round trip for each.

    Statements that write must be safe to repeat: whoever loses the connection cannot tell whether they were done.
    """
    async with _bounded(), engine.connect() as connection:
        note_connection()
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


async def fetch(engine: AsyncEngine, statement: str, *values: object) -> "list[asyncpg.Record]":
    """The rows of one statement, with ``$1``, that only reads; a transaction of its own.

    The driver does it without SQLAlchemy, whose ways around a statement cost more than one that is asked very often.
    Raises DatabaseUnavailableError where the connection was lost, else what the driver does.
    """
    async with _bounded():
        # The pool's code expects a greenlet, also where it has nothing to wait for.
        pooled = await greenlet_spawn(engine.sync_engine.raw_connection)
        try:
            note_connection()
            driver = cast("asyncpg.Connection[asyncpg.Record]", pooled.driver_connection)
            return cast("list[asyncpg.Record]", await driver.fetch(statement, *values))
        except BaseException as error:
            # As SQLAlchemy does: nobody knows what is still under way on the connection of a task that was cancelled.
            if is_lost(error) or not isinstance(error, Exception):
                await greenlet_spawn(pooled.invalidate, error)
            if is_lost(error):
                raise DatabaseUnavailableError("the connection to the database was lost") from error
            raise
        finally:
            await greenlet_spawn(pooled.close)


async def check_database(engine: AsyncEngine, *, seconds: float) -> None:
    """Raise when the database does not answer a query within ``seconds``."""
    async with asyncio.timeout(seconds), autocommit(engine) as connection:
        await connection.execute(text("SELECT 1"))


def is_unavailable(error: BaseException) -> bool:
    """Whether an error means that the database cannot be reached or has no capacity now, so that a retry may help."""
    if isinstance(error, (DatabaseUnavailableError, PoolTimeout, DisconnectionError)):
        return True
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or (cause is not None and is_unavailable(cause))
    return isinstance(error, _PASSING)


def is_invalid_data(error: BaseException) -> bool:
    """Whether the database refused a value that it cannot store, for instance text with a NUL character."""
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return cause is not None and is_invalid_data(cause)
    # asyncpg has two errors of this name's kind: the server's own, and its refusal to encode an argument.
    return isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError)) and (
        isinstance(error, ValueError) or (getattr(error, "sqlstate", None) or "").startswith("22")
    )


def _missing_authorities(settings: Settings) -> str:
    named = parse_qs(urlsplit(settings.asyncpg_dsn).query).get("sslrootcert", ["the default file"])[-1]
    return f"the certificates to trust, sslrootcert={named}, are not there"


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {error.verify_message}"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "the server takes no writes, so it is not the primary"
    return "no answer in time" if isinstance(error, TimeoutError) else (str(error) or type(error).__name__)

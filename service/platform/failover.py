"""What to do while the database changes its primary: wait a little, and repeat what certainly did not happen.

A planned switchover takes a few seconds in which connections break and new ones are refused. Work that wrote nothing
yet is repeated until it succeeds, so that callers notice nothing; work whose commit may have happened never is.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVar

import asyncpg
from sqlalchemy.exc import DBAPIError, DisconnectionError

from service.platform.logging import get_logger

PATIENCE_SECONDS = 8.0
"""How long an outage is waited for, counted from when the process first met it, not from each request."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5
_FORGET_SECONDS = 30.0

# The connection is gone, or its server takes no writes (any more): 08xxx, 57P01 to 57P03, 25006.
_LOST = (
    ConnectionError,
    DisconnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InterfaceError,
)

T = TypeVar("T")

log = get_logger(__name__)


class _Attempt:
    """What one attempt has done to the database so far."""

    def __init__(self) -> None:
        self.connected = False
        self.may_have_written = False


_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


def note_connection() -> None:
    """The current attempt has reached the database."""
    if (attempt := _attempt.get()) is not None:
        attempt.connected = True


def note_commit() -> None:
    """The current attempt is about to commit, so from now on nobody can say that it changed nothing."""
    if (attempt := _attempt.get()) is not None:
        attempt.may_have_written = True


def is_lost(error: BaseException) -> bool:
    """Whether the error means that the connection is gone or its server is not the primary."""
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or (cause is not None and is_lost(cause))
    # An argument that cannot be encoded is an InterfaceError too, and stays one however often it is sent.
    return isinstance(error, _LOST) and not isinstance(error, ValueError)


class Patience:
    """One process' patience with its database. While an outage lasts longer than that, nothing waits any more."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._missed_since: float | None = None
        self._last_missed = 0.0

    async def repeat(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, again where the database went away before anything was committed.

        Every statement that the work runs outside of ``transaction`` must be safe to repeat. Raises the last error.
        """
        outer = _attempt.get()
        pause = _FIRST_PAUSE
        while True:
            attempt = _Attempt()
            token = _attempt.set(attempt)
            try:
                result = await work()
            except Exception as error:
                if not is_lost(error) or attempt.may_have_written or self._is_exhausted():
                    if outer is not None and is_lost(error):
                        # Who called us did not see what we tried, so must not try all of it again.
                        outer.may_have_written = True
                    raise
                log.info("The database is changing, the request is repeated", reason=type(error).__name__)
            else:
                if attempt.connected:
                    self._missed_since = None
                return result
            finally:
                _attempt.reset(token)
            await asyncio.sleep(pause * (1 - random.random() / 2))  # noqa: S311 - spreads load, guards nothing
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _is_exhausted(self) -> bool:
        now = self._clock()
        if self._missed_since is None or now - self._last_missed > _FORGET_SECONDS:
            self._missed_since = now
        self._last_missed = now
        return now - self._missed_since >= self._seconds

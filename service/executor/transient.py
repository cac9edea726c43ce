"""Which database errors pass by themselves."""

import asyncpg
from sqlalchemy.exc import DBAPIError

from service.platform.database import is_unavailable

# A server that shuts down or restarts, a cancelled or deadlocked statement, no memory or connections left just now.
_PASSING = (asyncpg.OperatorInterventionError, asyncpg.TransactionRollbackError, asyncpg.InsufficientResourcesError)


def is_transient(error: BaseException) -> bool:
    """Whether repeating the statement may help; every statement of the executor may be repeated."""
    if is_unavailable(error) or isinstance(error, _PASSING):
        return True
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else None
    return cause is not None and is_transient(cause)

"""Forgets what is older than it is kept, beside the relay in each of its processes; one of them works at a time.

The database's functions decide by its clock what is old, and refuse to forget what is young, whatever they are asked;
the relay's login may delete nothing else.
"""

import asyncio
import contextlib
from collections.abc import Mapping

import asyncpg

from service.maintenance import metrics
from service.maintenance.partitions import make_ahead
from service.platform.database import connect, is_unavailable
from service.platform.logging import get_logger
from service.platform.settings import Settings
from service.platform.worker_loop import Pulse, pause

EVERY_SECONDS = 600.0
BATCH_ROWS = 500
"""Rows of one transaction: short enough that nobody waits for its locks."""
PULSE_SECONDS = EVERY_SECONDS + 120.0

_LOCK = 0x7E7E_4710
_PAUSE_SECONDS = 0.1
_CLOSE_SECONDS = 2.0
_LOOP = "retention"

# The lock lasts as long as the statement, so a process that dies with it leaves nothing behind.
_FORGET = "SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN {function}($2, $3) END"

log = get_logger(__name__)


def limits(settings: Settings) -> Mapping[str, int]:
    """The functions that forget, with the days that each keeps; what is kept for ever is left out."""
    days = {
        "forget_runs": settings.retention_runs_days,
        "forget_dead_letters": settings.retention_runs_days,
        "forget_audit": settings.retention_audit_days,
    }
    return {function: kept for function, kept in days.items() if kept}


async def forget_until(settings: Settings, stopping: asyncio.Event, pulse: Pulse) -> None:
    """Forget until the event is set. Outages are sat out; no error ends the loop."""
    for function in limits(settings):
        metrics.FORGOTTEN.labels(function.removeprefix("forget_"))
    while not stopping.is_set():
        pulse.beat(_LOOP, within=PULSE_SECONDS)
        try:
            await forget(settings, stopping, pulse)
        except Exception as error:
            if is_unavailable(error):
                log.warning("Nothing forgotten: the database is away", reason=type(error).__name__)
            else:
                metrics.FAILURES.inc()
                log.exception("Old data cannot be forgotten, trying again later")
        await pause(stopping, EVERY_SECONDS)
    pulse.ended(_LOOP)


async def forget(settings: Settings, stopping: asyncio.Event, pulse: Pulse) -> None:
    """Forget all that is old now, batch by batch; another process that does so at the same time is left to it.

    Before that the partitions for the next months are made.
    """
    connection = await connect(settings, application="workflow-retention")
    try:
        if made := await make_ahead(connection):
            log.info("Partitions made", what="audit", months=made)
        for function, days in limits(settings).items():
            total = await _forget_all(connection, function, days, stopping, pulse)
            if total:
                log.info("Old data forgotten", what=function.removeprefix("forget_"), rows=total, older_than_days=days)
    finally:
        with contextlib.suppress(Exception):
            await connection.close(timeout=_CLOSE_SECONDS)


async def _forget_all(
    connection: "asyncpg.Connection[asyncpg.Record]", function: str, days: int, stopping: asyncio.Event, pulse: Pulse
) -> int:
    total = 0
    while True:
        pulse.beat(_LOOP, within=PULSE_SECONDS)
        gone = int(await connection.fetchval(_FORGET.format(function=function), _LOCK, days, BATCH_ROWS) or 0)
        metrics.FORGOTTEN.labels(function.removeprefix("forget_")).inc(gone)
        total += gone
        if gone < BATCH_ROWS or await pause(stopping, _PAUSE_SECONDS):
            return total

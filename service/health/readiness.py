"""Whether the API can serve: each of its dependencies is tried within a time that is shorter than any probe's."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import check_database
from service.platform.kafka import check_kafka
from service.platform.logging import get_logger
from service.platform.settings import Settings

CHECK_SECONDS = 3.0
"""For each check; both run at the same time, and the documented probe waits five seconds."""
KEEP_SECONDS = 1.0
"""An answer is given again for this long, so that many callers cause few connections."""

Connection = Literal["connected", "disconnected"]
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of each dependency, and whether the process may receive requests."""

    database: Connection
    kafka: Connection
    ready: bool


class ReadinessChecks:
    """Tries the dependencies of one process."""

    def __init__(self, settings: Settings, engine: AsyncEngine) -> None:
        self._settings = settings
        self._engine = engine
        self._lock = asyncio.Lock()
        self._last: tuple[float, Readiness] | None = None

    async def check(self) -> Readiness:
        """The state now, or at most ``KEEP_SECONDS`` ago."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last[0] > KEEP_SECONDS:
                self._last = (time.monotonic(), await self._check())
            return self._last[1]

    async def _check(self) -> Readiness:
        database, kafka = await asyncio.gather(
            _tried("database", check_database(self._engine, seconds=CHECK_SECONDS)),
            _tried("kafka", check_kafka(self._settings, seconds=CHECK_SECONDS)),
        )
        needs_kafka = self._settings.readiness_requires_kafka
        return Readiness(database, kafka, database == "connected" and (kafka == "connected" or not needs_kafka))


async def _tried(name: str, attempt: Awaitable[None]) -> Connection:
    try:
        await attempt
    except Exception as error:  # noqa: BLE001 - whatever it is, the part cannot be used
        log.warning("A dependency is not reachable", part=name, reason=str(error) or type(error).__name__)
        return "disconnected"
    return "connected"

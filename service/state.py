"""What the API's routes work with: made once for each process at start, reached through the application's state."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.known_keys import KnownKeys
from service.auth.known_tokens import KnownTokens
from service.auth.login_throttle import LoginThrottle
from service.auth.passwords import Passwords
from service.events.streams import Streams
from service.platform.failover import Patience
from service.platform.settings import Settings
from service.platform.sliding_window import SlidingWindow
from service.platform.wakeup import OutboxWakeup
from service.runs.acceptor import Acceptor
from service.runs.backlog import Backlog
from service.runs.reader import Reader
from service.workflows.current import CurrentVersions


@dataclass(frozen=True)
class ServiceState:
    """The parts of one API process."""

    settings: Settings
    engine: AsyncEngine
    wakeup: OutboxWakeup
    passwords: Passwords
    patience: Patience
    logins: LoginThrottle
    tokens: KnownTokens
    keys: KnownKeys
    callers: SlidingWindow | None
    """How many requests each caller sent lately; None where there is no limit."""
    acceptor: Acceptor
    backlog: Backlog
    reader: Reader
    versions: CurrentVersions
    streams: Streams


async def _state(request: Request) -> ServiceState:
    return cast(ServiceState, request.app.state.service)


State = Annotated[ServiceState, Depends(_state)]
"""A route's parameter of this type receives the process' parts."""

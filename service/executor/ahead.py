"""Runs that do not go by their messages: urgent ones, and ones that limits of their workflow held back.

Both wait in the database, so they are claimed there in the order of their turns. While an executor has places free it
looks for them every second, and at once when it has held a run back or one of such a workflow has ended with it. While
it has none, they get most of the places that become free, before what messages bring; not all of them, so that a
flood of urgent runs does not stop the others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from service.executor.active import ActiveRuns
from service.executor.claims import ClaimedRun
from service.executor.repository import RunRepository
from service.executor.transient import is_transient
from service.platform.logging import get_logger
from service.platform.worker_loop import Pulse

EVERY_SECONDS = 1.0
FOR_MESSAGES = 5
"""Of so many places that become free while both want them, one is for what messages bring."""

_LEFT_SECONDS = 0.05
_TRIES = 5
"""How often a claim is tried that others were quicker than."""

log = get_logger(__name__)


class Ahead:
    """One executor's way to these runs; ``run`` is its loop, ``claim_before`` is for who claims by messages."""

    def __init__(self, repository: RunRepository, active: ActiveRuns, *, pulse: Pulse) -> None:
        self._repository = repository
        self._active = active
        self._pulse = pulse
        self._nudged = asyncio.Event()
        self._waits = False
        self._given = 0
        self._crowded: set[UUID] = set()
        active.on_end = self._ended

    async def run(self, stopping: asyncio.Event) -> None:
        """Claim until told to stop."""
        while not stopping.is_set():
            self._pulse.beat("ahead", within=60)
            await self._wait(stopping)
            if stopping.is_set():
                break
            try:
                await self._look()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("Nothing claimed ahead: the database is away", reason=type(error).__name__)
        self._pulse.ended("ahead")

    def nudge(self) -> None:
        """Something was held back, so that there may be something to claim."""
        self._nudged.set()

    async def claim_before(self) -> None:
        """Start what goes before messages; to be called with ``claiming`` held, when places are free.

        Costs nothing but while something waits. Raises what the database raises.
        """
        if not self._waits:
            return
        await self._claim_share()

    async def _look(self) -> None:
        async with self._active.claiming:
            if self._active.free:
                await self._claim_share()
            else:
                # Whoever gets the next place looks first.
                self._waits = True

    async def _claim_share(self) -> None:
        share = sum(self._next_is_ours() for _ in range(self._active.free))
        started = await self._start(share) if share else 0
        self._waits = started == share

    def _next_is_ours(self) -> bool:
        self._given = (self._given + 1) % FOR_MESSAGES
        return self._given != 0

    async def _start(self, most: int) -> int:
        """Claim and start so many at most; what is claimed is started before anything else can fail."""
        urgent = await self._repository.claim_urgent(most)
        self._active.start(urgent)
        left = most - len(urgent)
        workflows = await self._repository.held_workflows()
        self._crowded = set(workflows)
        for workflow_id in (each for each, has_room in workflows.items() if has_room):
            for _ in range(_TRIES):
                if not left:
                    return most
                claimed = await self._repository.claim_held(workflow_id, left)
                if claimed is not None:
                    self._active.start(claimed)
                    left -= len(claimed)
                    break
        return most - left

    def _ended(self, run: ClaimedRun) -> None:
        if self._waits or run.workflow_id in self._crowded:
            self.nudge()

    async def _wait(self, stopping: asyncio.Event) -> None:
        """Until it is nudged, a second is over or the process is to stop."""
        waits: list[Callable[[], Awaitable[object]]] = [self._nudged.wait, stopping.wait]
        tasks = [asyncio.ensure_future(wait()) for wait in waits]
        # A place that was left to messages and that none has taken is looked at again soon.
        seconds = _LEFT_SECONDS if self._waits and self._active.free else EVERY_SECONDS
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        self._nudged.clear()

"""The runs that this executor works on now, and how many it may."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial
from uuid import UUID

from service.executor import metrics
from service.executor.claims import ClaimedRun, Marks


class Interruption(Enum):
    """Why a run under way must stop."""

    CANCELLED = "somebody cancelled it"
    LOST = "its lease was lost"
    STOPPING = "this executor stops"


class ActiveRun:
    """One claimed run; ``interrupted`` is done, with the reason, once it must stop.

    ``pausing`` says that it is to begin nothing more, ``signals`` how many of its steps were signalled. ``nudged`` is
    done when something of that is new.
    """

    def __init__(self, run: ClaimedRun) -> None:
        self.run = run
        self.renewed = time.monotonic()
        self.interrupted: asyncio.Future[Interruption] = asyncio.get_running_loop().create_future()
        self.nudged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.pausing = run.pause_requested
        self.signals = run.signals

    def hear(self, marks: Marks) -> None:
        """Take in what somebody asks of the run."""
        if marks.cancel:
            self.interrupt(Interruption.CANCELLED)
        if marks.pause and not self.pausing:
            self.pausing = True
            self.nudge()
        if marks.signals > self.signals:
            self.signals = marks.signals
            self.nudge()

    def nudge(self) -> None:
        """Have the run looked at."""
        if not self.nudged.done():
            self.nudged.set_result(None)

    def heed(self) -> None:
        """It is being looked at now; whatever comes from here on is another nudge."""
        if self.nudged.done():
            self.nudged = asyncio.get_running_loop().create_future()

    def interrupt(self, reason: Interruption) -> None:
        """Ask the run to stop; the first reason counts."""
        if not self.interrupted.done():
            self.interrupted.set_result(reason)


class ActiveRuns:
    """Bounded set of runs. ``claiming`` is held from the look at ``free`` until the claimed runs are added."""

    def __init__(self, concurrency: int, execute: Callable[[ActiveRun], Awaitable[None]]) -> None:
        self.claiming = asyncio.Lock()
        self.on_end: Callable[[ClaimedRun], None] = lambda _run: None
        """Is told of each run when it has left its place."""
        self._concurrency = concurrency
        self._execute = execute
        self._runs: dict[UUID, ActiveRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._place_free = asyncio.Event()
        self._place_free.set()
        metrics.CONCURRENCY.set(concurrency)
        metrics.ACTIVE.set(0)

    @property
    def free(self) -> int:
        """How many more runs may start."""
        return max(0, self._concurrency - len(self._tasks))

    def start(self, claimed: list[ClaimedRun]) -> None:
        """Execute the runs, each in a task of its own."""
        for run in claimed:
            active = ActiveRun(run)
            # A run that comes back while its first, lost execution still ends replaces that one here.
            self._runs[run.id] = active
            task = asyncio.create_task(self._run(active), name=f"run {run.id}")
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, run))
        self._show()

    def snapshot(self) -> list[ActiveRun]:
        """The runs as they are now."""
        return list(self._runs.values())

    def hear(self, run_id: UUID, marks: Marks) -> bool:
        """Pass on what somebody asks of one run; False when it is not ours."""
        active = self._runs.get(run_id)
        if active is not None:
            active.hear(marks)
        return active is not None

    async def wait_for_place(self, seconds: float) -> None:
        """Return when a run may start, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._place_free.wait()
        except TimeoutError:
            return

    async def drain(self, seconds: float) -> None:
        """Let the runs end by themselves for half of the time, then give back the rest to other executors."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds / 2)
        for active in self.snapshot():
            active.interrupt(Interruption.STOPPING)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds / 2)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    async def _run(self, active: ActiveRun) -> None:
        try:
            await self._execute(active)
        finally:
            if self._runs.get(active.run.id) is active:
                del self._runs[active.run.id]

    def _ended(self, run: ClaimedRun, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._show()
        self.on_end(run)

    def _show(self) -> None:
        metrics.ACTIVE.set(len(self._tasks))
        if self.free:
            self._place_free.set()
        else:
            self._place_free.clear()

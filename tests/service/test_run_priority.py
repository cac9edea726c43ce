"""Runs with a priority go first where places are few, and the others are not forgotten for them."""

import asyncio
from collections.abc import Callable, Sequence
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.active import ActiveRun, ActiveRuns
from service.executor.ahead import EVERY_SECONDS, FOR_MESSAGES, Ahead
from service.executor.claims import ClaimedRun
from service.executor.repository import RunRepository
from service.platform.ids import new_id
from service.platform.settings import Settings
from service.platform.worker_loop import Pulse
from tests.service.executor_support import add_workflow, executing, finished, relaying, step, step_reached, submit
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")

WORKFLOW = new_id()


def claimed(workflow_id: UUID = WORKFLOW) -> ClaimedRun:
    return ClaimedRun(new_id(), 1, workflow_id, 1, "", "", 1, False, 0.0, {}, None)


class Waiting:
    """A repository of which only the queue ahead is asked."""

    def __init__(self, urgent: int = 0, held: Sequence[int | None] = ()) -> None:
        self.urgent = urgent
        self.held = list(held)
        self.asked = 0

    async def claim_urgent(self, limit: int) -> list[ClaimedRun]:
        self.asked += 1
        given = min(limit, self.urgent)
        self.urgent -= given
        return [claimed() for _ in range(given)]

    async def held_workflows(self) -> dict[UUID, bool]:
        return {WORKFLOW: True} if self.held else {}

    async def claim_held(self, _workflow_id: UUID, _limit: int) -> list[ClaimedRun] | None:
        given = self.held.pop(0)
        return None if given is None else [claimed() for _ in range(given)]


class Places:
    """Active runs that stay until they are told to end."""

    def __init__(self, number: int) -> None:
        self.started: list[UUID] = []
        self._end = asyncio.Event()
        self.active = ActiveRuns(number, self._execute)

    async def _execute(self, active: ActiveRun) -> None:
        self.started.append(active.run.id)
        await self._end.wait()

    def end_those_there(self) -> None:
        """They leave their places a little later."""
        self._end.set()

    async def free_all(self) -> None:
        """End what is there, and let whatever comes next stay again."""
        self.end_those_there()
        await self.active.drain(1)
        self._end.clear()


def ahead_of(waiting: Waiting, places: Places) -> Ahead:
    return Ahead(cast("RunRepository", waiting), places.active, pulse=Pulse())


class Running:
    """The loop while the block runs."""

    def __init__(self, ahead: Ahead) -> None:
        self._ahead, self._stopping = ahead, asyncio.Event()

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._ahead.run(self._stopping))

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        async with asyncio.timeout(5):
            await self._task


async def until(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    async def holds() -> bool:
        return condition()

    await eventually(holds, "the condition", seconds=seconds)


async def test_messages_cost_nothing_more_while_nothing_waits_ahead_of_them() -> None:
    waiting = Waiting()
    ahead = ahead_of(waiting, Places(3))
    await ahead.claim_before()
    assert waiting.asked == 0


async def test_who_waits_is_looked_for_at_once_after_a_nudge() -> None:
    waiting, places = Waiting(urgent=2), Places(3)
    ahead = ahead_of(waiting, places)
    async with Running(ahead):
        ahead.nudge()
        await until(lambda: len(places.started) == 2)
    await places.free_all()


async def test_a_place_that_becomes_free_goes_to_who_waits_before_messages_and_every_fifth_one_not() -> None:
    waiting, places = Waiting(urgent=1000), Places(1)
    ahead = ahead_of(waiting, places)
    shares = []
    ahead.nudge()
    async with Running(ahead):
        await until(lambda: places.active.free == 0)
        ahead.nudge()
        await asyncio.sleep(0)
    for _ in range(2 * FOR_MESSAGES):
        await places.free_all()
        await ahead.claim_before()
        shares.append(1 - places.active.free)
    assert sum(shares) == 2 * (FOR_MESSAGES - 1)
    await places.free_all()


async def test_a_claim_that_others_overtook_is_tried_again_at_once() -> None:
    waiting, places = Waiting(held=[None, None, 1]), Places(3)
    ahead = ahead_of(waiting, places)
    async with Running(ahead):
        ahead.nudge()
        await until(lambda: len(places.started) == 1)
    await places.free_all()


async def test_the_end_of_a_run_of_a_crowded_workflow_is_a_nudge() -> None:
    waiting, places = Waiting(held=[1, 1]), Places(9)
    ahead = ahead_of(waiting, places)
    async with Running(ahead):
        ahead.nudge()
        await until(lambda: len(places.started) == 1)
        places.end_those_there()
        await until(lambda: len(places.started) == 2, seconds=EVERY_SECONDS / 2)
    await places.free_all()


async def test_an_urgent_run_overtakes_those_whose_messages_came_before(
    engine: AsyncEngine, settings: Settings
) -> None:
    workflow_id = await add_workflow(engine, step("a", "delay", seconds=1.5))
    async with relaying(settings), executing(settings, executor_concurrency=1):
        first = await submit(engine, settings, workflow_id)
        await step_reached(engine, first, "a", "running")
        plain = [await submit(engine, settings, workflow_id) for _ in range(3)]
        urgent = await submit(engine, settings, workflow_id, priority=9)
        rows = {run_id: await finished(engine, run_id) for run_id in (first, *plain, urgent)}
    order = sorted(rows, key=lambda run_id: rows[run_id].started_at)
    assert order.index(urgent) == 1

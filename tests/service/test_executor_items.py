"""Steps that are done for each item of a list: at work with agents of the test's own, and no database."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import pytest

from service.executor.claims import ClaimedRun
from service.executor.definition import parse_definition
from service.executor.items import MAX_ITEMS
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.kinds.delay import DelayAgent
from service.executor.kinds.noop import NoopAgent
from service.executor.progress import COMPLETED, RUNNING, JournalledStep, Progress
from service.executor.work import Work
from tests.service.executor_support import step

pytestmark = pytest.mark.ring("unit")

RUN = ClaimedRun(UUID(int=1), 1, UUID(int=2), 1, "req-test", "tester", 1, False, 0.0, {}, None)
EACH = {"items": "input.list", "max_parallel": 2}
ITEM = {"n": {"$jmespath": "item"}, "at": {"$jmespath": "index"}}


class Recorder(DelayAgent):
    """Stands for an agent that calls somebody: notes what it was called with and how many calls were under way."""

    def __init__(self, failing: Iterable[Any] = (), *, times: int = 99) -> None:
        self.calls: list[Any] = []
        self.names: list[str] = []
        self.most = 0
        self._under_way = 0
        self._failing = list(failing) * times

    async def run(self, settings: Any, step_input: dict[str, Any], context: StepContext) -> Any:
        """The number, doubled."""
        self.calls.append(step_input["n"])
        self.names.append(context.step_id)
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await asyncio.sleep(0)
        self._under_way -= 1
        if step_input["n"] in self._failing:
            self._failing.remove(step_input["n"])
            raise StepFailedError("broken", "it broke", retryable=True)
        return step_input["n"] * 2


def each(kind: str = "delay", **given: Any) -> dict[str, Any]:
    settings = {"seconds": 0} if kind == "delay" else {}
    return step("s", kind, **({"for_each": EACH, "step_input": ITEM, "attempts": 2, "backoff": 0} | settings | given))


def begin(values: Any, *steps: Mapping[str, Any], journal: Iterable[JournalledStep] = (), **given: Any) -> Progress:
    return Progress(parse_definition({"steps": list(steps)}), {"list": values}, journal, **given)


async def work_to_end(progress: Progress, agent: Agent[Any] | None = None) -> None:
    agents: dict[str, Agent[Any]] = {"noop": NoopAgent(), "delay": agent or Recorder()}
    work = Work(RUN, agents, progress)
    try:
        async with asyncio.timeout(20):
            while True:
                await work.begin_ready()
                if progress.failed or progress.ended:
                    return
                for one in progress.changes():
                    one.changed = False
                work.launch()
                done, _ = await asyncio.wait(work.tasks, return_when=asyncio.FIRST_COMPLETED)
                work.take(done)
    finally:
        await work.stop()
        progress.give_up()


async def test_the_output_is_that_of_the_items_in_their_order() -> None:
    agent = Recorder()
    progress = begin([3, 1, 2], each())
    await work_to_end(progress, agent)
    assert (progress.states["s"].status, progress.states["s"].output) == (COMPLETED, [6, 2, 4])
    assert agent.names == ["s[0]", "s[1]", "s[2]"]


async def test_no_more_items_are_under_way_than_may_be() -> None:
    agent = Recorder()
    await work_to_end(begin(list(range(9)), each()), agent)
    assert agent.most == 2


async def test_an_instant_step_is_done_for_each_item_at_once() -> None:
    progress = begin(
        ["x", "y"], each("noop"), step("after", needs=["s"], step_input={"n": {"$jmespath": "steps.s[1].n"}})
    )
    await work_to_end(progress)
    assert progress.states["s"].output == [{"n": "x", "at": 0}, {"n": "y", "at": 1}]
    assert progress.output() == {"after": {"n": "y"}}


async def test_no_items_make_an_empty_output() -> None:
    progress = begin([], each(), step("after", needs=["s"]))
    await work_to_end(progress)
    assert (progress.states["s"].output, progress.ended) == ([], True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "gives null"),
        ({"a": 1}, "gives an object"),
        (5, "gives a number"),
        (list(range(MAX_ITEMS + 1)), "may be 1000"),
    ],
)
async def test_what_is_no_list_or_too_long_fails_the_step(values: Any, message: str) -> None:
    progress = begin(values, each())
    await work_to_end(progress)
    assert progress.failed
    assert progress.failed.error
    assert progress.failed.error["code"] == "for-each"
    assert message in progress.failed.error["detail"]


async def test_an_item_is_retried_by_itself() -> None:
    agent = Recorder([2], times=1)
    progress = begin([1, 2, 3], each())
    await work_to_end(progress, agent)
    assert progress.states["s"].output == [2, 4, 6]
    assert sorted(agent.calls) == [1, 2, 2, 3]
    assert [item.attempt for item in progress.states["s"].items] == [1, 2, 1]


async def test_an_item_that_fails_for_good_fails_the_step_and_begins_no_more() -> None:
    agent = Recorder([1])
    progress = begin(list(range(1, 9)), each())
    await work_to_end(progress, agent)
    assert progress.failed is progress.states["s"]
    assert progress.failed.error == {"code": "broken", "detail": "item 0: it broke", "retryable": False}
    assert progress.failed.attempt == 2
    assert 8 not in agent.calls
    assert RUNNING not in [item.status for item in progress.states["s"].items]


async def test_an_item_whose_input_cannot_be_made_fails_the_step() -> None:
    progress = begin([["x"], 5], each("noop", step_input={"n": {"$jmespath": "length(item)"}}))
    await work_to_end(progress)
    assert progress.failed
    assert progress.failed.error
    assert progress.failed.error["detail"].startswith("item 1: 'length(item)' cannot be evaluated")


async def test_after_a_failure_the_other_items_of_a_failed_step_are_given_up() -> None:
    agent = Recorder([1])
    progress = begin([1, 2, 3, 4, 5, 6], each(attempts=1), step("other", "noop"), failure={"code": "x"})
    await work_to_end(progress, agent)
    assert {name: state.status for name, state in progress.states.items()} == {"s": "failed", "other": "completed"}
    assert 6 not in agent.calls


async def test_an_item_under_way_is_interrupted_when_another_fails_while_other_steps_go_on() -> None:
    interrupted = asyncio.Event()

    class Holding(DelayAgent):
        async def run(self, settings: Any, step_input: dict[str, Any], context: StepContext) -> Any:
            if context.step_id == "other":
                await interrupted.wait()
            elif step_input["n"] == 1:
                raise StepFailedError("broken", "it broke", retryable=False)
            else:
                try:
                    await asyncio.Event().wait()
                finally:
                    interrupted.set()

    progress = begin([1, 2], each(), step("other", "delay", seconds=0), failure={"code": "x"})
    await work_to_end(progress, Holding())
    assert {name: state.status for name, state in progress.states.items()} == {"s": "failed", "other": "completed"}
    assert [item.status for item in progress.states["s"].items] == ["failed", "cancelled"]


async def test_items_that_the_journal_knows_as_completed_are_not_done_again() -> None:
    agent = Recorder()
    journal = [
        JournalledStep("s", RUNNING, 1, None),
        JournalledStep("s[0]", COMPLETED, 1, "kept"),
        JournalledStep("s[1]", RUNNING, 2, None),
    ]
    progress = begin([1, 2, 3], each(), journal=journal)
    await work_to_end(progress, agent)
    assert agent.calls == [2, 3]
    assert progress.states["s"].output == ["kept", 4, 6]
    assert progress.states["s"].items[1].attempt == 2


async def test_only_what_changed_is_written_to_the_journal() -> None:
    progress = begin([1, 2, 3], each(), journal=[JournalledStep("s[0]", COMPLETED, 1, "kept")])
    work = Work(RUN, {"delay": Recorder()}, progress)
    await work.begin_ready()
    assert [one.id for one in progress.changes()] == ["s", "s[1]", "s[2]"]
    await work.stop()


async def test_a_thousand_items_are_done() -> None:
    progress = begin(list(range(MAX_ITEMS)), each("noop"))
    await work_to_end(progress)
    assert len(progress.states["s"].output) == MAX_ITEMS

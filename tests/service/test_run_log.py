"""What a run logs until it is written: numbered, bounded, counted; and what the executor says by itself."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from service.executor import run_log
from service.executor.claims import ClaimedRun
from service.executor.definition import parse_definition
from service.executor.kinds.approval import ApprovalAgent, decision
from service.executor.kinds.base import Agent, StepContext, StepFailedError
from service.executor.kinds.log_lines import log_line
from service.executor.kinds.noop import NoopAgent, NoopSettings
from service.executor.progress import Progress
from service.executor.run_log import MOST_BYTES, MOST_LINES, OWN_LINES, RunLog
from service.executor.waiting import Signal
from service.executor.work import Work
from tests.service.executor_support import step

pytestmark = pytest.mark.ring("unit")

RUN = ClaimedRun(UUID(int=1), 1, UUID(int=2), 1, "req-test", "tester", 1, False, 0.0, {}, None)


def say(log: RunLog, *messages: str) -> None:
    for message in messages:
        log.append(log_line("info", message, {}))


def told(log: RunLog) -> list[str]:
    return [line.message for line in log.waiting]


def numbers(log: RunLog) -> list[int]:
    return [line["number"] for line in json.loads(log.encoded(log.waiting) or "[]")]


def test_a_line_has_the_same_number_however_often_it_is_written() -> None:
    log = RunLog(token=3)
    say(log, "a", "b")
    first = numbers(log)
    assert numbers(log) == first
    say(log, "c")
    log.written(log.waiting[:2])
    assert numbers(log) == [first[1] + 1]


def test_lines_of_a_later_claim_come_after_all_of_an_earlier_one() -> None:
    earlier, later = RunLog(token=1), RunLog(token=2)
    say(earlier, *["x"] * MOST_LINES)
    say(later, "y")
    assert max(numbers(earlier)) < min(numbers(later))


def test_nothing_is_written_where_nothing_was_logged() -> None:
    assert RunLog().encoded(()) is None


def test_what_is_more_than_a_run_keeps_is_counted_and_told_at_the_end() -> None:
    log = RunLog()
    say(log, *["x"] * (MOST_LINES + 7))
    assert len(log.waiting) == MOST_LINES
    log.close()
    assert told(log)[-1] == "7 more lines were not kept: a run keeps 1,000, and 256 KiB"
    assert log.waiting[-1].fields == {"dropped": 7}
    log.close()
    assert len(log.waiting) == MOST_LINES + 1


def test_a_run_keeps_so_many_bytes() -> None:
    log = RunLog()
    say(log, *["x" * 2_000] * MOST_LINES)
    assert sum(line.size for line in log.waiting) <= MOST_BYTES
    assert len(log.waiting) > MOST_BYTES // 2_100


def test_what_was_logged_before_a_takeover_counts() -> None:
    log = RunLog(token=2)
    log.known(MOST_LINES - 1, 0)
    say(log, "one", "two")
    assert told(log) == ["one"]


def test_the_executor_still_speaks_where_the_agents_have_said_too_much() -> None:
    log = RunLog()
    say(log, *["x"] * (MOST_LINES + 1))
    for _ in range(OWN_LINES + 1):
        log.own("info", "own")
    assert len(log.waiting) == MOST_LINES + OWN_LINES
    log.close()
    assert log.waiting[-1].fields == {"dropped": 2}


async def test_a_line_has_the_run_looked_at_also_when_a_thread_has_logged_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "WRITE_SECONDS", 0.01)
    nudged = asyncio.Event()
    log = RunLog(nudge=nudged.set)
    await asyncio.to_thread(say, log, "from a thread")
    async with asyncio.timeout(10):
        await nudged.wait()
    assert log.is_due


async def test_lines_that_came_during_a_write_have_the_run_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "WRITE_SECONDS", 0.01)
    nudged = asyncio.Event()
    log = RunLog(nudge=nudged.set)
    say(log, "first")
    async with asyncio.timeout(10):
        await nudged.wait()
        written = log.waiting
        say(log, "second")
        nudged.clear()
        log.written(written)
        await nudged.wait()


class Moody(Agent[NoopSettings]):
    """Logs, and does what it is told to by the step's input."""

    kind = "noop"
    settings_model = NoopSettings

    async def run(self, settings: NoopSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """Fails while there are failures left."""
        context.log("at it")
        if context.attempt <= step_input.get("failures", 0):
            raise StepFailedError("moody", "not now", retryable=True)
        return step_input


async def work_on(*steps: dict[str, Any], signals: dict[str, Signal] | None = None) -> RunLog:
    """The log of a run of these steps, once nothing of them is under way."""
    log = RunLog()
    agents: dict[str, Agent[Any]] = {"noop": Moody(), "approval": ApprovalAgent(), "delay": NoopAgent()}
    progress = Progress(parse_definition({"steps": list(steps)}), {})
    work = Work(RUN, agents, progress, signals, log)
    async with asyncio.timeout(10):
        await work.begin_ready()
        work.launch()
        while work.tasks:
            done, _ = await asyncio.wait(work.tasks, return_when=asyncio.FIRST_COMPLETED)
            work.take(done)
            await work.begin_ready()
            work.launch()
    return log


async def test_a_try_that_is_repeated_is_told_with_its_reason() -> None:
    log = await work_on(step("a", step_input={"failures": 1}))
    assert [(line.level, line.message, line.step_id, line.attempt) for line in log.waiting] == [
        ("info", "at it", "a", 1),
        ("warning", "The try failed, there will be another one: not now", "a", 1),
        ("info", "at it", "a", 2),
    ]


async def test_a_step_that_failed_is_told_with_its_code() -> None:
    log = await work_on(step("a", attempts=1, step_input={"failures": 1}))
    last = log.waiting[-1]
    assert (last.level, last.message, last.fields) == ("error", "The step failed: not now", {"code": "moody"})


async def test_that_a_step_waits_and_that_it_was_signalled_is_told() -> None:
    approved = {"ask": Signal(decision(True, "ada"), None)}
    log = await work_on(step("ask", "approval", prompt="Ship it?"), signals=approved)
    assert told(log) == ["Waits for a signal", "Signalled: the step is completed"]


async def test_steps_that_go_well_and_log_nothing_leave_no_line() -> None:
    log = await work_on(step("a", "delay", seconds=0), step("b", "delay", needs=["a"], seconds=0))
    assert log.waiting == ()

"""Steps that wait for a signal: at work without any database."""

import time
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import pytest

from service.executor.claims import ClaimedRun
from service.executor.definition import parse_definition
from service.executor.journal import encode_steps
from service.executor.kinds.approval import ApprovalAgent, decision
from service.executor.kinds.base import Agent
from service.executor.kinds.delay import DelayAgent
from service.executor.kinds.noop import NoopAgent
from service.executor.progress import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    WAITING,
    JournalledStep,
    Progress,
)
from service.executor.waiting import Signal, Waiting
from service.executor.work import Work
from tests.service.executor_support import step

pytestmark = pytest.mark.ring("unit")

RUN = ClaimedRun(UUID(int=1), 1, UUID(int=2), 1, "req-test", "tester", 1, False, 0.0, {}, None)
AGENTS: Mapping[str, Agent[Any]] = {"approval": ApprovalAgent(), "delay": DelayAgent(), "noop": NoopAgent()}
APPROVED = Signal(decision(True, "ada"), None)
REJECTED = Signal(None, {"code": "rejected", "detail": "ada rejected it", "by": "ada"})


def ask(step_id: str = "ask", **given: Any) -> dict[str, Any]:
    return step(step_id, "approval", **({"prompt": "Ship it?"} | given))


def begin(
    *steps: Mapping[str, Any], journal: Iterable[JournalledStep] = (), run_input: Any = None, **signals: Signal
) -> tuple[Progress, Work]:
    progress = Progress(parse_definition({"steps": list(steps)}), run_input or {}, journal)
    return progress, Work(RUN, AGENTS, progress, signals)


async def test_a_step_that_waits_holds_up_only_what_needs_it() -> None:
    progress, work = begin(ask(), step("other"), step("after", needs=["ask"]))
    await work.begin_ready()
    assert {name: state.status for name, state in progress.states.items()} == {
        "ask": WAITING,
        "other": COMPLETED,
        "after": PENDING,
    }
    assert (work.waits, progress.ended, work.seconds_to_wake) == (True, False, None)


async def test_a_run_with_something_else_under_way_does_not_only_wait() -> None:
    progress, work = begin(ask(), step("slow", "delay", seconds=60, timeout=90))
    await work.begin_ready()
    assert not work.waits
    work.launch()
    assert not work.waits
    await work.stop()
    assert progress.states["ask"].status == WAITING


async def test_a_signal_completes_a_step_with_its_output_and_what_needs_it_goes_on() -> None:
    after = step("after", needs=["ask"], step_input={"by": {"$jmespath": "steps.ask.by"}})
    progress, work = begin(ask(), after, ask=APPROVED)
    await work.begin_ready()
    assert progress.ended
    assert progress.output() == {"after": {"by": "ada"}}
    assert progress.states["ask"].output == {"approved": True, "by": "ada", "comment": None, "data": None}


async def test_a_signal_with_an_error_fails_its_step_for_good() -> None:
    progress, work = begin(ask(), step("after", needs=["ask"]), ask=REJECTED)
    await work.begin_ready()
    assert progress.failed is progress.states["ask"]
    assert progress.states["ask"].error == REJECTED.error
    assert progress.states["after"].status == PENDING


@pytest.mark.parametrize(
    ("on_timeout", "status", "output"), [("fail", FAILED, None), ("continue", COMPLETED, decision(None))]
)
async def test_a_step_that_nobody_signals_in_time_fails_or_continues(on_timeout: str, status: str, output: Any) -> None:
    progress, work = begin(ask(timeout_seconds=60, on_timeout=on_timeout))
    await work.begin_ready()
    state = progress.states["ask"]
    assert 50 < (work.seconds_to_wake or 0) <= 60
    state.wake = time.monotonic()
    await work.begin_ready()
    assert (state.status, state.output) == (status, output)
    assert (state.error or {}).get("code") == ("timeout" if status == FAILED else None)


async def test_a_signal_counts_that_came_while_nobody_looked_though_the_time_is_over_now() -> None:
    waits = Waiting("approval", {}, 60)
    entry = JournalledStep("ask", WAITING, 1, None, waits, time.monotonic() - 1)
    progress, work = begin(ask(), journal=[entry], ask=APPROVED)
    await work.begin_ready()
    assert progress.states["ask"].status == COMPLETED


async def test_a_journalled_wait_goes_on_without_calling_the_agent_again() -> None:
    entry = JournalledStep("ask", WAITING, 1, None, Waiting("approval", {"prompt": "As it was asked"}), None)
    progress, work = begin(ask(prompt="Another"), journal=[entry])
    await work.begin_ready()
    state = progress.states["ask"]
    assert (state.status, state.changed) == (WAITING, False)
    assert state.waits is not None
    assert state.waits.shown == {"prompt": "As it was asked"}


EACH = {"items": "input.list", "max_parallel": 2}


async def test_items_wait_each_for_a_signal_of_its_own_and_no_more_than_may() -> None:
    signals = {"ask[0]": APPROVED}
    progress = Progress(parse_definition({"steps": [ask(for_each=EACH)]}), {"list": [1, 2, 3, 4]})
    work = Work(RUN, AGENTS, progress, signals)
    await work.begin_ready()
    assert [item.status for item in progress.states["ask"].items] == [COMPLETED, WAITING, WAITING, PENDING]
    signals |= {f"ask[{place}]": APPROVED for place in (1, 2, 3)}
    await work.begin_ready()
    assert progress.ended
    assert len(progress.states["ask"].output) == 4


async def test_items_that_wait_are_given_up_with_a_rejected_one() -> None:
    progress, work = begin(ask(for_each=EACH), run_input={"list": [1, 2]}, **{"ask[0]": REJECTED})
    await work.begin_ready()
    assert [item.status for item in progress.states["ask"].items] == [FAILED, CANCELLED]
    assert (progress.states["ask"].error or {})["detail"] == "item 0: ada rejected it"


async def test_items_go_on_waiting_after_their_run_was_let_go_of() -> None:
    progress, work = begin(ask(for_each=EACH), run_input={"list": [1, 2]})
    await work.begin_ready()
    progress.rest()
    journal = [JournalledStep(one.id, one.status, 1, None, one.waits) for one in progress.changes()]
    assert {entry.step_id: entry.status for entry in journal} == dict.fromkeys(("ask", "ask[0]", "ask[1]"), WAITING)
    signals = {"ask[0]": APPROVED, "ask[1]": APPROVED}
    again, work = begin(ask(for_each=EACH), run_input={"list": [1, 2]}, journal=journal, **signals)
    await work.begin_ready()
    assert again.ended
    assert again.states["ask"].status == COMPLETED


async def test_giving_up_cancels_what_waits() -> None:
    progress, work = begin(ask())
    await work.begin_ready()
    progress.give_up()
    assert progress.states["ask"].status == CANCELLED


async def test_what_is_waited_for_is_in_the_journal_only_while_it_is() -> None:
    progress, work = begin(ask(step_input={"amount": 7}))
    await work.begin_ready()
    assert '"shown":{"prompt":"Ship it?","input":{"amount":7}}' in encode_steps(progress.changes())
    progress.give_up()
    assert "waits" not in encode_steps(progress.changes())


async def test_a_try_under_way_goes_on_when_nothing_more_is_to_be_begun() -> None:
    _, work = begin(step("slow", "delay", seconds=60, timeout=90))
    await work.begin_ready()
    work.launch()
    work.rest()
    assert len(work.tasks) == 1
    await work.stop()

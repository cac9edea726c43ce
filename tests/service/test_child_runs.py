"""Steps that execute another workflow: one run for each, however often executors die, whose end is the step's end."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor.active import ActiveRun
from service.executor.callees import StoredCallees
from service.executor.claims import ClaimedRun
from service.executor.kinds.registry import create_agents
from service.executor.kinds.workflow import MAX_DEPTH, WorkflowAgent, child_id
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.executor.runner import Runner
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, outbox, run_steps, runs, signals, workflows
from tests.service.executor_support import (
    add_run,
    add_workflow,
    executing,
    finished,
    message,
    read_run,
    read_steps,
    relaying,
    step,
    step_reached,
    submit,
)
from tests.service.support import make_settings
from tests.service.test_executor_takeover import executor_process

pytestmark = pytest.mark.ring("service")

FAILS = step("wrong", "transform", expression="length(`1`)", attempts=1)


def call(step_id: str = "call", workflow: Any = "", **given: Any) -> dict[str, Any]:
    """A step that executes the workflow; ``whole`` is what it has besides."""
    whole = given.pop("whole", {})
    return step(step_id, "workflow", **whole, **({"workflow": str(workflow)} | given))


def repository(engine: AsyncEngine, owner: str = "one") -> RunRepository:
    return RunRepository(
        engine, owner=owner, lease_seconds=30, audit=True, execution_topic="execution", cancellation_topic="control"
    )


async def execute(engine: AsyncEngine, claimed: ClaimedRun) -> Any:
    """Work on the run as an executor does, until it ends or is let go of."""
    agents = create_agents(make_settings("postgresql://u@h/d"))
    caller = agents["workflow"]
    assert isinstance(caller, WorkflowAgent)
    caller.callees = StoredCallees(repository(engine).read_callee)
    async with asyncio.timeout(60):
        await Runner(repository(engine), agents).execute(ActiveRun(claimed))
    return await read_run(engine, claimed.id)


async def claim(engine: AsyncEngine, run_id: UUID) -> ClaimedRun:
    [claimed] = await repository(engine).claim_received([ExecutionRequest.model_validate(message(run_id))])
    return claimed


async def do(engine: AsyncEngine, run_id: UUID) -> Any:
    """Execute the queued run; returns its row."""
    return await execute(engine, await claim(engine, run_id))


async def children(engine: AsyncEngine, run_id: UUID) -> dict[str, Any]:
    """The runs that the run's steps have begun, by their steps."""
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(runs).where(runs.c.parent_run_id == run_id))).all()
    return {row.parent_step_id: row for row in rows}


async def sent(engine: AsyncEngine, topic: str) -> list[Any]:
    async with transaction(engine) as connection:
        query = select(outbox.c.payload).where(outbox.c.topic == topic).order_by(outbox.c.id)
        return list((await connection.execute(query)).scalars())


async def change(engine: AsyncEngine, run_id: UUID, **values: Any) -> None:
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(**values))


@pytest.fixture
async def parent(engine: AsyncEngine) -> UUID:
    """A run that waits for its child, of which nothing was done yet."""
    called = await add_workflow(engine, step("inner", step_input={"name": {"$jmespath": "input.name"}}))
    calling = await add_workflow(
        engine,
        call(workflow=called, whole={"step_input": {"name": {"$jmespath": "input.who"}}}),
        step("after", needs=["call"], step_input={"name": {"$jmespath": "steps.call.inner.name"}}),
    )
    run_id = await add_run(engine, calling, {"who": "Ada"})
    row = await do(engine, run_id)
    assert (row.status, row.lease_owner, row.attempt) == ("waiting", None, 0), row.error
    return run_id


async def only_child(engine: AsyncEngine, run_id: UUID) -> Any:
    [child] = (await children(engine, run_id)).values()
    return child


async def test_a_step_begins_a_run_of_its_own_and_waits_for_it_in_no_executor(
    engine: AsyncEngine, parent: UUID
) -> None:
    child = await only_child(engine, parent)
    assert (child.id, child.status, child.input) == (child_id(str(parent), "call"), "queued", {"name": "Ada"})
    assert (child.parent_step_id, child.depth, child.correlation_id) == ("call", 1, "req-test")
    assert child.requested_by == f"run:{parent}"
    waits = (await read_steps(engine, parent))["call"].waits
    assert (waits["kind"], waits["shown"]["run_id"], waits["shown"]["version"]) == ("workflow", str(child.id), 1)
    [told] = await sent(engine, "execution")
    assert (told["run_id"], told["input"]) == (str(child.id), {"name": "Ada"})
    async with transaction(engine) as connection:
        entry = (await connection.execute(select(audit_log).where(audit_log.c.action == "run.accept"))).one()
    assert (entry.subject_id, entry.detail["parent_run_id"]) == (str(child.id), str(parent))


async def test_the_output_of_the_run_is_that_of_the_step(engine: AsyncEngine, parent: UUID) -> None:
    child = await only_child(engine, parent)
    assert (await do(engine, child.id)).status == "completed"
    row = await read_run(engine, parent)
    assert (row.status, row.signals) == ("queued", 1)
    assert [each["run_id"] for each in await sent(engine, "execution")] == [str(child.id), str(parent)]
    [again] = await repository(engine).claim_forgotten(10, older_than_seconds=-1)
    row = await execute(engine, again)
    assert (row.status, row.attempt, row.output) == ("completed", 1, {"after": {"name": "Ada"}})
    steps = await read_steps(engine, parent)
    assert steps["call"].output == {"inner": {"name": "Ada"}}
    assert steps["call"].waits["shown"]["run_id"] == str(child.id), "which run it was is told after its end, too"


async def test_the_failure_of_the_run_is_that_of_the_step(engine: AsyncEngine) -> None:
    run_id = await add_run(engine, await add_workflow(engine, call(workflow=await add_workflow(engine, FAILS))))
    await do(engine, run_id)
    child = await only_child(engine, run_id)
    assert (await do(engine, child.id)).status == "failed"
    row = await do(engine, run_id)
    assert (row.status, row.error["code"], row.error["step_id"]) == ("failed", "child-failed", "call")
    error = (await read_steps(engine, run_id))["call"].error
    assert (error["run_id"], error["run_status"], error["run_code"]) == (str(child.id), "failed", "expression")
    assert error["detail"].startswith(f"the run {child.id} is failed: expression: ")


async def test_a_child_that_somebody_cancels_fails_its_step(engine: AsyncEngine, parent: UUID) -> None:
    child = await only_child(engine, parent)
    await change(engine, child.id, cancel_requested_at=func.now())
    assert await repository(engine).cancel_queued(child.id)
    row = await do(engine, parent)
    assert (row.status, row.error["code"]) == ("failed", "child-failed")
    error = (await read_steps(engine, parent))["call"].error
    assert (error["run_status"], error["detail"]) == ("cancelled", f"the run {child.id} is cancelled")


async def test_a_repeated_journal_entry_makes_no_second_run(engine: AsyncEngine, parent: UUID) -> None:
    async with transaction(engine) as connection:
        # As if the process had died after the agent's answer and before it was written: all is done again.
        await connection.execute(text("DELETE FROM run_steps"))
    await change(engine, parent, status="queued")
    assert (await do(engine, parent)).status == "waiting"
    assert len(await children(engine, parent)) == 1
    assert len(await sent(engine, "execution")) == 1


async def test_an_executor_that_lost_the_run_begins_none(engine: AsyncEngine) -> None:
    called = await add_workflow(engine, step("inner"))
    run_id = await add_run(engine, await add_workflow(engine, call(workflow=called)))
    claimed = await claim(engine, run_id)
    await change(engine, run_id, lease_token=7)
    await execute(engine, claimed)
    assert await children(engine, run_id) == {}
    assert await sent(engine, "execution") == []


async def test_an_end_that_comes_while_the_parent_is_being_let_go_of_is_not_lost(
    engine: AsyncEngine, parent: UUID
) -> None:
    await change(engine, parent, status="queued")
    claimed = await claim(engine, parent)
    await do(engine, (await only_child(engine, parent)).id)
    [told] = await sent(engine, "control")
    assert (told["run_id"], told["kind"], told["signals"]) == (str(parent), "signal", 1)
    assert not await repository(engine).park(claimed, "waiting", [], signals=0), "it does not know of the end"


async def test_each_item_begins_a_run_and_a_failed_one_stops_the_others(engine: AsyncEngine) -> None:
    called = await add_workflow(engine, step("inner", "transform", expression="length(n)", attempts=1,
        step_input={"n": {"$jmespath": "input.n"}}))  # fmt: skip
    each = {"for_each": {"items": "input.list"}, "step_input": {"n": {"$jmespath": "item"}}}
    run_id = await add_run(
        engine, await add_workflow(engine, call(workflow=called, whole=each)), {"list": ["a", 1, "c"]}
    )
    assert (await do(engine, run_id)).status == "waiting"
    found = await children(engine, run_id)
    assert {name: row.input for name, row in found.items()} == {
        "call[0]": {"n": "a"},
        "call[1]": {"n": 1},
        "call[2]": {"n": "c"},
    }
    await do(engine, found["call[0]"].id)
    await do(engine, found["call[1]"].id)
    row = await do(engine, run_id)
    assert (row.status, row.error["code"]) == ("failed", "child-failed")
    assert row.error["detail"].startswith("item 1: the run ")
    left = (await children(engine, run_id))["call[2]"]
    assert (left.status, left.cancel_requested_at is not None) == ("queued", True)
    assert [ended.id for ended in await repository(engine).force_cancellations(10, after_seconds=60)] == [left.id]


async def test_items_that_all_complete_make_a_list(engine: AsyncEngine) -> None:
    called = await add_workflow(engine, step("inner", step_input={"n": {"$jmespath": "input.n"}}))
    each = {"for_each": {"items": "input.list"}, "step_input": {"n": {"$jmespath": "item"}}}
    run_id = await add_run(engine, await add_workflow(engine, call(workflow=called, whole=each)), {"list": [5, 6]})
    await do(engine, run_id)
    for child in (await children(engine, run_id)).values():
        await do(engine, child.id)
    row = await do(engine, run_id)
    assert (row.status, row.output) == ("completed", {"call": [{"inner": {"n": 5}}, {"inner": {"n": 6}}]})


async def test_cancelling_a_run_cancels_all_below_it(engine: AsyncEngine) -> None:
    lowest = await add_workflow(engine, step("ask", "approval", prompt="May it?"))
    middle = await add_workflow(engine, call(workflow=lowest))
    run_id = await add_run(engine, await add_workflow(engine, call(workflow=middle)))
    await do(engine, run_id)
    child = await only_child(engine, run_id)
    await do(engine, child.id)
    grandchild = await only_child(engine, child.id)
    assert (await do(engine, grandchild.id)).status == "waiting"
    assert grandchild.depth == 2
    await change(engine, run_id, cancel_requested_at=func.now())
    for expected in ([run_id], [child.id], [grandchild.id], []):
        ended = await repository(engine).force_cancellations(10, after_seconds=60)
        assert [each.id for each in ended] == expected
    told = [each["run_id"] for each in await sent(engine, "control") if each["kind"] == "cancel"]
    assert told == [str(child.id), str(grandchild.id)]
    for each in (run_id, child.id, grandchild.id):
        assert (await read_run(engine, each)).status == "cancelled"


async def test_parent_and_child_that_end_by_one_statement_both_end(engine: AsyncEngine, parent: UUID) -> None:
    child = await only_child(engine, parent)
    for each in (parent, child.id):
        await change(engine, each, cancel_requested_at=func.now())
    ended = await repository(engine).force_cancellations(10, after_seconds=60)
    assert {each.id for each in ended} == {parent, child.id}
    assert {(await read_run(engine, each)).status for each in (parent, child.id)} == {"cancelled"}


async def test_a_step_that_has_waited_long_enough_leaves_its_run_which_is_cancelled(engine: AsyncEngine) -> None:
    called = await add_workflow(engine, step("inner"))
    calling = await add_workflow(engine, call(workflow=called, timeout_seconds=60, on_timeout="continue"), step("slow"))
    run_id = await add_run(engine, calling)
    await do(engine, run_id)
    async with transaction(engine) as connection:
        ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 61)
        await connection.execute(update(run_steps).values(started_at=ago))
    await change(engine, run_id, wake_at=func.now())
    [claimed] = await repository(engine).claim_woken(10)
    row = await execute(engine, claimed)
    assert (row.status, row.output["call"]) == ("completed", None)
    assert (await only_child(engine, run_id)).cancel_requested_at is not None


async def test_a_failure_with_steps_to_follow_leaves_no_run_behind(engine: AsyncEngine) -> None:
    called = await add_workflow(engine, step("inner"))
    steps = [call(workflow=called), step("fails", "transform", expression="length(`1`)", attempts=1)]
    calling = await add_workflow(
        engine, steps[0], step("gate", "delay", seconds=0.05),
        {**steps[1], "needs": ["gate"]}, on_failure=[step("ask", "approval", prompt="Now what?")],
    )  # fmt: skip
    run_id = await add_run(engine, calling)
    row = await do(engine, run_id)
    assert (row.status, row.error["code"]) == ("waiting", "expression")
    assert (await only_child(engine, run_id)).cancel_requested_at is not None


async def test_a_child_that_ends_after_its_parent_changes_nothing_of_it(engine: AsyncEngine, parent: UUID) -> None:
    child = await only_child(engine, parent)
    claimed = await claim(engine, child.id)
    await change(engine, parent, cancel_requested_at=func.now())
    await repository(engine).cancel_queued(parent)
    before = await read_run(engine, parent)
    await repository(engine).finish(claimed, "completed", [], output={})
    assert await read_run(engine, parent) == before
    async with transaction(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(signals)) == 0


async def test_an_end_that_was_not_told_is_told_by_whoever_sweeps(engine: AsyncEngine, parent: UUID) -> None:
    """As when an executor of a version without parents has ended the child."""
    child = await only_child(engine, parent)
    ago = func.now() - text("interval '1 minute'")
    await change(engine, child.id, status="completed", output={"inner": {"name": "Ada"}}, finished_at=ago)
    assert await repository(engine).answer_missed(10, older_than_seconds=90) == 0
    assert await repository(engine).answer_missed(10, older_than_seconds=30) == 1
    assert (await read_run(engine, parent)).status == "queued"
    assert (await do(engine, parent)).output["after"] == {"name": "Ada"}


async def test_an_end_that_was_told_is_not_told_again(engine: AsyncEngine, parent: UUID) -> None:
    await do(engine, (await only_child(engine, parent)).id)
    await change(engine, parent, status="waiting")
    assert await repository(engine).answer_missed(10, older_than_seconds=0) == 0


async def test_a_workflow_is_found_by_its_name_and_executed_in_the_version_asked_for(engine: AsyncEngine) -> None:
    called = await add_workflow(engine, step("inner"))
    async with transaction(engine) as connection:
        await connection.execute(update(workflows).where(workflows.c.id == called).values(name="inner work"))
    for version, status in ((None, "waiting"), (1, "waiting"), (2, "failed")):
        run_id = await add_run(engine, await add_workflow(engine, call(workflow="inner work", version=version)))
        row = await do(engine, run_id)
        assert row.status == status
    assert (row.error["code"], row.error["detail"]) == ("child-workflow", "the workflow 'inner work' has no version 2")


async def test_a_workflow_that_is_not_there_fails_the_step_at_once(engine: AsyncEngine) -> None:
    run_id = await add_run(engine, await add_workflow(engine, call(workflow="nowhere")))
    row = await do(engine, run_id)
    assert (row.status, row.error["code"]) == ("failed", "child-workflow")
    assert row.error["detail"] == "there is no workflow 'nowhere'"
    assert row.error["attempts"] == 1


async def test_an_input_that_does_not_fit_the_workflow_begins_no_run(engine: AsyncEngine) -> None:
    schema = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}}
    called = await add_workflow(engine, step("inner"), input_schema=schema)
    whole = {"step_input": {"amount": "much"}}
    run_id = await add_run(engine, await add_workflow(engine, call(workflow=called, whole=whole)))
    row = await do(engine, run_id)
    assert (row.status, row.error["code"]) == ("failed", "child-input")
    assert "amount: " in row.error["detail"]
    assert await children(engine, run_id) == {}


async def test_workflows_that_execute_themselves_end_at_a_depth(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("first"))
    again = await add_workflow(engine, call(workflow=workflow_id))
    async with transaction(engine) as connection:
        await connection.execute(
            text("UPDATE workflow_versions SET definition = jsonb_set(definition, '{steps,0,agent,settings,workflow}',"
                 " to_jsonb(workflow_id::text)) WHERE workflow_id = :id"), {"id": again}
        )  # fmt: skip
    run_id = top = await add_run(engine, again)
    for _ in range(MAX_DEPTH):
        assert (await do(engine, run_id)).status == "waiting"
        run_id = (await only_child(engine, run_id)).id
    row = await do(engine, run_id)
    assert (row.status, row.error["code"], row.depth) == ("failed", "child-depth", MAX_DEPTH)
    for _ in range(MAX_DEPTH):
        run_id = row.parent_run_id
        row = await do(engine, run_id)
    assert (row.id, row.status, row.error["code"]) == (top, "failed", "child-failed")


async def test_a_retry_of_the_parent_begins_a_new_run(engine: AsyncEngine, client: httpx.AsyncClient) -> None:
    run_id = await add_run(engine, await add_workflow(engine, call(workflow=await add_workflow(engine, FAILS))))
    await do(engine, run_id)
    await do(engine, (await only_child(engine, run_id)).id)
    await do(engine, run_id)
    answer = await client.post(f"/api/v1/runs/{run_id}/retry")
    assert answer.status_code == 202, answer.text
    again = UUID(answer.json()["run_id"])
    [claimed] = await repository(engine).claim_forgotten(10, older_than_seconds=-1)
    assert (await execute(engine, claimed)).status == "waiting"
    assert (await only_child(engine, again)).id != (await only_child(engine, run_id)).id


async def test_the_api_shows_parents_and_children(engine: AsyncEngine, client: httpx.AsyncClient, parent: UUID) -> None:
    child = await only_child(engine, parent)
    shown = (await client.get(f"/api/v1/runs/{child.id}")).json()
    assert (shown["parent_run_id"], shown["parent_step_id"]) == (str(parent), "call")
    assert (await client.get(f"/api/v1/runs/{parent}")).json()["parent_run_id"] is None
    listed = (await client.get("/api/v1/runs", params={"parent_run_id": str(parent)})).json()["items"]
    assert [each["id"] for each in listed] == [str(child.id)]
    decided = await client.post(f"/api/v1/runs/{parent}/steps/call/signal", json={"outcome": "approve"})
    assert (decided.status_code, decided.json()["type"].rpartition(":")[2]) == (409, "step-not-waiting")


async def test_a_killed_executor_leaves_one_run_for_each_item_which_all_are_taken_up(
    engine: AsyncEngine, settings: Settings
) -> None:
    called = await add_workflow(engine, step("slow", "delay", seconds=1.5), step("last", needs=["slow"]))
    each = {"for_each": {"items": "input.list", "max_parallel": 3}, "step_input": {"n": {"$jmespath": "item"}}}
    calling = await add_workflow(engine, call(workflow=called, whole=each))
    async with relaying(settings):
        async with executor_process(settings, "victim", "127.0.0.1:9") as victim:
            run_id = await submit(engine, settings, calling, {"list": [1, 2, 3, 4]})
            await step_reached(engine, run_id, "call[1]", "waiting")
            victim.kill()
            await victim.wait()
        async with executing(settings, executor_lease_seconds=3):
            row = await finished(engine, run_id)
    assert (row.status, len(row.output["call"])) == ("completed", 4), row.error
    found = await children(engine, run_id)
    assert {name: child.status for name, child in found.items()} == {
        f"call[{place}]": "completed" for place in range(4)
    }

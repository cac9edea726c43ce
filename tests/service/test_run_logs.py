"""Run logs against a real database: written with the journal, by whoever holds the run, and read page by page."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.executor import run_log
from service.executor.active import ActiveRun
from service.executor.claims import ClaimedRun, LeaseLostError
from service.executor.kinds.base import Agent, StepContext
from service.executor.kinds.log_lines import log_line
from service.executor.kinds.noop import NoopSettings
from service.executor.kinds.secrets import SecretFolder
from service.executor.messages import ExecutionRequest
from service.executor.repository import RunRepository
from service.executor.run_log import RunLog
from service.executor.runner import Runner
from service.platform.database import transaction
from service.platform.tables import run_logs, run_steps, runs
from tests.service.executor_support import add_run, add_workflow, message, read_run, step
from tests.service.servers import eventually

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"


class Talker(Agent[NoopSettings]):
    """Logs what its step's input says; with ``holds`` it goes on only when it is let."""

    kind = "noop"
    settings_model = NoopSettings

    def __init__(self, folder: Path | None = None) -> None:
        self.secret_folder = SecretFolder(folder)
        self.go_on = asyncio.Event()

    async def run(self, settings: NoopSettings, step_input: dict[str, Any], context: StepContext) -> Any:
        """Says it all."""
        for name in step_input.get("secrets", []):
            context.log(context.secret(name))
        for text in step_input.get("says", []):
            context.log(text, level=step_input.get("level", "info"), by=context.step_id)
        if step_input.get("holds"):
            await self.go_on.wait()
        return {}


def says(step_id: str, *texts: str, **more: Any) -> dict[str, Any]:
    needs = more.pop("needs", ())
    return step(step_id, step_input={"says": list(texts), **more}, needs=needs)


def repository(engine: AsyncEngine, owner: str = "one") -> RunRepository:
    return RunRepository(engine, owner=owner, lease_seconds=30, audit=False)


async def claim(engine: AsyncEngine, run_id: UUID) -> ClaimedRun:
    request = ExecutionRequest.model_validate(message(run_id))
    (claimed,) = await repository(engine).claim_received([request])
    return claimed


async def take_over(engine: AsyncEngine, run_id: UUID) -> ClaimedRun:
    """The run, as an executor claims it whose predecessor has died."""
    past = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, 1)
    async with transaction(engine) as connection:
        await connection.execute(update(runs).where(runs.c.id == run_id).values(lease_expires_at=past))
    (claimed,) = await repository(engine, "two").claim_expired(1)
    return claimed


async def execute(engine: AsyncEngine, *steps: dict[str, Any], agent: Agent[Any] | None = None) -> UUID:
    """A run of these steps that has ended."""
    run_id = await add_run(engine, await add_workflow(engine, *steps))
    await Runner(repository(engine), {"noop": agent or Talker()}).execute(ActiveRun(await claim(engine, run_id)))
    return run_id


async def stored(engine: AsyncEngine, run_id: UUID) -> list[Any]:
    async with transaction(engine) as connection:
        query = select(run_logs).where(run_logs.c.run_id == run_id).order_by(run_logs.c.number)
        return list((await connection.execute(query)).all())


async def messages(engine: AsyncEngine, run_id: UUID) -> list[str]:
    return [row.message for row in await stored(engine, run_id)]


def some_lines(*texts: str, token: int = 1) -> tuple[RunLog, str]:
    log = RunLog(token)
    for text in texts:
        log.append(log_line("info", text, {}))
    return log, log.encoded(log.waiting) or ""


@pytest.fixture
async def run_id(engine: AsyncEngine) -> UUID:
    """A queued run of one step."""
    return await add_run(engine, await add_workflow(engine, step("a")))


async def test_what_agents_log_is_kept_in_its_order_with_step_attempt_and_fields(engine: AsyncEngine) -> None:
    run_id = await execute(engine, says("a", "one", "two"), says("b", "three", needs=["a"]))
    assert [(row.step_id, row.attempt, row.level, row.message, row.fields) for row in await stored(engine, run_id)] == [
        ("a", 1, "info", "one", {"by": "a"}),
        ("a", 1, "info", "two", {"by": "a"}),
        ("b", 1, "info", "three", {"by": "b"}),
    ]


async def test_a_line_has_the_databases_time_at_which_it_was_logged(engine: AsyncEngine) -> None:
    run_id = await execute(engine, says("a", "one"))
    (line,), run = await stored(engine, run_id), await read_run(engine, run_id)
    assert run.created_at <= line.at <= run.finished_at


async def test_no_secret_gets_into_the_log(engine: AsyncEngine, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key that opens")
    run_id = await execute(engine, says("a", "it is a key that opens", secrets=["key"]), agent=Talker(tmp_path))
    assert await messages(engine, run_id) == ["[secret key]", "it is [secret key]"]


async def test_a_run_that_logs_nothing_is_executed_by_the_same_statements_as_ever(engine: AsyncEngine) -> None:
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await execute(engine, says("a"), says("b", needs=["a"]))
    quiet = len(seen)
    assert not [each for each in seen if "run_logs" in each]
    seen.clear()
    await execute(engine, says("a", "one"), says("b", "two", needs=["a"]))
    assert len(seen) == quiet, "lines are written with the journal"
    assert [each for each in seen if "run_logs" in each]


async def test_lines_of_a_step_under_way_are_written_before_it_ends(
    engine: AsyncEngine, run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "WRITE_SECONDS", 0.05)
    agent = Talker()
    held = await add_run(engine, await add_workflow(engine, says("a", "begun", holds=True)))
    runner = Runner(repository(engine), {"noop": agent})
    working = asyncio.create_task(runner.execute(ActiveRun(await claim(engine, held))))

    async def is_told() -> bool:
        return await messages(engine, held) == ["begun"]

    try:
        await eventually(is_told, "the line to be written", seconds=20)
        assert (await read_run(engine, held)).status == "running"
    finally:
        agent.go_on.set()
        async with asyncio.timeout(20):
            await working
    assert await messages(engine, held) == ["begun"]


async def test_a_line_written_again_after_a_lost_answer_is_there_once(engine: AsyncEngine, run_id: UUID) -> None:
    claimed = await claim(engine, run_id)
    _, lines = some_lines("once")
    await repository(engine).journal(claimed, [], lines=lines)
    await repository(engine).journal(claimed, [], lines=lines)
    assert await messages(engine, run_id) == ["once"]


@pytest.mark.parametrize("statement", ["journal", "note_failure", "finish", "park"])
async def test_an_executor_that_lost_the_run_adds_no_line(engine: AsyncEngine, run_id: UUID, statement: str) -> None:
    old = await claim(engine, run_id)
    await take_over(engine, run_id)
    _, lines = some_lines("too late")
    one = repository(engine)
    if statement == "park":
        assert not await one.park(old, "waiting", [], lines=lines)
    else:
        given: dict[str, Any] = {"journal": (old, []), "note_failure": (old, [], {}), "finish": (old, "failed", [])}
        with pytest.raises(LeaseLostError):
            await getattr(one, statement)(*given[statement], lines=lines)
    assert await messages(engine, run_id) == []


@pytest.mark.parametrize("statement", ["journal", "note_failure", "finish", "park"])
async def test_each_statement_that_writes_steps_writes_lines(engine: AsyncEngine, run_id: UUID, statement: str) -> None:
    run = await claim(engine, run_id)
    given: dict[str, Any] = {
        "journal": (run, []),
        "note_failure": (run, [], {}),
        "finish": (run, "failed", []),
        "park": (run, "waiting", []),
    }
    await getattr(repository(engine), statement)(*given[statement], lines=some_lines("said")[1])
    assert await messages(engine, run_id) == ["said"]


async def test_runs_that_are_journalled_together_keep_their_own_lines(engine: AsyncEngine) -> None:
    workflow_id = await add_workflow(engine, step("a"))
    claimed = [await claim(engine, await add_run(engine, workflow_id)) for _ in range(5)]
    one = repository(engine)
    spoken = {run.id: some_lines(str(place))[1] if place % 2 else None for place, run in enumerate(claimed)}
    await asyncio.gather(*(one.journal(run, [], lines=spoken[run.id]) for run in claimed))
    assert [await messages(engine, run.id) for run in claimed] == [[], ["1"], [], ["3"], []]


async def test_a_run_that_is_taken_over_says_so_after_what_was_logged_before(engine: AsyncEngine, run_id: UUID) -> None:
    first = await claim(engine, run_id)
    await repository(engine).journal(first, [], lines=some_lines("before")[1])
    second = await take_over(engine, run_id)
    await Runner(repository(engine, "two"), {"noop": Talker()}).execute(ActiveRun(second))
    assert await messages(engine, run_id) == ["before", "Taken over: the executor before let its lease expire"]


async def test_what_was_logged_before_a_takeover_counts_for_what_a_run_keeps(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_log, "MOST_LINES", 3)
    run_id = await add_run(engine, await add_workflow(engine, says("a"), says("b", "three", "four", needs=["a"])))
    first = await claim(engine, run_id)
    await repository(engine).journal(first, [], lines=some_lines("one", "two")[1])
    async with transaction(engine) as connection:
        await connection.execute(run_steps.insert().values(run_id=run_id, step_id="a", status="completed"))
    second = await take_over(engine, run_id)
    await Runner(repository(engine, "two"), {"noop": Talker()}).execute(ActiveRun(second))
    told = await stored(engine, run_id)
    assert [row.message for row in told if row.step_id] == []
    assert told[-1].fields == {"dropped": 2}


async def test_a_retry_begins_with_a_line_that_names_its_origin(engine: AsyncEngine, client: httpx.AsyncClient) -> None:
    origin = await add_run(engine, await add_workflow(engine, step("a")), status="failed")
    answer = await client.post(f"/api/v1/runs/{origin}/retry")
    (line,) = await stored(engine, UUID(answer.json()["run_id"]))
    assert (line.number, line.level, line.fields) == (0, "info", {"origin_run_id": str(origin)})


async def test_the_log_goes_with_its_run(engine: AsyncEngine) -> None:
    run_id = await execute(engine, says("a", "one"))
    async with transaction(engine) as connection:
        await connection.execute(run_steps.delete().where(run_steps.c.run_id == run_id))
        await connection.execute(runs.delete().where(runs.c.id == run_id))
    assert await messages(engine, run_id) == []


@pytest.fixture
async def talked(engine: AsyncEngine) -> UUID:
    """An ended run with five lines of ``a``, one of ``b`` (a warning), one of each of two items."""
    run_id = await execute(engine, says("a", *"12345"), says("b", "hm", level="warning", needs=["a"]))
    for place in range(2):
        values = {"run_id": run_id, "number": 2**30 + place, "level": "error", "message": f"item {place}"}
        async with transaction(engine) as connection:
            await connection.execute(run_logs.insert().values(**values, step_id=f"each[{place}]"))
    return run_id


async def read(client: httpx.AsyncClient, run_id: Any, **asked: Any) -> Any:
    answer = await client.get(f"/api/v1/runs/{run_id}/logs", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(page: Any) -> list[str]:
    return [line["message"] for line in page["items"]]


async def test_pages_give_every_line_once_and_in_order(client: httpx.AsyncClient, talked: UUID) -> None:
    found, cursor = [], {}
    while True:
        page = await read(client, talked, size=3, **cursor)
        found += shown(page)
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == [*"12345", "hm", "item 0", "item 1"]


async def test_a_line_says_all_that_is_known_of_it(client: httpx.AsyncClient, talked: UUID) -> None:
    line = (await read(client, talked, size=1))["items"][0]
    assert {**line, "at": None} == {
        "at": None, "level": "info", "step_id": "a", "attempt": 1, "message": "1", "fields": {"by": "a"}
    }  # fmt: skip


async def test_what_comes_later_is_found_from_the_latest_place(
    client: httpx.AsyncClient, engine: AsyncEngine, run_id: UUID
) -> None:
    nothing = await read(client, run_id)
    assert (nothing["items"], nothing["next"], nothing["run_status"]) == ([], None, "queued")
    claimed = await claim(engine, run_id)
    log, lines = some_lines("first")
    await repository(engine).journal(claimed, [], lines=lines)
    first = await read(client, run_id, cursor=nothing["latest"])
    assert (shown(first), first["next"]) == (["first"], None)
    log.written(log.waiting)
    log.append(log_line("info", "second", {}))
    await repository(engine).finish(claimed, "completed", [], lines=log.encoded(log.waiting))
    second = await read(client, run_id, cursor=first["latest"])
    assert (shown(second), second["run_status"]) == (["second"], "completed")
    assert (await read(client, run_id, cursor=second["latest"]))["latest"] == second["latest"]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"step": "b"}, ["hm"]),
        ({"step": "each"}, ["item 0", "item 1"]),
        ({"step": "each[1]"}, ["item 1"]),
        ({"step": "eac"}, []),
        ({"level": "debug"}, [*"12345", "hm", "item 0", "item 1"]),
        ({"level": "warning"}, ["hm", "item 0", "item 1"]),
        ({"level": "error", "step": "b"}, []),
    ],
)
async def test_filters_choose_lines(
    client: httpx.AsyncClient, talked: UUID, asked: dict[str, str], wanted: list[str]
) -> None:
    assert shown(await read(client, talked, **asked)) == wanted


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"level": "loud"}, "query.level"),
        ({"step": "a b"}, "query.step"),
        ({"step": "\0"}, "query.step"),
        ({"cursor": "x"}, "query.cursor"),
        ({"cursor": "-1"}, "query.cursor"),
        ({"cursor": "9" * 19}, "query.cursor"),
        ({"size": 0}, "query.size"),
    ],
)
async def test_a_question_that_means_nothing_is_refused(
    client: httpx.AsyncClient, run_id: UUID, asked: dict[str, Any], field: str
) -> None:
    answer = await client.get(f"/api/v1/runs/{run_id}/logs", params=asked)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_the_highest_cursor_gives_nothing(client: httpx.AsyncClient, talked: UUID) -> None:
    assert (await read(client, talked, cursor="9" * 18))["items"] == []


async def test_the_log_of_a_run_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/api/v1/runs/{ABSENT}/logs")).status_code == 404


@pytest.fixture
async def asked(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[list[str]]:
    """The statements that the API sends from now on."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engine = app.state.service.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def test_a_page_is_one_statement(client: httpx.AsyncClient, talked: UUID, asked: list[str]) -> None:
    await read(client, talked, level="info", step="a", size=2)
    assert len([each for each in asked if "run_logs" in each]) == 1
    assert len([each for each in asked if "runs" in each]) == 1

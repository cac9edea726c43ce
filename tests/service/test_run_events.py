"""Live events of a run: what is told, in which order, and to whom."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.events import response
from service.events import streams as streams_module
from service.events.cursor import Cursor, Snapshot
from service.events.streams import Streams
from service.executor.definition import parse_definition
from service.executor.progress import Progress, StepState
from service.executor.repository import ClaimedRun, RunRepository
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import runs
from tests.service.event_support import Reader, reading
from tests.service.executor_support import add_run, add_workflow, step
from tests.service.servers import eventually
from tests.service.support import running
from tests.service.test_executor_repository import let_lease_expire, repository, request

pytestmark = pytest.mark.ring("service")

Bearer = Callable[[Role], Awaitable[dict[str, str]]]


class Run:
    """A run whose executor is the test."""

    def __init__(self, engine: AsyncEngine, run_id: UUID) -> None:
        self.id, self.engine = run_id, engine
        self.path = f"/api/v1/runs/{run_id}/events"
        self.repository: RunRepository = repository(engine)
        self.claimed: ClaimedRun | None = None

    async def begin(self) -> None:
        (self.claimed,) = await self.repository.claim_received([request(self.id, str(self.id))])

    async def journal(self, **statuses: str) -> None:
        assert self.claimed is not None
        await self.repository.journal(self.claimed, _states(statuses))

    async def finish(self, status: str = "completed", **statuses: str) -> None:
        assert self.claimed is not None
        error = {"code": "agent", "detail": "no"} if status == "failed" else None
        await self.repository.finish(self.claimed, status, _states(statuses), output={}, error=error)


def _states(statuses: dict[str, str]) -> list[StepState]:
    states = Progress(parse_definition({"steps": [step(name) for name in statuses]}), {}).states
    for name, status in statuses.items():
        states[name].status, states[name].output = status, {"private": "output"}
    return list(states.values())


@pytest.fixture
async def run(engine: AsyncEngine) -> Run:
    """A queued run of two steps."""
    workflow_id = await add_workflow(engine, step("a"), step("b", needs=["a"]))
    return Run(engine, await add_run(engine, workflow_id, {"private": "input"}))


@pytest.fixture
async def viewer(bearer: Bearer) -> dict[str, str]:
    """The headers of a viewer."""
    return await bearer(Role.VIEWER)


def _streams(app: FastAPI) -> Streams:
    found: Streams = app.state.service.streams
    return found


async def test_a_run_is_told_from_its_acceptance_to_its_end(app: FastAPI, run: Run, viewer: dict[str, str]) -> None:
    async with running(app), reading(app, run.path, viewer) as (reader, answered):
        await reader.until("run", "queued")
        await run.begin()
        await reader.until("run", "running")
        await run.journal(a="running")
        await reader.until("a", "running")
        await run.journal(a="completed", b="running")
        await reader.until("b", "running")
        await run.finish(b="completed")
        await asyncio.wait_for(answered, 20)
    assert reader.told == [
        ("run", "queued"), ("run", "running"), ("a", "running"), ("a", "completed"), ("b", "running"),
        ("b", "completed"), ("run", "completed"), ("end", "completed"),
    ]  # fmt: skip
    assert reader.is_complete
    assert "private" not in reader.text, "what a run takes and gives is not for a stream"


async def test_the_answer_may_not_be_kept_by_caches_and_proxies(app: FastAPI, run: Run, viewer: dict[str, str]) -> None:
    async with running(app), reading(app, run.path, viewer) as (reader, _):
        await reader.until("run", "queued")
        assert reader.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (reader.headers["cache-control"], reader.headers["x-accel-buffering"]) == ("no-cache", "no")
        assert "content-length" not in reader.headers
        assert reader.text.startswith("retry: 1000\n\n")


async def test_a_run_that_has_ended_is_told_at_once(app: FastAPI, run: Run, viewer: dict[str, str]) -> None:
    await run.begin()
    await run.finish("failed", a="failed")
    async with running(app), reading(app, run.path, viewer) as (reader, answered):
        await asyncio.wait_for(answered, 5)
    assert reader.told == [("a", "failed"), ("run", "failed"), ("end", "failed")]
    assert reader.events[1].data["error"] == {"code": "agent", "detail": "no"}


async def test_who_comes_back_to_another_replica_gets_what_he_missed_in_its_newest_form(
    api_settings: Settings, app: FastAPI, run: Run, viewer: dict[str, str]
) -> None:
    await run.begin()
    await run.journal(a="running")
    async with running(app), reading(app, run.path, viewer) as (first, _):
        await first.until("a", "running")
    await run.journal(b="running")
    await run.journal(b="completed")
    other = create_app(api_settings)
    again = viewer | {"Last-Event-ID": first.events[-1].id}
    async with running(other), reading(other, run.path, again) as (second, _):
        await second.until("b", "completed")
        assert second.told == [("b", "completed")]


async def test_who_broke_off_between_events_of_one_write_gets_the_rest_of_it(
    app: FastAPI, run: Run, viewer: dict[str, str]
) -> None:
    await run.begin()
    await run.finish(a="completed", b="completed")
    async with running(app):
        async with reading(app, run.path, viewer) as (first, answered):
            await asyncio.wait_for(answered, 5)
        for place, event in enumerate(first.events[:-2]):
            async with reading(app, run.path, viewer | {"Last-Event-ID": event.id}) as (second, answered):
                await asyncio.wait_for(answered, 5)
            assert second.told == first.told[place + 1 :]


async def test_who_knows_the_end_is_told_not_to_come_back(app: FastAPI, run: Run, viewer: dict[str, str]) -> None:
    await run.begin()
    await run.finish(a="completed")
    async with running(app):
        async with reading(app, run.path, viewer) as (first, answered):
            await asyncio.wait_for(answered, 5)
        async with reading(app, run.path, viewer | {"Last-Event-ID": first.events[-1].id}) as (second, answered):
            await asyncio.wait_for(answered, 5)
    assert (second.status, second.text) == (204, "")


async def test_an_id_of_another_history_of_the_database_counts_for_nothing(
    app: FastAPI, run: Run, viewer: dict[str, str]
) -> None:
    await run.begin()
    await run.journal(a="completed")
    future = Cursor(Snapshot(2**40 + 1)).write()
    async with running(app), reading(app, run.path, viewer | {"Last-Event-ID": future}) as (reader, _):
        await reader.until("a", "completed")


async def test_steps_that_are_more_than_one_look_takes_are_all_told(
    app: FastAPI, engine: AsyncEngine, run: Run, viewer: dict[str, str]
) -> None:
    await run.begin()
    names = [f"s{number}" for number in range(250)]
    await run.finish(**dict.fromkeys(names, "completed"))
    async with running(app), reading(app, run.path, viewer) as (reader, answered):
        await asyncio.wait_for(answered, 20)
    assert sorted(name for name, _ in reader.told[:-2]) == sorted(names)
    assert reader.told[-2:] == [("run", "completed"), ("end", "completed")]


async def test_a_lease_that_is_extended_is_no_event(
    app: FastAPI, engine: AsyncEngine, run: Run, viewer: dict[str, str]
) -> None:
    await run.begin()
    async with running(app), reading(app, run.path, viewer) as (reader, _):
        await reader.until("run", "running")
        assert run.claimed is not None
        await run.repository.renew([run.claimed])
        await let_lease_expire(engine, run.id)
        await run.journal(a="running")
        await reader.until("a", "running")
        assert reader.told == [("run", "running"), ("a", "running")]


async def test_a_run_that_goes_away_ends_its_streams(
    app: FastAPI, engine: AsyncEngine, run: Run, viewer: dict[str, str]
) -> None:
    async with running(app), reading(app, run.path, viewer) as (reader, answered):
        await reader.until("run", "queued")
        async with transaction(engine) as connection:
            await connection.execute(runs.delete().where(runs.c.id == run.id))
        await asyncio.wait_for(answered, 10)
        assert reader.is_complete


@pytest.mark.parametrize("path", ["/api/v1/runs/{}/events"])
async def test_a_run_that_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path.format(UUID(int=7)))
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:problem:workflow-management:not-found")


async def test_what_is_no_event_id_is_refused_by_its_name(client: httpx.AsyncClient, run: Run) -> None:
    answer = await client.get(run.path, headers={"Last-Event-ID": "17"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "header.last-event-id", "message": "is no id of an event; take that of the last event as it is"}
    ]


async def test_who_does_not_log_in_reads_no_events(client: httpx.AsyncClient, run: Run) -> None:
    client.headers.pop("Authorization")
    assert (await client.get(run.path)).status_code == 401


async def _ended(app: FastAPI) -> None:
    streams = _streams(app)
    pool: Any = app.state.service.engine.sync_engine.pool

    async def nothing_is_left() -> bool:
        return not len(streams) and not streams.is_watching and pool.checkedout() == 0

    await eventually(nothing_is_left, "streams, watcher and connections to be gone", seconds=10)


async def test_of_five_hundred_streams_that_break_off_nothing_is_left(app: FastAPI, run: Run, bearer: Bearer) -> None:
    async def read_a_little(headers: dict[str, str], number: int) -> None:
        async with reading(app, run.path, headers) as (reader, answered):
            if number % 3:
                await reader.until("run", "queued")
            elif number % 2:
                # The server gives up on the request while it is being answered.
                answered.cancel()
                await asyncio.wait({answered})
                reader.gone.set()

    async def one(headers: dict[str, str], number: int) -> None:
        try:
            await read_a_little(headers, number)
        except asyncio.CancelledError:
            assert number % 3 == 0

    people = [await bearer(Role.VIEWER) for _ in range(5)]
    async with running(app):
        for _ in range(10):
            await asyncio.gather(*(one(people[number % 5], number) for number in range(50)))
        await _ended(app)


async def test_without_readers_nothing_is_watched(app: FastAPI, run: Run, viewer: dict[str, str]) -> None:
    async with running(app):
        assert not _streams(app).is_watching
        async with reading(app, run.path, viewer) as (reader, _):
            await reader.until("run", "queued")
            assert _streams(app).is_watching
        await _ended(app)


async def test_a_caller_has_so_many_streams_at_most(
    app: FastAPI, run: Run, viewer: dict[str, str], bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "MOST_OF_A_CALLER", 1)
    async with running(app), reading(app, run.path, viewer) as (reader, _):
        await reader.until("run", "queued")
        async with reading(app, run.path, viewer) as (second, _):
            pass
        async with reading(app, run.path, await bearer(Role.VIEWER)) as (other, _):
            await other.until("run", "queued")
    assert (second.status, second.headers["retry-after"]) == (429, "5")
    assert "too-many-streams" in second.text


async def test_a_process_has_so_many_streams_at_most(
    app: FastAPI, run: Run, viewer: dict[str, str], bearer: Bearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "MOST_STREAMS", 1)
    async with running(app), reading(app, run.path, viewer) as (reader, _):
        await reader.until("run", "queued")
        async with reading(app, run.path, await bearer(Role.VIEWER)) as (second, _):
            pass
    assert (second.status, second.headers["retry-after"]) == (503, "5")


async def _read_nothing(reader: Reader) -> None:
    await reader.until("run", "queued")
    reader.reads.clear()


async def test_a_reader_who_takes_nothing_is_dropped(
    app: FastAPI, run: Run, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "SEND_SECONDS", 0.2)
    async with running(app), reading(app, run.path, viewer) as (reader, answered):
        await _read_nothing(reader)
        await run.begin()
        await asyncio.wait_for(answered, 10)
        assert not reader.is_complete
        await _ended(app)


async def test_a_slow_reader_is_told_the_newest_state_and_holds_up_nobody(
    app: FastAPI, run: Run, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "SEND_SECONDS", 60)
    async with running(app), reading(app, run.path, viewer) as (slow, _), reading(app, run.path, viewer) as (quick, _):
        await _read_nothing(slow)
        await run.begin()
        await quick.until("run", "running")
        for name in ("s1", "s2", "s3"):
            await run.journal(a="running", **{name: "running"})
            await quick.until(name, "running")
        await run.journal(a="completed")
        await quick.until("a", "completed")
        slow.reads.set()
        await slow.until("a", "completed")
        assert slow.told.count(("a", "running")) <= 1


async def test_a_stream_says_that_it_lives(
    app: FastAPI, run: Run, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "KEEP_ALIVE_SECONDS", 0.05)
    async with running(app), reading(app, run.path, viewer) as (reader, _):

        async def pinged() -> bool:
            return ": ping\n\n" in reader.text

        await eventually(pinged, "a comment")


async def test_a_stream_ends_well_when_it_is_old(
    app: FastAPI, run: Run, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "MOST_SECONDS", 0.5)
    async with running(app), reading(app, run.path, viewer) as (reader, answered):
        await asyncio.wait_for(answered, 10)
    assert reader.is_complete
    assert reader.told == [("run", "queued")]


async def test_a_stop_ends_streams_at_once_and_who_comes_meanwhile_is_sent_on(
    app: FastAPI, run: Run, viewer: dict[str, str]
) -> None:
    async with running(app), reading(app, run.path, viewer) as (reader, answered):
        await reader.until("run", "queued")
        _streams(app).end_all()
        await asyncio.wait_for(answered, 5)
        assert reader.is_complete
        async with reading(app, run.path, viewer) as (late, answered):
            await asyncio.wait_for(answered, 5)
        assert (late.status, late.told, late.is_complete) == (200, [("run", "queued")], True)


async def test_an_outage_of_the_database_is_sat_out(
    app: FastAPI, run: Run, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [ConnectionError("away"), ValueError("broken")]
    look = streams_module.read_news

    async def sometimes(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return await look(*given)

    monkeypatch.setattr(streams_module, "read_news", sometimes)
    async with running(app), reading(app, run.path, viewer) as (reader, _):
        await reader.until("run", "queued")
        await run.begin()
        await reader.until("run", "running")
        assert not failures


async def test_the_time_to_answer_is_that_to_the_beginning_of_a_stream(
    app: FastAPI, client: httpx.AsyncClient, run: Run, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "MOST_SECONDS", 3.0)

    async def seconds() -> float:
        lines = (await client.get("/metrics")).text.splitlines()
        label = 'endpoint="/api/v1/runs/{run_id}/events",method="GET"'
        found = [line for line in lines if line.startswith("http_request_latency_seconds_sum") and label in line]
        return float(found[0].split()[-1]) if found else 0.0

    before = await seconds()
    async with reading(app, run.path, viewer) as (_, answered):
        await asyncio.wait_for(answered, 20)
    assert 0 < await seconds() - before < 3.0


async def test_one_statement_looks_for_all_readers(
    app: FastAPI, run: Run, viewer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    look = streams_module.read_news

    async def counted(connection: Any, runs: Any) -> Any:
        asked.append(len(runs))
        return await look(connection, runs)

    monkeypatch.setattr(streams_module, "read_news", counted)
    async with running(app), reading(app, run.path, viewer) as (one, _), reading(app, run.path, viewer) as (two, _):
        await one.until("run", "queued")
        await two.until("run", "queued")
        await run.begin()
        await one.until("run", "running")
        await two.until("run", "running")
    assert 2 in asked


async def test_a_status_that_changes_without_an_executor_is_told(
    app: FastAPI, engine: AsyncEngine, run: Run, viewer: dict[str, str]
) -> None:
    async with running(app), reading(app, run.path, viewer) as (reader, _):
        await reader.until("run", "queued")
        async with transaction(engine) as connection:
            await connection.execute(update(runs).where(runs.c.id == run.id).values(status="cancelled"))
        await reader.until("end", "cancelled")

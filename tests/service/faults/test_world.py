"""Kills, frozen executors and nonsense in Kafka while runs go on: none is lost, no effect is recorded twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.migrations.migrate import upgrade_schema
from service.platform.database import create_engine
from service.platform.kafka import ensure_topics
from service.platform.settings import Settings
from tests.service import servers
from tests.service.executor_support import add_run, add_workflow, step
from tests.service.faults.programs import api, programs
from tests.service.faults.world import STEPS, World, note_effects, world
from tests.service.servers import KafkaServer, PostgresServer, eventually, free_port
from tests.service.support import make_settings

SEED = 6


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A Postgres that may be killed: nobody else has it, and its data outlive it."""
    with servers.postgres(in_memory=False) as server:
        yield server


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """A Kafka that may be killed."""
    with servers.kafka() as server:
        yield server


async def _survive(
    postgres: PostgresServer, kafka: KafkaServer, folder: Path, *, runs: int, deaths: int, seconds: float
) -> None:
    rng = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    settings = make_settings(postgres.url("workflow_db"), kafka.broker)
    await ensure_topics(settings)
    engine = create_engine(settings, application="test")
    try:
        await upgrade_schema(engine)
        await note_effects(engine)
        async with world(engine, settings, postgres, kafka, folder) as found:
            await found.trouble(rng, deaths, runs=runs)
            await found.send_nonsense(rng)
            await found.ended(seconds)
            await _nothing_is_lost_or_doubled(found, runs)
    finally:
        await engine.dispose()


async def _nothing_is_lost_or_doubled(found: World, runs: int) -> None:
    stored = await found.query("SELECT id::text AS id, status FROM runs")
    assert sorted(found.accepted) == sorted(row.id for row in stored), "not the accepted runs are stored"
    assert len(stored) == runs
    assert Counter(row.status for row in stored) == {"completed": runs}
    effects = await found.query("SELECT step_id, count(*) AS n, count(DISTINCT run_id) AS d FROM effects GROUP BY 1")
    assert {row.step_id: (row.n, row.d) for row in effects} == dict.fromkeys(STEPS, (runs, runs))
    assert await found.query("SELECT * FROM changed_ends") == []
    told = await found.query("SELECT subject_id FROM audit_log WHERE action = 'run.completed'")
    assert sorted(row.subject_id for row in told) == sorted(found.accepted), "ends are not told once each"
    # Whoever dies between a call and its journal calls again, under the same key.
    assert len(found.calls) == runs * len(STEPS)

    async def set_aside() -> bool:
        return len(await found.query("SELECT id FROM dead_letters WHERE reason = 'unreadable'")) == 4

    await eventually(set_aside, "the unreadable messages to be dead letters", seconds=60)


@pytest.mark.ring("service")
async def test_runs_outlive_the_deaths_of_all_programs_and_servers(
    own_postgres: PostgresServer, own_kafka: KafkaServer, tmp_path: Path
) -> None:
    await _survive(own_postgres, own_kafka, tmp_path, runs=70, deaths=7, seconds=120)


@pytest.mark.ring("faults")
async def test_ten_thousand_runs_outlive_the_deaths_of_all_programs_and_servers(
    own_postgres: PostgresServer, own_kafka: KafkaServer, tmp_path: Path
) -> None:
    await _survive(own_postgres, own_kafka, tmp_path, runs=10_000, deaths=60, seconds=1800)


@pytest.mark.ring("service")
async def test_after_500_aborted_requests_no_connection_is_lent(
    api_settings: Settings, engine: AsyncEngine, bearer: Callable[[Role], Any], tmp_path: Path
) -> None:
    run_id = await add_run(engine, await add_workflow(engine, step("a")))
    program = api(api_settings, tmp_path, free_port())
    options: dict[str, Any] = {"base_url": f"http://127.0.0.1:{program.port}", "headers": await bearer(Role.ADMIN)}
    none_kept = httpx.Limits(max_keepalive_connections=0)
    async with programs(program), httpx.AsyncClient(limits=none_kept, timeout=20, **options) as client:
        aborted = 0

        async def abort(number: int) -> None:
            nonlocal aborted
            path = "/api/v1/runs?count=true" if number % 2 else f"/api/v1/runs/{run_id}/pause"
            try:
                async with asyncio.timeout((number % 50) / 1000):
                    await client.request("GET" if number % 2 else "POST", path)
            except (TimeoutError, httpx.TransportError):
                aborted += 1

        for begin in range(0, 600, 50):
            await asyncio.gather(*(abort(begin + number) for number in range(50)))
        assert aborted >= 500, "too few requests were cut off to show anything"

        async def none_lent() -> bool:
            page = (await client.get("/metrics")).text
            return "\ndb_pool_checked_out 0.0" in page

        await eventually(none_lent, "all connections to be back in the pool", seconds=20)
        assert "Traceback" not in program.told()

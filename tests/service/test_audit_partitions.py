"""The audit log in partitions, one a month: exchanged while it is written to, made ahead, dropped whole."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest
from alembic import command
from sqlalchemy.engine import Connection

from service.health.checkup import check
from service.maintenance.partitions import MONTHS_AHEAD, make_ahead
from service.maintenance.retention import forget
from service.migrations.migrate import alembic_config
from service.migrations.revisions import losing_statements
from service.platform.database import connect, create_engine
from service.platform.settings import Settings
from service.platform.worker_loop import Pulse
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("service")

BEFORE_PARTITIONS, WITH_PARTITIONS = "0013", "0014"
ADD = (
    "INSERT INTO audit_log (at, actor, action, subject_type) VALUES"
    " ((date_trunc('month', now() AT TIME ZONE 'UTC') + CAST($1::text AS interval)) AT TIME ZONE 'UTC', $2, 'b', 'c')"
)
PARTS = (
    "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid"
    " WHERE inhparent = 'audit_log'::regclass ORDER BY relname"
)


async def to_revision(settings: Settings, revision: str, *, back: bool = False) -> None:
    engine = create_engine(settings, application="test", statement_seconds=None)

    def go(connection: Connection) -> None:
        move: Callable[..., None] = command.downgrade if back else command.upgrade
        move(alembic_config(connection), revision)

    try:
        async with engine.connect() as connection:
            await connection.run_sync(go)
            await connection.commit()
    finally:
        await engine.dispose()


@pytest.fixture
async def connection(api_settings: Settings) -> AsyncIterator[Any]:
    """A plain connection of the tables' owner."""
    found = await connect(api_settings, application="test")
    yield found
    await found.close()


async def parts(connection: Any) -> list[str]:
    return [row[0] for row in await connection.fetch(PARTS)]


async def add(connection: Any, after: str, actor: str = "a") -> None:
    """An entry so long after the beginning of this month, or before it."""
    await connection.execute(ADD, after, actor)


async def month(connection: Any, place: int) -> str:
    """The month so many after this one, as it stands in the names of partitions."""
    text = "SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => $1), 'YYYYMM')"
    return str(await connection.fetchval(text, place))


async def only_with_month(connection: Any, place: int) -> str:
    """No partition but the default one and that of the month so many after this one; returns its name."""
    for part in await parts(connection):
        if part != "audit_log_default":
            await connection.execute(f"DROP TABLE {part}")
    name = f"audit_log_{await month(connection, place)}"
    await connection.execute(
        f"""DO $$ DECLARE begins timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') + interval '{place} months';
        BEGIN EXECUTE format('CREATE TABLE {name} PARTITION OF audit_log FOR VALUES FROM (%L) TO (%L)',
            begins AT TIME ZONE 'UTC', (begins + interval '1 month') AT TIME ZONE 'UTC'); END $$"""
    )
    return name


async def test_what_was_written_before_stays_and_what_follows_is_numbered_on(empty_database: str) -> None:
    settings = make_settings(empty_database)
    await to_revision(settings, BEFORE_PARTITIONS)
    connection = await connect(settings, application="test")
    try:
        for age in ("-400 days", "-1 day", "1 hour"):
            await add(connection, age)
        before = await connection.fetch("SELECT * FROM audit_log ORDER BY id")
        await to_revision(settings, WITH_PARTITIONS)
        assert await connection.fetch("SELECT * FROM audit_log ORDER BY id") == before
        await add(connection, "2 hours")
        assert await connection.fetchval("SELECT max(id) FROM audit_log") == before[-1]["id"] + 1
    finally:
        await connection.close()


async def test_who_may_write_and_read_may_so_at_once_but_not_in_a_partition_itself(empty_database: str) -> None:
    settings = make_settings(empty_database)
    await to_revision(settings, BEFORE_PARTITIONS)
    connection = await connect(settings, application="test")
    try:
        # A role that every server has stands for those of the programs.
        await connection.execute("GRANT SELECT, INSERT ON audit_log TO pg_monitor")
        await to_revision(settings, WITH_PARTITIONS)
        found: dict[str, list[str]] = {}
        for table in ("audit_log", *await parts(connection)):
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                if await connection.fetchval("SELECT has_table_privilege('pg_monitor', $1, $2)", table, right):
                    found.setdefault(table, []).append(right)
        assert found == {"audit_log": ["SELECT", "INSERT"]}
    finally:
        await connection.close()


async def test_the_way_back_keeps_all_and_can_be_gone_forward_again(empty_database: str) -> None:
    settings = make_settings(empty_database)
    await to_revision(settings, WITH_PARTITIONS)
    connection = await connect(settings, application="test")
    try:
        await add(connection, "1 hour")
        await to_revision(settings, BEFORE_PARTITIONS, back=True)
        await add(connection, "1 hour")
        assert await connection.fetchval("SELECT forget_audit(365, 10)") == 0
        await to_revision(settings, WITH_PARTITIONS)
        assert await connection.fetchval("SELECT count(*) FROM audit_log") == 2
    finally:
        await connection.close()


def test_nothing_is_lost_on_the_way_back() -> None:
    assert losing_statements(WITH_PARTITIONS, BEFORE_PARTITIONS) == []


async def test_an_attempt_that_was_cut_off_is_taken_up_again(empty_database: str) -> None:
    settings = make_settings(empty_database)
    await to_revision(settings, BEFORE_PARTITIONS)
    connection = await connect(settings, application="test")
    try:
        # Its bound is of long ago, so it would refuse every new entry.
        await connection.execute(
            "ALTER TABLE audit_log ADD CONSTRAINT ck_audit_log_before_202001 CHECK (at < '2020-01-01Z') NOT VALID"
        )
        await connection.execute("CREATE UNIQUE INDEX uq_audit_log_id_at ON audit_log (id, at)")
        await to_revision(settings, WITH_PARTITIONS)
        await add(connection, "1 hour")
        assert await connection.fetchval("SELECT count(*) FROM audit_log") == 1
    finally:
        await connection.close()


async def test_entries_are_written_all_the_while_the_table_is_exchanged(empty_database: str) -> None:
    settings = make_settings(empty_database)
    await to_revision(settings, BEFORE_PARTITIONS)
    stopping = asyncio.Event()

    async def write(number: int) -> int:
        connection = await connect(settings, application="test")
        written = 0
        try:
            while not stopping.is_set():
                async with connection.transaction():
                    await add(connection, "1 hour", f"writer {number}")
                written += 1
        finally:
            await connection.close()
        return written

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        writers = [group.create_task(write(number)) for number in range(3)]
        await to_revision(settings, WITH_PARTITIONS)
        stopping.set()
    reader = await connect(settings, application="test")
    try:
        assert await reader.fetchval("SELECT count(*) FROM audit_log") == sum(each.result() for each in writers)
    finally:
        await reader.close()


async def test_partitions_are_made_for_the_months_that_follow_what_there_was(connection: Any) -> None:
    made = await connection.fetchval("SELECT make_audit_partitions(4)")
    bound = await month(connection, 2)
    wanted = [f"audit_log_{await month(connection, place)}" for place in (2, 3, 4)]
    assert await parts(connection) == sorted([*wanted, f"audit_log_before_{bound}", "audit_log_default"])
    assert made == 2, "the migration has made one"
    assert await connection.fetchval("SELECT make_audit_partitions(4)") == 0


@pytest.mark.parametrize(("after", "place"), [("2 months", 2), ("3 months -1 microsecond", 2), ("3 months", 3)])
async def test_an_entry_goes_to_the_partition_of_its_month_in_utc(connection: Any, after: str, place: int) -> None:
    await connection.execute("SET TIME ZONE 'Pacific/Auckland'")
    await connection.fetchval("SELECT make_audit_partitions(3)")
    await add(connection, after)
    assert await connection.fetchval("SELECT tableoid::regclass::text FROM audit_log") == (
        f"audit_log_{await month(connection, place)}"
    )


async def test_an_entry_without_a_partition_is_kept_and_hinders_only_that_of_its_month(connection: Any) -> None:
    await add(connection, "3 months 5 days", "early")
    assert await connection.fetchval("SELECT make_audit_partitions(4)") == 1
    assert f"audit_log_{await month(connection, 3)}" not in await parts(connection)
    assert await connection.fetchval("SELECT tableoid::regclass::text FROM audit_log") == "audit_log_default"


@pytest.mark.parametrize("months", [0, -1, 13, None])
async def test_only_a_sensible_number_of_months_is_made(connection: Any, months: int | None) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="1 to 12 months ahead"):
        await connection.fetchval("SELECT make_audit_partitions($1)", months)


async def test_a_month_is_dropped_when_all_of_it_is_too_old(connection: Any) -> None:
    name = await only_with_month(connection, -3)
    await add(connection, "-3 months")
    days = await connection.fetchval(
        "SELECT extract(day FROM now() - (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '2 months')"
        " AT TIME ZONE 'UTC')::int"
    )
    await connection.fetchval("SELECT forget_audit($1, 10)", days + 1)
    assert name in await parts(connection), "its last day is not old enough"
    await connection.fetchval("SELECT forget_audit($1, 10)", days)
    assert await parts(connection) == ["audit_log_default"]


async def test_what_was_before_the_months_goes_row_by_row_and_in_the_end_whole(connection: Any) -> None:
    before = next(part for part in await parts(connection) if "_before_" in part)
    for age in ("-400 days", "-500 days", "1 hour"):
        await add(connection, age)
    assert await connection.fetchval("SELECT forget_audit(365, 1)") == 1
    assert await connection.fetchval("SELECT forget_audit(365, 10)") == 1
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == 1
    await connection.execute(f"ALTER TABLE audit_log DETACH PARTITION {before}")
    await connection.execute(f"TRUNCATE {before}")
    await connection.execute(f"ALTER TABLE {before} RENAME TO audit_log_before_202001")
    await connection.execute(
        "ALTER TABLE audit_log ATTACH PARTITION audit_log_before_202001 FOR VALUES FROM (MINVALUE) TO ('2020-01-01Z')"
    )
    await connection.fetchval("SELECT forget_audit(365, 10)")
    assert "audit_log_before_202001" not in await parts(connection)


async def test_a_month_that_somebody_reads_is_left_for_later_and_nobody_waits_long(
    connection: Any, api_settings: Settings
) -> None:
    name = await only_with_month(connection, -3)
    reader = await connect(api_settings, application="reader")
    try:
        async with reader.transaction():
            await reader.fetch("SELECT count(*) FROM audit_log")
            async with asyncio.timeout(20):
                assert await connection.fetchval("SELECT forget_audit(30, 10)") == 0
            assert name in await parts(connection)
    finally:
        await reader.close()
    await connection.fetchval("SELECT forget_audit(30, 10)")
    assert name not in await parts(connection)


async def test_retention_makes_partitions_also_where_everything_is_kept(
    connection: Any, api_settings: Settings
) -> None:
    await only_with_month(connection, -1)
    kept = api_settings.model_copy(update={"retention_runs_days": 0, "retention_audit_days": 0})
    await forget(kept, asyncio.Event(), Pulse())
    ahead = [f"audit_log_{await month(connection, place)}" for place in range(MONTHS_AHEAD + 1)]
    assert set(ahead) <= set(await parts(connection))


async def test_the_check_tells_when_the_next_month_has_no_partition(connection: Any, api_settings: Settings) -> None:
    assert [each.passed for each in await check(api_settings, ["partitions"])] == [True]
    await only_with_month(connection, 0)
    (found,) = await check(api_settings, ["partitions"])
    assert not found.passed
    assert "no partition for" in found.detail
    await make_ahead(connection)
    assert [each.passed for each in await check(api_settings, ["partitions"])] == [True]


async def test_the_newest_entries_are_found_without_sorting_the_others(connection: Any) -> None:
    await connection.execute("SET enable_seqscan = off")
    rows = await connection.fetch("EXPLAIN SELECT * FROM audit_log ORDER BY id DESC LIMIT 50")
    plan = "\n".join(row[0] for row in rows)
    assert "Merge Append" in plan
    assert "Sort  " not in plan

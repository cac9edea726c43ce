"""The rights of the programs: enough for all that each of them does, and for nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.deadletters.letter import DeadLetter, as_json
from service.deadletters.store import KEEP_PLAIN
from service.executor import claim_statements, statements
from service.executor.conclusion import END_RECEIVED
from service.maintenance import progress
from service.maintenance.partitions import make_ahead
from service.maintenance.retention import limits
from service.migrations.migrate import give_rights
from service.migrations.rights import RIGHTS
from service.platform.database import connect, transaction
from service.platform.kafka import ensure_topics
from service.platform.settings import Settings
from service.platform.tables import metadata
from service.relay.outbox import measure
from tests.service.executor_support import executing, finished, read_run, relaying
from tests.service.schedule_support import move_back, read_schedule
from tests.service.servers import KafkaServer, PostgresServer, eventually
from tests.service.support import add_user, make_settings, running
from tests.service.webhook_support import read_deliveries

pytestmark = pytest.mark.ring("service")

PASSWORD = "rights-7d21"

MIGRATIONS_OWN_TABLE = "alembic_version"


@dataclass
class Logins:
    """Settings for each program, with a login that has its group role's rights only."""

    api: Settings
    relay: Settings
    executor: Settings

    @property
    def workers(self) -> tuple[Settings, ...]:
        """The programs that have a topic or the outbox before them."""
        return self.relay, self.executor


@pytest_asyncio.fixture
async def logins(
    postgres_server: PostgresServer, kafka_server: KafkaServer, database: str, engine: AsyncEngine
) -> AsyncIterator[Logins]:
    def as_superuser(statement: str) -> None:
        code, said = postgres_server.container.exec_run(["psql", "-U", "postgres", "-qc", statement])
        assert code == 0, said

    names = [name for role in RIGHTS for name in (role, f"{role}_1")]
    made = "CREATE ROLE {0} NOLOGIN; CREATE ROLE {0}_1 LOGIN PASSWORD '{1}' IN ROLE {0}"
    as_superuser("; ".join(made.format(role, PASSWORD) for role in RIGHTS))
    try:
        await give_rights(engine)
        place = database.partition("@")[2]
        one = make_settings(
            f"postgresql://api_1:{PASSWORD}@{place}", kafka_server.broker, http_agent_allowed_hosts=("127.0.0.1:9",)
        )
        await ensure_topics(one)
        same = one.model_dump()
        found = {
            role: Settings.model_validate({**same, "database_url": f"postgresql://{role}_1:{PASSWORD}@{place}"})
            for role in RIGHTS
        }
        yield Logins(**found)
    finally:
        async with transaction(engine) as connection:
            for name in names:
                await connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}"))
                await connection.execute(text(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {name}"))
                await connection.execute(text(f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {name}"))
        as_superuser("; ".join(f"DROP ROLE {name}" for name in reversed(names)))


def test_every_table_is_known_to_the_rights() -> None:
    known = {table for rights in RIGHTS.values() for table in rights}
    assert known == {*metadata.tables, MIGRATIONS_OWN_TABLE}


async def test_each_program_can_do_all_its_work(logins: Logins, engine: AsyncEngine) -> None:
    async with transaction(engine) as connection:
        user = await add_user(connection, Role.ADMIN)
    token = {"Authorization": f"Bearer {issue_token(logins.api, user, Role.ADMIN)}"}
    async with (
        relaying(logins.relay),
        executing(logins.executor),
        running(create_app(logins.api), **token) as client,
    ):
        answers = [await client.post("/api/v1/auth/login", json={"username": "nobody", "password": "wrong-password"})]
        assert answers.pop().status_code == 401
        agent = await client.post("/api/v1/agents", json={"name": "nothing", "kind": "noop"})
        steps = [{"id": "first", "agent": "nothing"}, {"id": "second", "agent": "nothing", "needs": ["first"]}]
        workflow = await client.post("/api/v1/workflows", json={"name": "two", "steps": steps})
        place = f"/api/v1/workflows/{workflow.json()['id']}"
        limited = await client.put(f"{place}/limits", json={"max_running": 1})
        run = await client.post(f"{place}/execute", json={"input": {}, "priority": 1})
        assert run.status_code == 202, run.text
        run_id = run.json()["run_id"]
        await finished(engine, run_id)
        schedule = {
            "name": "minutes",
            "workflow_id": workflow.json()["id"],
            "expression": "* * * * *",
            "overlap": "skip",
        }
        timed = await client.post("/api/v1/schedules", json=schedule)
        timed_place = f"/api/v1/schedules/{timed.json()['id']}"
        await move_back(engine, timed.json()["id"], datetime.now(UTC) - timedelta(seconds=30))
        await eventually(lambda: _has_fired(engine, timed.json()["id"]), "the relay to fire the schedule")
        await finished(engine, (await read_schedule(engine, timed.json()["id"])).last_run_id)
        hook = {"name": "hook", "url": "http://127.0.0.1:9/", "events": ["run.completed"]}
        hooked = await client.post("/api/v1/webhooks", json=hook)
        hook_place = f"/api/v1/webhooks/{hooked.json()['id']}"
        told = await client.post(f"{place}/execute", json={"input": {}})
        await finished(engine, told.json()["run_id"])
        await eventually(lambda: _was_tried(engine), "the relay to try the delivery")
        (delivery,) = (await client.get(f"{hook_place}/deliveries")).json()["items"]
        letters = [
            await _dead_letter(program, engine, f"place {number}") for number, program in enumerate(logins.workers)
        ]
        delayed = await client.post("/api/v1/agents", json={"name": "later", "kind": "noop"})
        key = await client.post("/api/v1/auth/keys", json={"name": "a key", "role": "viewer"})
        answers = [
            agent, workflow, limited, run, delayed, key, timed,
            await client.get(f"/api/v1/runs/{run_id}"),
            await client.get("/api/v1/runs"),
            await client.get("/api/v1/audit"),
            await client.get("/api/v1/auth/keys"),
            await client.get("/api/v1/agents", headers={"X-API-Key": key.json().get("key", ""), "Authorization": ""}),
            await client.post(f"/api/v1/runs/{run_id}/cancel"),
            await client.put(place, json={"name": "two", "steps": steps[:1]}),
            await client.delete(f"/api/v1/auth/keys/{key.json()['id']}"),
            await client.delete(f"/api/v1/agents/{delayed.json()['id']}"),
            await client.get("/api/v1/schedules"),
            await client.get(f"{timed_place}/next"),
            await client.put(timed_place, json=schedule),
            await client.post(f"{timed_place}/pause"),
            await client.post(f"{timed_place}/resume"),
            await client.delete(timed_place),
            hooked,
            told,
            await client.get("/api/v1/webhooks"),
            await client.put(hook_place, json=hook),
            await client.post(f"{hook_place}/disable"),
            await client.post(f"{hook_place}/enable"),
            await client.post(f"{hook_place}/rotate-secret"),
            await client.post(f"{hook_place}/deliveries/{delivery['id']}/redeliver"),
            await client.get(f"/api/v1/runs/{run_id}/events"),
            await client.get(f"/api/v1/runs/{run_id}/logs"),
            await client.delete(hook_place),
            await client.get("/api/v1/dead-letters"),
            await client.get(f"/api/v1/dead-letters/{letters[0]}/payload"),
            await client.post(f"/api/v1/dead-letters/{letters[0]}/requeue"),
            await client.post(f"/api/v1/dead-letters/{letters[1]}/discard"),
            await client.delete(place),
            await client.get("/health/ready"),
        ]  # fmt: skip
    assert [answer.request.url.path for answer in answers if answer.status_code >= 500] == []
    assert [answer.status_code for answer in (agent, workflow, key, timed)] == [201, 201, 201, 201]
    assert hooked.status_code == 201


async def _dead_letter(program: Settings, engine: AsyncEngine, place: str) -> UUID:
    """One that the program keeps, and sees again."""
    letter = DeadLetter.of_outbox(1, datetime.now(UTC), "topic", place, (), b"{}")
    connection = await connect(program, application="test")
    try:
        for _ in range(2):
            await connection.execute(KEEP_PLAIN, as_json([letter]))
    finally:
        await connection.close()
    async with transaction(engine) as owner:
        found = await owner.execute(text("SELECT id FROM dead_letters WHERE key = :place"), {"place": place})
        return UUID(str(found.scalar_one()))


async def _has_fired(engine: AsyncEngine, schedule_id: UUID) -> bool:
    return (await read_schedule(engine, schedule_id)).last_run_id is not None


async def _was_tried(engine: AsyncEngine) -> bool:
    return any(each.last_error for each in await read_deliveries(engine))


async def test_the_rare_statements_of_relay_and_executor_are_allowed(logins: Logins) -> None:
    relay = await connect(logins.relay, application="test")
    try:
        await measure(relay)
        await relay.execute("DELETE FROM webhook_deliveries WHERE created_at < now() - interval '30 days'")
        await relay.execute("UPDATE webhooks SET disabled_at = NULL, disabled_reason = NULL WHERE false")
        await progress.measure(relay)
        await make_ahead(relay)
        for function in limits(logins.relay):
            assert await relay.fetchval(f"SELECT {function}(365, 10)") == 0
    finally:
        await relay.close()
    executor = await connect(logins.executor, application="test")
    try:
        for statement in (
            claim_statements.CLAIM_EXPIRED,
            claim_statements.CLAIM_FORGOTTEN,
            claim_statements.CLAIM_WOKEN,
            statements.FORCE_CANCELLATIONS,
            statements.PARK,
            statements.PARK_PARENT,
            statements.JOURNAL_OF_PARENT,
            statements.NOTE_FAILURE_OF_PARENT,
            statements.FINISH_RELATED,
            statements.READ_CALLEE,
            statements.TAKE_REPLIES,
            statements.ANSWER_MISSED,
            statements.READ_JOURNAL,
            *(statements.with_lines(each) for each in (statements.JOURNAL, statements.FINISH_RELATED, END_RECEIVED)),
            statements.READ_SIGNALS,
            statements.FORGET_MESSAGES,
        ):
            # What is not allowed is refused when the statement is planned.
            names = statement.compile().params
            sql = str(statement)
            for name in names:
                sql = sql.replace(f":{name}", "NULL")
            await executor.execute(f"EXPLAIN {sql}")
    finally:
        await executor.close()


async def test_runs_are_paused_decided_cancelled_and_done_again_with_these_rights(
    logins: Logins, engine: AsyncEngine
) -> None:
    async with transaction(engine) as connection:
        user = await add_user(connection, Role.OPERATOR)
    token = {"Authorization": f"Bearer {issue_token(logins.api, user, Role.OPERATOR)}"}
    async with (
        relaying(logins.relay),
        executing(logins.executor, executor_lease_seconds=3),
        running(create_app(logins.api), **token) as client,
    ):

        async def post(path: str, **body: object) -> str:
            answer = await client.post(f"/api/v1{path}", json=body or None)
            assert answer.is_success, answer.text
            return str(answer.json().get("run_id") or answer.json().get("id"))

        async def waits(run_id: str) -> None:
            async def is_waiting() -> bool:
                return bool((await read_run(engine, UUID(run_id))).status == "waiting")

            await eventually(is_waiting, "the run to wait for a decision", seconds=40)

        await post("/agents", name="asker", kind="approval", settings={"prompt": "Ship it?"})
        workflow_id = await post("/workflows", name="asked", steps=[{"id": "ask", "agent": "asker"}])
        run_id = await post(f"/workflows/{workflow_id}/execute")
        await waits(run_id)
        await post(f"/runs/{run_id}/pause")
        await post(f"/runs/{run_id}/resume")
        await waits(run_id)
        await post(f"/runs/{run_id}/steps/ask/signal", outcome="approve")
        assert (await finished(engine, UUID(run_id))).status == "completed"
        again = await post(f"/runs/{run_id}/replay")
        await waits(again)
        await post(f"/runs/{again}/cancel")
        assert (await finished(engine, UUID(again))).status == "cancelled"
        await waits(await post(f"/runs/{again}/retry"))
        await post("/agents", name="caller", kind="workflow", settings={"workflow": "asked"})
        calling = await post("/workflows", name="calling", steps=[{"id": "call", "agent": "caller"}])
        parent = await post(f"/workflows/{calling}/execute")
        await waits(parent)
        [child] = (await client.get(f"/api/v1/runs?parent_run_id={parent}")).json()["items"]
        await waits(child["id"])
        await post(f"/runs/{child['id']}/steps/ask/signal", outcome="approve")
        assert (await finished(engine, UUID(parent))).status == "completed"


@pytest.mark.parametrize(
    ("program", "statement"),
    [
        ("api", "DELETE FROM audit_log"),
        ("api", "UPDATE audit_log SET actor = 'x'"),
        ("api", "TRUNCATE audit_log"),
        ("api", "ALTER TABLE audit_log ADD COLUMN mine int"),
        ("api", "DROP TABLE audit_log"),
        ("api", "SELECT setval('audit_log_id_seq', 1)"),
        ("api", "UPDATE runs SET output = '1'"),
        ("api", "UPDATE runs SET finished_at = now()"),
        ("api", "UPDATE runs SET lease_token = 0"),
        ("api", "DELETE FROM runs"),
        ("api", "INSERT INTO run_steps (run_id, step_id, error) VALUES (gen_random_uuid(), 'x', '{}')"),
        ("api", "UPDATE run_steps SET output = '1'"),
        ("api", "DELETE FROM run_steps"),
        ("api", "UPDATE run_logs SET message = 'x'"),
        ("api", "DELETE FROM run_logs"),
        ("executor", "UPDATE run_logs SET message = 'x'"),
        ("executor", "DELETE FROM run_logs"),
        ("relay", "SELECT * FROM run_logs"),
        ("api", "UPDATE users SET role = 'admin'"),
        ("api", "CREATE TABLE mine (id int)"),
        ("relay", "SELECT input FROM runs"),
        ("relay", "SELECT * FROM users"),
        ("relay", "UPDATE webhooks SET url = 'x'"),
        ("executor", "SELECT url FROM webhooks"),
        ("executor", "SELECT * FROM webhook_deliveries"),
        ("api", "INSERT INTO webhook_deliveries (webhook_id) VALUES (gen_random_uuid())"),
        ("relay", "UPDATE schedules SET input = '{}'"),
        ("relay", "DELETE FROM schedules"),
        ("relay", "UPDATE runs SET status = 'completed'"),
        ("executor", "SELECT * FROM schedules"),
        ("relay", "SELECT * FROM audit_log"),
        ("executor", "SELECT * FROM users"),
        ("executor", "SELECT * FROM api_keys"),
        ("executor", "SELECT * FROM audit_log"),
        ("executor", "DELETE FROM audit_log"),
        ("executor", "UPDATE audit_log SET actor = 'x'"),
        ("executor", "TRUNCATE audit_log"),
        ("executor", "SELECT * FROM outbox"),
        ("executor", "DELETE FROM outbox"),
        ("executor", "UPDATE signals SET output = '1'"),
        ("executor", "SELECT description FROM workflows"),
        ("executor", "DELETE FROM runs"),
        ("executor", "UPDATE workflow_versions SET created_by = 'x'"),
        ("executor", "DELETE FROM run_steps"),
        ("executor", "SELECT payload FROM dead_letters"),
        ("executor", "DELETE FROM dead_letters"),
        ("relay", "DELETE FROM runs"),
        ("relay", "DELETE FROM audit_log"),
        ("relay", "DELETE FROM dead_letters"),
        ("relay", "SELECT output FROM run_steps"),
        ("executor", "SELECT forget_audit(365, 10)"),
        ("api", "SELECT forget_audit(365, 10)"),
        ("api", "SELECT make_audit_partitions(2)"),
        ("api", "SELECT * FROM audit_log_default"),
        ("api", "INSERT INTO audit_log_default (actor, action, subject_type) VALUES ('a', 'b', 'c')"),
        ("api", "SELECT forget_runs(365, 10)"),
        ("relay", "SELECT payload FROM dead_letters"),
        ("relay", "UPDATE dead_letters SET state = 'open'"),
        ("api", "UPDATE dead_letters SET payload = ''"),
        ("api", "INSERT INTO dead_letters (place) VALUES ('x')"),
        ("api", "DELETE FROM dead_letters"),
    ],
)
async def test_what_is_not_a_programs_work_is_refused(logins: Logins, program: str, statement: str) -> None:
    connection = await connect(getattr(logins, program), application="test")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_audit_log_grows_by_the_api_and_only_its_owner_shortens_it(
    logins: Logins, engine: AsyncEngine
) -> None:
    add = "INSERT INTO audit_log (at, actor, action, subject_type) VALUES (now() - $1::interval, 'a', 'b', 'c')"
    api = await connect(logins.api, application="test")
    try:
        for days in (400, 1):
            await api.execute(add, timedelta(days=days))
        assert await api.fetchval("SELECT count(*) FROM audit_log") == 2
    finally:
        await api.close()
    async with transaction(engine) as connection:
        # What a retention does: it works with the login of the migrations, which owns the tables.
        gone = await connection.execute(text("DELETE FROM audit_log WHERE at < now() - interval '365 days'"))
    assert gone.rowcount == 1

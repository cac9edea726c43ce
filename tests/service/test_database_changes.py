"""Against a server of its own: encrypted and verified connections, and requests while connections are cut."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from service.app import create_app
from service.migrations.migrate import upgrade_schema
from service.platform.database import DatabaseUnavailableError, connect, create_engine
from service.platform.settings import Settings
from tests.certificates import Authority
from tests.service import servers
from tests.service.servers import PostgresServer, eventually
from tests.service.support import NOBODY, make_settings, running

pytestmark = pytest.mark.ring("service")

ROOT = Path(__file__).resolve().parents[2]


def _psql(server: PostgresServer, *statements: str) -> str:
    """As the superuser, inside the container. Warnings are no part of the answer."""
    commands = [part for statement in statements for part in ("-c", statement)]
    psql = ["psql", "-U", "postgres", "-d", "workflow_db", "-At", *commands]
    code, (answer, remarks) = server.container.exec_run(psql, demux=True)
    assert code == 0, remarks
    return bytes(answer or b"").decode().strip()


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority of the server's certificate."""
    return Authority()


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[PostgresServer]:
    """A server with a certificate for 127.0.0.1, whose connections may be cut."""
    identity = authority.issue("postgres", "127.0.0.1")
    with servers.postgres() as found:
        servers.put_secret(found.container, "tls.crt", identity.certificate)
        servers.put_secret(found.container, "tls.key", identity.key)
        _psql(
            found,
            "ALTER SYSTEM SET ssl_cert_file = '/config/secrets/tls.crt'",
            "ALTER SYSTEM SET ssl_key_file = '/config/secrets/tls.key'",
            "ALTER SYSTEM SET ssl = on",
            "SELECT pg_reload_conf()",
        )
        yield found


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> Path:
    """The authority's certificate as a file."""
    path = tmp_path / "ca.crt"
    path.write_text(authority.certificate)
    return path


def _verified(server: PostgresServer, ca_file: Path) -> str:
    return server.url("workflow_db") + f"?sslmode=verify-full&sslrootcert={ca_file}"


@pytest_asyncio.fixture
async def settings(server: PostgresServer, ca_file: Path) -> Settings:
    """Settings with verify-full and a migrated database."""
    found = make_settings(_verified(server, ca_file), jwt_secret=None)
    engine = create_engine(found, application="migrations", statement_seconds=None)
    try:
        await upgrade_schema(engine)
    finally:
        await engine.dispose()
    return found


@pytest.mark.item("database-tls")
async def test_migrations_and_pool_reach_a_verified_server_by_tls(settings: Settings) -> None:
    engine = create_engine(settings, application="test")
    try:
        async with engine.connect() as connection:
            used = await connection.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
    finally:
        await engine.dispose()
    assert used is True


async def _check(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "url").write_text(url)
    environment = {"DATABASE_URL_FILE": str(folder / "url"), "KAFKA_BROKERS": NOBODY}
    command = [sys.executable, "-m", "service", "check", "database"]
    return await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.item("database-tls")
async def test_the_check_of_a_verified_server_succeeds(server: PostgresServer, ca_file: Path, tmp_path: Path) -> None:
    done = await _check(_verified(server, ca_file), tmp_path)
    assert (done.returncode, done.stdout) == (0, "database: connected\n")


@pytest.mark.item("database-tls")
async def test_a_server_of_another_authority_is_refused_in_one_line(server: PostgresServer, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_text(Authority().certificate)
    refused = await _check(_verified(server, other), tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("database: not reachable: no connection to the database: the server's certificate")
    assert len(refused.stderr.splitlines()) == 1
    assert server.password not in refused.stderr


@pytest.mark.item("database-tls")
async def test_a_server_of_another_name_is_refused_in_one_line(
    server: PostgresServer, ca_file: Path, tmp_path: Path
) -> None:
    refused = await _check(_verified(server, ca_file).replace("127.0.0.1", "localhost"), tmp_path)
    assert refused.returncode == 1
    assert "certificate is refused" in refused.stderr
    assert "localhost" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


async def test_a_missing_file_of_authorities_is_named(server: PostgresServer, tmp_path: Path) -> None:
    refused = await _check(_verified(server, tmp_path / "absent.crt"), tmp_path)
    assert refused.returncode == 1
    assert "absent.crt" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


@asynccontextmanager
async def _api(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """A running API without authentication, and a workflow in it."""
    async with running(create_app(settings)) as client:
        name = f"w{id(client)}"
        agent = {"name": name, "kind": "noop"}
        assert (await client.post("/api/v1/agents", json=agent)).status_code == 201
        workflow = {"name": name, "steps": [{"id": "only", "agent": name}]}
        made = await client.post("/api/v1/workflows", json=workflow)
        assert made.status_code == 201
        yield client, str(made.json()["id"])


async def _steady(ask: Callable[[int], Awaitable[httpx.Response]], stopping: asyncio.Event) -> list[httpx.Response]:
    """Asks one after the other until it is told to stop."""
    answers: list[httpx.Response] = []
    while not stopping.is_set():
        answers.append(await ask(len(answers)))
        await asyncio.sleep(0)
    return answers


_CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'workflow-api'"


async def _cut(server: PostgresServer) -> bool:
    """Whether there was a connection to cut; just after a cut, the API may not have opened its next one yet."""
    return int(await asyncio.to_thread(_psql, server, _CUT)) > 0


@pytest.mark.item("failover-tested")
async def test_no_request_fails_while_connections_are_cut(settings: Settings, server: PostgresServer) -> None:
    async with _api(settings) as (client, workflow_id):
        stopping = asyncio.Event()
        execute = f"/api/v1/workflows/{workflow_id}/execute"
        reading = [_steady(lambda _: client.get("/api/v1/agents"), stopping) for _ in range(2)]
        executing = [_steady(lambda _: client.post(execute, json={"input": {}}), stopping) for _ in range(4)]
        load = asyncio.gather(*reading, *executing)
        for _ in range(10):
            await eventually(lambda: _cut(server), "a connection of the API that could be cut")
        stopping.set()
        answers = await load
        read = [answer.status_code for each in answers[:2] for answer in each]
        accepted = [answer for each in answers[2:] for answer in each]
        assert set(read) == {200}
        assert {answer.status_code for answer in accepted} == {202}
        runs = f"SELECT count(*) FROM runs WHERE workflow_id = '{workflow_id}'"  # noqa: S608 - an id of ours
        stored = await asyncio.to_thread(_psql, server, runs)
        assert int(stored) == len(accepted) == len({answer.json()["run_id"] for answer in accepted})
        messages = f"SELECT count(*) FROM outbox WHERE payload->>'workflow_id' = '{workflow_id}'"  # noqa: S608 - same
        assert int(await asyncio.to_thread(_psql, server, messages)) == len(accepted), "and each is sent once"


@pytest.fixture
def read_only(server: PostgresServer) -> Iterator[Callable[[bool], None]]:
    """Switches the server between taking writes and refusing them, like a primary that was demoted."""

    def switch(on: bool) -> None:
        state = "on" if on else "off"
        _psql(server, f"ALTER SYSTEM SET default_transaction_read_only = {state}", "SELECT pg_reload_conf()")

    yield switch
    switch(False)


async def test_a_write_waits_for_a_server_that_takes_writes(
    settings: Settings, read_only: Callable[[bool], None]
) -> None:
    async with _api(settings) as (client, _):
        await asyncio.to_thread(read_only, True)
        write = asyncio.create_task(client.post("/api/v1/agents", json={"name": "patient", "kind": "noop"}))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(write), 0.5)
        await asyncio.to_thread(read_only, False)
        assert (await write).status_code == 201


async def test_a_server_that_takes_no_writes_is_not_connected_to(
    settings: Settings, read_only: Callable[[bool], None]
) -> None:
    await asyncio.to_thread(read_only, True)
    with pytest.raises(DatabaseUnavailableError, match="takes no writes, so it is not the primary"):
        await connect(settings, application="test")


async def test_connections_to_a_demoted_primary_are_left(
    settings: Settings, server: PostgresServer, read_only: Callable[[bool], None]
) -> None:
    engine = create_engine(settings, application="demoted")
    try:
        async with engine.connect() as connection:
            before = await connection.scalar(text("SELECT pg_backend_pid()"))
            await connection.rollback()
            assert await connection.scalar(text("SELECT pg_backend_pid()")) == before, "one connection, kept"
        await asyncio.to_thread(read_only, True)

        async def refused() -> bool:
            try:
                async with engine.connect() as connection:
                    # An idle session hears of its server's change with its next answer.
                    await connection.execute(text("SELECT 1"))
                    return False
            except DatabaseUnavailableError:
                return True

        await eventually(refused, "the kept connection to be left", seconds=5)
    finally:
        await engine.dispose()


async def test_a_commit_whose_outcome_is_unknown_is_not_repeated(settings: Settings, server: PostgresServer) -> None:
    async with _api(settings) as (client, _):
        # A deferred trigger cuts the connection in the middle of the commit.
        _psql(
            server,
            "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5); RETURN NULL; END $$",
            "CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON agents DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION cut()",
        )
        try:
            answer = await asyncio.wait_for(client.post("/api/v1/agents", json={"name": "cut", "kind": "noop"}), 5)
        finally:
            _psql(server, "DROP TRIGGER cut ON agents", "DROP FUNCTION cut")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0


async def test_a_server_that_falls_silent_is_answered_for_in_time(
    settings: Settings, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.platform.failover.PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("service.platform.database.CONNECT_SECONDS", 1.0)
    monkeypatch.setitem(create_engine.__kwdefaults__, "statement_seconds", 0.5)
    async with _api(settings) as (client, _):
        server.container.pause()
        try:
            mute = await asyncio.wait_for(client.get("/api/v1/agents"), 15)
        finally:
            server.container.unpause()
        assert mute.status_code == 503

        async def back() -> bool:
            return (await client.get("/api/v1/agents")).status_code == 200

        await eventually(back, "the API to answer again")

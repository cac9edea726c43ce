"""Fixtures of the service's tests: real servers for the session, a database of its own for each test."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth import passwords
from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.migrations.migrate import upgrade_schema
from service.platform.database import create_engine, transaction
from service.platform.kafka import ensure_topics
from service.platform.settings import Settings
from tests.service import servers
from tests.service.support import add_user, make_settings, running, temporary_database

TEMPLATE = "workflow_template"


# Without this structlog prints every traceback with all local variables, which takes seconds.
structlog.configure(
    processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
)

# One of the strength that people's passwords need takes a third of a second of a processor, and each log-in of a test
# makes three; test_passwords.py sees to the strength.
passwords._HASHER = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """One Postgres server for all tests."""
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[servers.KafkaServer]:
    """One Kafka broker for all tests; use topics of your own."""
    with servers.kafka() as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def template_database(postgres_server: servers.PostgresServer) -> str:
    """A migrated database, from which the tests' databases are copied."""
    await postgres_server.execute(f"CREATE DATABASE {TEMPLATE}")
    engine = create_engine(make_settings(postgres_server.url(TEMPLATE)), application="template", statement_seconds=None)
    try:
        await upgrade_schema(engine)
    finally:
        await engine.dispose()
    return TEMPLATE


@pytest_asyncio.fixture
async def empty_database(postgres_server: servers.PostgresServer) -> AsyncIterator[str]:
    """The address of a database without any table."""
    async with temporary_database(postgres_server) as url:
        yield url


@pytest_asyncio.fixture
async def database(postgres_server: servers.PostgresServer, template_database: str) -> AsyncIterator[str]:
    """The address of a migrated database without any row."""
    async with temporary_database(postgres_server, template_database) as url:
        yield url


@pytest.fixture
def api_settings(database: str) -> Settings:
    """Settings with a fresh migrated database and no Kafka."""
    return make_settings(database)


@pytest_asyncio.fixture
async def settings(database: str, kafka_server: servers.KafkaServer) -> Settings:
    """Settings with a fresh migrated database and fresh topics on a real broker."""
    found = make_settings(database, kafka_server.broker)
    await ensure_topics(found)
    return found


@pytest_asyncio.fixture
async def engine(api_settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A pool of the test's own, to look into the database and to prepare it."""
    found = create_engine(api_settings, application="test")
    yield found
    await found.dispose()


@pytest.fixture
def bearer(api_settings: Settings, engine: AsyncEngine) -> Callable[[Role], Any]:
    """Makes a user of the role and returns the headers that prove it."""

    async def make(role: Role) -> dict[str, str]:
        async with transaction(engine) as connection:
            user_id = await add_user(connection, role)
        return {"Authorization": f"Bearer {issue_token(api_settings, user_id, role)}"}

    return make


@pytest_asyncio.fixture
async def app(api_settings: Settings) -> FastAPI:
    """The API, not started; the client fixtures start it."""
    return create_app(api_settings)


@pytest_asyncio.fixture
async def client(app: FastAPI, bearer: Callable[[Role], Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the started API, with an administrator's token."""
    async with running(app, **await bearer(Role.ADMIN)) as found:
        yield found


@pytest_asyncio.fixture
async def workflow_id(client: httpx.AsyncClient) -> str:
    """A stored workflow of two steps."""
    agent = await client.post("/api/v1/agents", json={"name": "nothing", "kind": "noop"})
    assert agent.status_code == 201, agent.text
    steps = [{"id": "first", "agent": "nothing"}, {"id": "second", "agent": "nothing", "needs": ["first"]}]
    answer = await client.post("/api/v1/workflows", json={"name": "two steps", "steps": steps})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])

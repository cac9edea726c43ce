"""What the service's tests share besides fixtures."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncConnection

from service.auth.roles import Role
from service.platform.ids import new_id
from service.platform.settings import Settings
from service.platform.tables import users
from tests.service.servers import PostgresServer, eventually

NOBODY = "127.0.0.1:9"
"""An address at which nothing listens."""


def make_settings(database_url: str, brokers: str = NOBODY, **given: Any) -> Settings:
    """Settings as a test needs them: authentication on, no rate limit, topics of its own."""
    mark = secrets.token_hex(4)
    values: dict[str, Any] = {
        "database_url": database_url,
        "kafka_brokers": brokers,
        "kafka_execution_topic": f"{mark}.workflow.execution.requests",
        "kafka_cancellation_topic": f"{mark}.workflow.cancellation.requests",
        "kafka_topic_partitions": 2,
        "jwt_secret": secrets.token_hex(32),
        "webhook_secret": secrets.token_hex(32),
        "rate_limit_requests": 0,
        "log_level": "WARNING",
    }
    return Settings.model_validate(values | given)


@asynccontextmanager
async def temporary_database(server: PostgresServer, template: str = "template0") -> AsyncIterator[str]:
    """A database that is dropped at the end; yields its address."""
    name = f"test_{secrets.token_hex(6)}"
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield server.url(name)
    finally:
        await eventually(lambda: _dropped(server, name), f"database {name} being dropped")


async def _dropped(server: PostgresServer, name: str) -> bool:
    """Drops a database with its connections. Only the superuser may end an autovacuum worker; that ends by itself."""
    try:
        await server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    except asyncpg.exceptions.InsufficientPrivilegeError:
        return False
    return True


@asynccontextmanager
async def running(app: FastAPI, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A started application and a client that talks to it in this process."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.1", 40000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers, timeout=30) as client,
    ):
        yield client


async def add_user(
    connection: AsyncConnection,
    role: Role,
    *,
    name: str | None = None,
    password_hash: str = "!",  # noqa: S107 - fits no password
) -> Any:
    """Add a user and return the id; with the default hash no password fits."""
    user_id = new_id()
    await connection.execute(
        users.insert().values(id=user_id, username=name or f"{role}-{user_id}", password_hash=password_hash, role=role)
    )
    return user_id


def plain_client(app: FastAPI) -> httpx.AsyncClient:
    """A client of an application that is not started: for what needs no database."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.1", 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")

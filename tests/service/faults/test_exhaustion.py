"""When all connections are lent, callers are told to come back, and nothing is half done."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, outbox, runs
from tests.service.executor_support import add_workflow, step
from tests.service.support import add_user, running

pytestmark = pytest.mark.ring("service")

CONNECTIONS = 2


async def test_with_its_pool_exhausted_the_api_answers_503_and_accepts_nothing(
    api_settings: Settings, engine: AsyncEngine
) -> None:
    small = api_settings.model_copy(update={"database_pool_size": CONNECTIONS, "database_max_overflow": 0})
    async with transaction(engine) as connection:
        user_id = await add_user(connection, Role.ADMIN)
    path = f"/api/v1/workflows/{await add_workflow(engine, step('a'))}/execute"
    bearer = f"Bearer {issue_token(small, user_id, Role.ADMIN)}"
    app = create_app(small)

    async def stored() -> list[int]:
        async with transaction(engine) as connection:
            tables = (runs, outbox, audit_log)
            return [await connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]

    async with running(app, Authorization=bearer) as client:
        async with AsyncExitStack() as lent:
            for _ in range(CONNECTIONS):
                await lent.enter_async_context(app.state.service.engine.connect())
            answers = await asyncio.gather(*(client.post(path, json={}) for _ in range(5)), client.get("/api/v1/runs"))
            assert {answer.status_code for answer in answers} == {503}
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
            assert await stored() == [0, 0, 0]
        assert (await client.post(path, json={})).status_code == 202
        assert await stored() == [1, 1, 1]
        assert app.state.service.engine.pool.checkedout() == 0

"""Starting runs: once for each key, many with one request, none while too many wait, one statement for all of it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, idempotency_keys, outbox, runs
from service.runs.insert import Accepted, NewRun, RunRequest, insert_runs
from tests.service.servers import eventually
from tests.service.support import running

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"
UNSTORABLE = {"name": "\0"}
"""JSON that a jsonb column can't hold."""


async def _execute(client: httpx.AsyncClient, workflow_id: str, key: str | None = None, **given: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await client.post(f"/api/v1/workflows/{workflow_id}/execute", json={"input": given}, headers=headers)


async def _execute_many(
    client: httpx.AsyncClient, workflow_id: str, inputs: list[dict[str, Any]], key: str | None = None
) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    body = {"runs": [{"input": each} for each in inputs]}
    return await client.post(f"/api/v1/workflows/{workflow_id}/execute-many", json=body, headers=headers)


async def _count(engine: AsyncEngine, table: Any) -> int:
    async with transaction(engine) as connection:
        return int(await connection.scalar(select(func.count()).select_from(table)) or 0)


async def test_the_same_request_with_the_same_key_is_the_same_run(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    first = await _execute(client, workflow_id, "order-7", name="Ada", age=36)
    again = await _execute(client, workflow_id, "order-7", age=36, name="Ada")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await _count(engine, runs) == await _count(engine, outbox) == 1


async def test_a_key_that_was_used_for_another_request_is_refused(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    await _execute(client, workflow_id, "order-7", name="Ada")
    answer = await _execute(client, workflow_id, "order-7", name="Grace")
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["header.Idempotency-Key"]
    assert await _count(engine, runs) == await _count(engine, outbox) == 1


async def test_requests_with_one_key_at_the_same_time_give_one_run(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    answers = await asyncio.gather(*(_execute(client, workflow_id, "order-7") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert await _count(engine, runs) == await _count(engine, outbox) == 1


async def test_a_key_belongs_to_its_caller(
    app: FastAPI, client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine, bearer: Any
) -> None:
    await _execute(client, workflow_id, "order-7", name="Ada")
    other = httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://testserver", headers=await bearer(Role.OPERATOR)
    )
    async with other:
        assert (await _execute(other, workflow_id, "order-7", name="Grace")).status_code == 202
    assert await _count(engine, runs) == 2


async def test_a_key_is_not_used_up_by_a_request_that_was_refused(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    assert (await _execute(client, ABSENT, "order-7")).status_code == 404
    assert await _count(engine, idempotency_keys) == 0
    assert (await _execute(client, workflow_id, "order-7")).status_code == 202


@pytest.mark.parametrize("key", ["", "two words", "x" * 256])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, workflow_id: str, key: str) -> None:
    answer = await _execute(client, workflow_id, key)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["errors"][0]["field"]


async def test_many_runs_are_accepted_with_one_request_and_in_its_order(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    answer = await _execute_many(client, workflow_id, [{"number": number} for number in range(1000)], "all")
    assert answer.status_code == 202, answer.text
    async with transaction(engine) as connection:
        stored = {str(row.id): row.input["number"] for row in await connection.execute(select(runs.c.id, runs.c.input))}
        messages = set((await connection.execute(select(outbox.c.key))).scalars())
        entries = await connection.scalar(
            select(func.count()).select_from(audit_log).where(audit_log.c.action == "run.accept")
        )
    assert [stored[run_id] for run_id in answer.json()["run_ids"]] == list(range(1000))
    assert messages == set(stored)
    assert entries == 1000
    again = await _execute_many(client, workflow_id, [{"number": number} for number in range(1000)], "all")
    assert again.json() == answer.json()


async def test_of_many_runs_all_are_accepted_or_none(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    answer = await _execute_many(client, workflow_id, [{}, UNSTORABLE, {}], "all")
    assert answer.status_code == 422
    assert await _count(engine, runs) == await _count(engine, outbox) == await _count(engine, idempotency_keys) == 0


@pytest.mark.parametrize("count", [0, 1001])
async def test_the_number_of_runs_of_one_request_is_bounded(
    client: httpx.AsyncClient, workflow_id: str, count: int
) -> None:
    answer = await _execute_many(client, workflow_id, [{}] * count)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["runs"]


async def test_a_request_that_can_not_be_stored_does_not_take_others_along(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    inputs = [UNSTORABLE if number == 7 else {"number": number} for number in range(20)]
    answers = await asyncio.gather(*(_execute(client, workflow_id, **each) for each in inputs))
    assert [answer.status_code for answer in answers] == [422 if each is UNSTORABLE else 202 for each in inputs]
    assert await _count(engine, runs) == await _count(engine, outbox) == 19


async def test_a_repetition_after_a_lost_answer_stores_nothing_twice(
    engine: AsyncEngine, workflow_id: str, api_settings: Settings
) -> None:
    requests = [
        RunRequest(workflow_id, (NewRun("{}"),), "user", None, "c", key, "f")  # type: ignore[arg-type]
        for key in (None, "key")
    ]
    for _ in range(2):
        async with transaction(engine) as connection:
            found = await insert_runs(connection, requests, topic=api_settings.kafka_execution_topic, audit=True)
        assert [each.run_ids for each in found if isinstance(each, Accepted)] == [
            (request.runs[0].id,) for request in requests
        ]
        assert [each.repeated for each in found if isinstance(each, Accepted)] == [False, False]
    assert await _count(engine, runs) == await _count(engine, outbox) == 2


async def test_while_too_many_runs_wait_none_is_accepted(
    api_settings: Settings, workflow_id: str, engine: AsyncEngine, bearer: Any
) -> None:
    few = create_app(api_settings.model_copy(update={"run_backlog_limit": 3}))
    async with running(few, **await bearer(Role.OPERATOR)) as client:
        refused = await _execute_many(client, workflow_id, [{}] * 4)
        assert refused.status_code == 429
        assert refused.json()["type"].endswith(":backlog-full")
        assert int(refused.headers["Retry-After"]) > 0
        assert await _count(engine, runs) == 0
        assert (await _execute_many(client, workflow_id, [{}] * 3)).status_code == 202

        async def full() -> bool:
            return (await _execute(client, workflow_id)).status_code == 429

        await eventually(full, "the queue to be full")
        async with transaction(engine) as connection:
            await connection.execute(text("UPDATE runs SET status = 'completed'"))

        async def free() -> bool:
            return (await _execute(client, workflow_id)).status_code == 202

        await eventually(free, "the queue to be free again")


@pytest.fixture
def statements(app: FastAPI, client: httpx.AsyncClient) -> Iterator[list[str]]:
    """What the API sends to the database; the notice that wakes the relay is not part of a request.

    SQLAlchemy tells what goes through it, and the driver what does not. Of the driver's own are frames of transactions,
    and what it asks once for each connection to know a type.
    """
    seen: list[str] = []
    asked: list[Any] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("NOTIFY") and "AS waiting" not in statement:
            seen.append(statement)

    def note_direct(query: Any) -> None:
        own = ("BEGIN", "COMMIT", "ROLLBACK", "typeinfo_tree", "current_setting('jit')")
        if not any(each in query.query for each in own):
            note(None, None, query.query)

    def lent(connection: Any, *_rest: Any) -> None:
        connection.driver_connection.add_query_logger(note_direct)
        asked.append(connection.driver_connection)

    engine = app.state.service.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine.pool, "checkout", lent)
    yield seen
    event.remove(engine.pool, "checkout", lent)
    event.remove(engine, "before_cursor_execute", note)
    for connection in asked:
        connection.remove_query_logger(note_direct)


async def test_executing_reading_and_listing_is_one_statement_each(
    client: httpx.AsyncClient, workflow_id: str, statements: list[str]
) -> None:
    await _execute(client, workflow_id)
    statements.clear()
    run_id = (await _execute(client, workflow_id, "order-7")).json()["run_id"]
    assert len(statements) == 1, statements
    statements.clear()
    await client.get(f"/api/v1/runs/{run_id}")
    assert len(statements) == 1, statements
    statements.clear()
    await client.get("/api/v1/runs")
    assert len(statements) == 1, statements


async def test_requests_at_the_same_time_share_statements(
    client: httpx.AsyncClient, workflow_id: str, statements: list[str]
) -> None:
    await _execute(client, workflow_id)
    statements.clear()
    answers = await asyncio.gather(*(_execute(client, workflow_id) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {202}
    assert len(statements) < 50, len(statements)


SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


async def _change(client: httpx.AsyncClient, workflow_id: str, **given: Any) -> None:
    body = {"name": "two steps", "steps": [{"id": "only", "agent": "nothing"}], **given}
    answer = await client.put(f"/api/v1/workflows/{workflow_id}", json=body)
    assert answer.status_code == 200, answer.text


async def test_an_input_that_does_not_fit_is_refused_with_its_place(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    await _change(client, workflow_id, input_schema=SCHEMA)
    one = await _execute(client, workflow_id, name=7)
    many = await _execute_many(client, workflow_id, [{"name": "Ada"}, {}])
    assert (one.status_code, many.status_code) == (422, 422)
    assert [each["field"] for each in one.json()["errors"]] == ["input.name"]
    assert [each["field"] for each in many.json()["errors"]] == ["runs.1.input"]
    assert await _count(engine, runs) == 0
    assert (await _execute(client, workflow_id, name="Ada")).status_code == 202


async def test_what_an_input_has_to_fit_is_that_of_the_version_that_is_current_now(
    api_settings: Settings, client: httpx.AsyncClient, workflow_id: str, bearer: Any
) -> None:
    async with running(create_app(api_settings), **await bearer(Role.OPERATOR)) as other:
        assert (await _execute(other, workflow_id)).status_code == 202
        await _change(client, workflow_id, input_schema=SCHEMA)
        assert (await _execute(other, workflow_id)).status_code == 422
        await _change(client, workflow_id)
        assert (await _execute(other, workflow_id)).json()["workflow_version"] == 3


async def test_a_run_that_was_accepted_is_found_by_its_key_also_when_its_input_fits_no_more(
    client: httpx.AsyncClient, workflow_id: str
) -> None:
    first = await _execute(client, workflow_id, "order-7")
    await _change(client, workflow_id, input_schema=SCHEMA)
    again = await _execute(client, workflow_id, "order-7")
    assert again.json() == first.json()
    assert (await _execute(client, workflow_id, "order-8")).status_code == 422

"""The console's buttons: each does, and writes into the audit log, what the API's route does."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.console.session import COOKIE
from service.platform.database import AnyRow, transaction
from service.platform.tables import audit_log, dead_letters, outbox, run_steps, runs, signals, workflow_versions
from service.platform.tables import workflows as workflows_table
from service.runs.idempotency import REPEATED
from tests.service.console_support import (
    BEGIN,
    SCHEMA,
    add_agent,
    add_dead_letter,
    add_people,
    add_question,
    add_run,
    add_steps,
    add_workflow,
    visiting,
)
from tests.service.webhook_support import add_deliveries, add_webhook

pytestmark = pytest.mark.ring("service")

Make = Callable[[AsyncEngine, UUID], Awaitable[UUID]]


@pytest.fixture
async def workflow(engine: AsyncEngine) -> UUID:
    """A workflow, and users of every role."""
    await add_people(engine)
    await add_agent(engine)
    return await add_workflow(engine, "orders", input_schema=SCHEMA)


async def _queued(engine: AsyncEngine, workflow: UUID) -> UUID:
    return await add_run(engine, workflow)


async def _paused(engine: AsyncEngine, workflow: UUID) -> UUID:
    run_id = await add_run(engine, workflow)
    async with transaction(engine) as connection:
        values = {"status": "paused", "pause_requested_at": runs.c.created_at, "paused_at": runs.c.created_at}
        await connection.execute(runs.update().where(runs.c.id == run_id).values(values))
    return run_id


async def _failed(engine: AsyncEngine, workflow: UUID) -> UUID:
    run_id = await add_run(engine, workflow, "failed")
    await add_steps(engine, run_id)
    return run_id


async def _asking(engine: AsyncEngine, workflow: UUID) -> UUID:
    run_id = await add_run(engine, workflow, "waiting")
    await add_question(engine, run_id)
    return run_id


async def _letter(engine: AsyncEngine, workflow: UUID) -> UUID:
    return await add_dead_letter(engine)


async def _entries(engine: AsyncEngine) -> list[AnyRow]:
    async with transaction(engine) as connection:
        query = select(audit_log).where(audit_log.c.action != "auth.login").order_by(audit_log.c.id)
        return list((await connection.execute(query)).all())


async def _row(engine: AsyncEngine, table: Any, subject: Any) -> AnyRow:
    async with transaction(engine) as connection:
        return (await connection.execute(select(table).where(table.c.id == subject))).one()


def _said(entry: AnyRow, *ids: UUID) -> Any:
    """An entry without what differs between two things of the same kind."""
    text = str((entry.actor, entry.action, entry.subject_type, entry.address, entry.detail))
    for each in ids:
        text = text.replace(str(each), "ID")
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.+Z]+", "TIME", text)


CASES: list[tuple[Make, str, str, dict[str, str], dict[str, Any] | None]] = [
    (_queued, "runs", "cancel", {}, None),
    (_queued, "runs", "pause", {}, None),
    (_paused, "runs", "resume", {}, None),
    (_failed, "runs", "retry", {"key": "k"}, None),
    (_failed, "runs", "replay", {"version": "origin"}, {}),
    (_failed, "runs", "replay", {"input": '{"name": "Ada"}'}, {"input": {"name": "Ada"}}),
    (_asking, "runs", "steps/check/signal", {"outcome": "approve"}, {"outcome": "approve"}),
    (
        _asking,
        "runs",
        "steps/check/signal",
        {"outcome": "reject", "comment": "Too\r\ndear."},
        {"outcome": "reject", "comment": "Too\ndear."},
    ),
    (
        _asking,
        "runs",
        "steps/check/signal",
        {"outcome": "approve", "data": '{"limit": [1, null]}'},
        {"outcome": "approve", "data": {"limit": [1, None]}},
    ),
    (_letter, "dead-letters", "requeue", {}, None),
    (_letter, "dead-letters", "discard", {}, None),
]


IDS = [f"{number}-{kind}-{action.rpartition('/')[2]}" for number, (_, kind, action, *_rest) in enumerate(CASES)]


@pytest.mark.parametrize(("make", "kind", "action", "form", "body"), CASES, ids=IDS)
async def test_a_button_does_and_audits_what_the_apis_route_does(
    make: Make,
    kind: str,
    action: str,
    form: dict[str, str],
    body: dict[str, Any] | None,
    app: FastAPI,
    engine: AsyncEngine,
    workflow: UUID,
) -> None:
    mine, its = await make(engine, workflow), await make(engine, workflow)
    async with visiting(app, "operator") as client:
        answer = await client.post(f"/console/{kind}/{mine}/{action}", data=form)
        assert answer.status_code == 303, answer.text
        assert (await client.get(answer.headers["Location"])).status_code == 200
        bearer = {"Authorization": f"Bearer {client.cookies[COOKIE]}"}
        by_api = await client.post(f"/api/v1/{kind}/{its}/{action}", json=body, headers=bearer)
        assert by_api.is_success, by_api.text
    one, other = await _entries(engine)
    begun = [UUID(answer.headers["Location"].split("/")[3].partition("?")[0])]
    begun += [UUID(by_api.json()["run_id"])] if "run_id" in by_api.json() else []
    assert _said(one, mine, its, *begun) == _said(other, mine, its, *begun)
    table = runs if kind == "runs" else dead_letters
    rows = [await _row(engine, table, each) for each in (mine, its)]
    column = "status" if kind == "runs" else "state"
    assert len({getattr(row, column) for row in rows}) == 1
    if action in ("pause", "cancel"):
        mark = {"pause": "pause_requested_at", "cancel": "cancel_requested_at"}[action]
        assert all(getattr(row, mark) is not None for row in rows)


async def _page(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(f"/console{path}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_a_run_can_be_paused_and_resumed_as_long_as_it_goes_on(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    async def offered(client: httpx.AsyncClient, run_id: UUID) -> set[str]:
        text = await _page(client, f"/runs/{run_id}")
        return set(re.findall(rf'action="/console/runs/{run_id}/(\w+)"', text))

    run_id = await _queued(engine, workflow)
    async with visiting(app, "operator") as client:
        assert await offered(client, run_id) == {"pause", "cancel"}
        await client.post(f"/console/runs/{run_id}/pause")
        assert await offered(client, run_id) == {"resume", "cancel"}
        assert "paused</span> since" in await _page(client, f"/runs/{run_id}")
        await client.post(f"/console/runs/{run_id}/resume")
        await client.post(f"/console/runs/{run_id}/cancel")
        assert await offered(client, run_id) == set()
        assert await offered(client, await _failed(engine, workflow)) == {"retry"}


async def test_a_retry_begins_one_run_however_often_its_form_is_sent_and_leads_there(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    failed = await _failed(engine, workflow)
    async with visiting(app, "operator") as client:
        [key] = re.findall(r'name="key" value="(\w+)"', await _page(client, f"/runs/{failed}"))
        places = {(await client.post(f"/console/runs/{failed}/retry", data={"key": key})).headers["Location"]}
        places.add((await client.post(f"/console/runs/{failed}/retry", data={"key": key})).headers["Location"])
        [place] = places
        text = (await client.get(place)).text
    assert "This is the new run." in text
    assert f'href="/console/runs/{failed}"' in text
    # What the run before did is shown as done, and not as a bar long before this run.
    assert text.count("done by the run before") == 2
    assert '<svg class="bar' not in text
    assert REPEATED not in text
    assert [entry.action for entry in await _entries(engine)] == ["run.retry"]


async def test_a_replay_begins_with_the_runs_input_and_takes_another_or_the_current_version(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    failed = await _failed(engine, workflow)
    async with transaction(engine) as connection:
        version = (await connection.execute(select(workflow_versions))).one()._mapping
        await connection.execute(workflow_versions.insert().values(**{**version, "version": 2}))
        await connection.execute(workflows_table.update().values(current_version=2))
    page = f"/runs/{failed}/replay"
    async with visiting(app, "operator") as client:
        text = await _page(client, page)
        assert "&#34;name&#34;: &#34;&lt;script&gt;alert(1)&lt;/script&gt;&#34;" in text
        assert "2, which is executed now" in text
        wrong = await client.post(f"/console{page}", data={"input": '{"name": 7}', "version": "current"})
        assert (wrong.status_code, "<code>input.name</code>" in wrong.text) == (422, True)
        assert 'value="current" checked' in wrong.text
        right = await client.post(f"/console{page}", data={"input": '{"name": "Eve"}', "version": "current"})
        assert right.status_code == 303, right.text
    new = await _row(engine, runs, right.headers["Location"].rpartition("/")[2])
    assert (new.input, new.workflow_version, new.origin_run_id) == ({"name": "Eve"}, 2, failed)


async def test_an_input_too_long_for_a_form_is_replayed_as_it_is(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    long = {"name": "x" * 100_000}
    failed = await add_run(engine, workflow, "failed", input=long)
    async with visiting(app, "operator") as client:
        text = await _page(client, f"/runs/{failed}/replay")
        assert "<textarea" not in text
        [key] = re.findall(r'name="key" value="(\w+)"', text)
        answer = await client.post(f"/console/runs/{failed}/replay", data={"key": key})
    assert (await _row(engine, runs, answer.headers["Location"].rpartition("/")[2])).input == long


async def test_a_question_shows_its_prompt_and_input_until_somebody_has_decided(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    run_id = await _asking(engine, workflow)
    page = f"/console/runs/{run_id}"
    async with visiting(app, "operator") as client:
        text = await _page(client, f"/runs/{run_id}")
        assert "Ship it? &lt;script&gt;" in text
        assert "&#34;order&#34;: {" in text
        assert "until <time" in text
        first = await client.post(f"{page}/steps/check/signal", data={"outcome": "approve", "comment": ""})
        after = (await client.get(first.headers["Location"])).text
        assert "The step was approved." in after
        assert "Decided by" in after
        assert "/steps/check/signal" not in after
        second = await client.post(f"{page}/steps/check/signal", data={"outcome": "reject"})
        assert second.status_code == 409
        assert "the first decision counts" in second.text
        assert f'href="{page}"' in second.text
    async with transaction(engine) as connection:
        stored = (await connection.execute(select(signals))).one()
    assert (stored.error, stored.output["approved"]) == (None, True)


async def test_an_item_is_decided_about_by_its_place(app: FastAPI, engine: AsyncEngine, workflow: UUID) -> None:
    run_id = await add_run(engine, workflow, "waiting")
    for place in (0, 1):
        await add_question(engine, run_id, f"each[{place}]")
    async with visiting(app, "operator") as client:
        text = await _page(client, f"/runs/{run_id}")
        addresses = re.findall(r'action="([^"]*/signal)"', text)
        assert len(addresses) == 2
        assert len(set(re.findall(r'id="(comment-[^"]*)"', text))) == 2
        answer = await client.post(addresses[1], data={"outcome": "approve"})
        assert answer.status_code == 303, answer.text
    async with transaction(engine) as connection:
        assert (await connection.execute(select(signals.c.step_id))).scalars().all() == ["each[1]"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"outcome": "perhaps"}, "<code>outcome</code>"),
        ({"outcome": "approve", "comment": "x" * 2001}, "<code>comment</code>"),
    ],
)
async def test_a_decision_that_means_nothing_is_refused_and_changes_nothing(
    form: dict[str, str], said: str, app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    run_id = await _asking(engine, workflow)
    async with visiting(app, "operator") as client:
        answer = await client.post(f"/console/runs/{run_id}/steps/check/signal", data=form)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert await _entries(engine) == []
    async with transaction(engine) as connection:
        assert (await connection.execute(select(run_steps.c.status))).scalars().all() == ["waiting"]


async def test_dead_letters_are_listed_while_open_and_found_by_filters(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    one, other = await add_dead_letter(engine), await add_dead_letter(engine, topic="elsewhere")

    def shown(text: str) -> set[str]:
        return set(re.findall(r'href="/console/dead-letters/([0-9a-f-]{36})"', text))

    async with visiting(app, "operator") as client:
        await client.post(f"/console/dead-letters/{one}/discard")
        assert shown(await _page(client, "/dead-letters")) == {str(other)}
        assert shown(await _page(client, "/dead-letters?state=all")) == {str(one), str(other)}
        assert shown(await _page(client, "/dead-letters?state=discarded")) == {str(one)}
        assert shown(await _page(client, "/dead-letters?topic=nowhere")) == set()
        wrong = await client.get("/console/dead-letters?state=gone")
        assert (wrong.status_code, "<code>state</code> must be one of open" in wrong.text) == (422, True)
        assert (await client.get("/console/dead-letters?cursor=x")).status_code == 422


async def test_a_letter_is_put_back_into_the_outbox_once(app: FastAPI, engine: AsyncEngine, workflow: UUID) -> None:
    letter = await add_dead_letter(engine)
    page = f"/console/dead-letters/{letter}"
    async with visiting(app, "operator") as client:
        assert f'action="{page}/requeue"' in await _page(client, f"/dead-letters/{letter}")
        assert "Show the payload" not in await _page(client, f"/dead-letters/{letter}")
        answer = await client.post(f"{page}/requeue")
        text = (await client.get(answer.headers["Location"])).text
        assert "The message was put back" in text
        assert f'action="{page}' not in text
        refused = await client.post(f"{page}/discard")
        assert (refused.status_code, f'href="{page}"' in refused.text) == (409, True)
    async with transaction(engine) as connection:
        assert (await connection.execute(select(outbox.c.payload))).scalars().all() == [{"run_id": "r"}]


async def test_a_payload_is_shown_to_admins_also_where_it_is_no_text(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    text, other = await add_dead_letter(engine), await add_dead_letter(engine, b"\xff\x00")
    async with visiting(app, "admin") as client:
        assert "Show the payload" in await _page(client, f"/dead-letters/{text}")
        assert "{&#34;run_id&#34;: &#34;r&#34;}" in await _page(client, f"/dead-letters/{text}/payload")
        found = await _page(client, f"/dead-letters/{other}/payload")
        assert ("as base64" in found, "/wA=" in found) == (True, True)


async def test_a_webhook_shows_how_it_stands_and_its_deliveries_page_by_page(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    hook = await add_webhook(engine, name="pager", workflow_id=workflow, failing_since=BEGIN)
    await add_webhook(engine, name="old", disabled_at=BEGIN, disabled_reason="switched off by hand")
    await add_deliveries(engine, hook, 26)
    await add_deliveries(engine, hook, 1, status="dead", last_error="answered with 503")

    def shown(text: str) -> int:
        return len(re.findall(r"<tr>\s*<td>", text))

    async with visiting(app, "operator") as client:
        listed = await _page(client, "/webhooks")
        assert all(word in listed for word in ("failing</span>", "disabled</span>", ">orders<", "run.completed"))
        text = await _page(client, f"/webhooks/{hook}")
        assert ("failing</span> since" in text, "answered with 503" in text, shown(text)) == (True, True, 25)
        [older] = re.findall(r'rel="next" href="/console([^"]+)"', text)
        following = await _page(client, older)
        assert (shown(following), 'rel="first"' in following) == (2, True)
        assert shown(await _page(client, f"/webhooks/{hook}?status=dead")) == 1
        wrong = await client.get(f"/console/webhooks/{hook}?status=gone")
        assert (wrong.status_code, "must be one of pending" in wrong.text) == (422, True)

"""The console's pages over a real database: what they show, to whom, and what their forms do."""

import re
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.console import run_view
from service.console.run_list import PAGE_SIZE
from service.platform.database import transaction
from service.platform.tables import audit_log, run_logs, run_steps, runs, schedules, workflow_limits
from tests.service.console_support import (
    BEGIN,
    NASTY,
    SCHEMA,
    add_agent,
    add_dead_letter,
    add_people,
    add_question,
    add_run,
    add_schedule,
    add_steps,
    add_workflow,
    visiting,
)
from tests.service.servers import eventually
from tests.service.support import make_settings
from tests.service.webhook_support import add_deliveries, add_webhook

pytestmark = pytest.mark.ring("service")

ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"


@pytest.fixture
async def things(engine: AsyncEngine) -> dict[str, UUID]:
    """One thing of each kind, by what addresses call it."""
    await add_people(engine)
    await add_agent(engine)
    workflow_id = await add_workflow(engine, NASTY, input_schema=SCHEMA)
    run_id = await add_run(engine, workflow_id, "failed", error={"code": "broken", "detail": NASTY})
    await add_steps(engine, run_id)
    waiting = await add_run(engine, workflow_id, "waiting", number=2)
    await add_question(engine, waiting)
    webhook = await add_webhook(engine, events=["run.failed"], workflow_id=workflow_id, name="pager")
    delivery, _ = await add_deliveries(engine, webhook, 2, status="dead", last_error=NASTY, attempts=3)
    return {
        "workflow": workflow_id,
        "run": run_id,
        "waiting": waiting,
        "letter": await add_dead_letter(engine, NASTY.encode()),
        "webhook": webhook,
        "delivery": delivery,
        "queued": await add_run(engine, workflow_id, number=1),
        "schedule": await add_schedule(engine, workflow_id),
    }


PAGES = [
    "/runs",
    "/runs/{run}",
    "/runs/{run}/live",
    "/runs/{run}/replay",
    "/runs/{waiting}",
    "/runs/{waiting}/steps/check/signal",
    "/live/runs",
    "/workflows",
    "/workflows/{workflow}",
    "/workflows/{workflow}/versions/1",
    "/workflows/{workflow}/execute",
    "/schedules",
    "/schedules/{schedule}",
    "/agents",
    "/dead-letters",
    "/dead-letters/{letter}",
    "/dead-letters/{letter}/payload",
    "/webhooks",
    "/webhooks/{webhook}",
    "/webhooks/{webhook}/change",
    "/webhooks/new",
    "/audit",
]


async def _audited(engine: AsyncEngine) -> list[tuple[str, str]]:
    async with transaction(engine) as connection:
        query = select(audit_log.c.action, audit_log.c.subject_id).order_by(audit_log.c.id)
        return [(row.action, row.subject_id) for row in await connection.execute(query)]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_shows_what_people_wrote_as_text(path: str, app: FastAPI, things: dict[str, UUID]) -> None:
    async with visiting(app, "admin") as client:
        answer = await client.get(f"/console{path.format(**things)}")
    assert answer.status_code == 200, answer.text
    assert "<script>alert" not in answer.text
    if path not in ("/agents", "/audit"):
        assert ESCAPED in answer.text
    assert "&amp;lt;" not in answer.text, "it is escaped twice"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_runs_no_script_and_has_no_style_of_its_own(
    path: str, app: FastAPI, things: dict[str, UUID]
) -> None:
    async with visiting(app, "admin") as client:
        answer = await client.get(f"/console{path.format(**things)}")
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", answer.text)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_viewer_sees_no_button_and_no_audit_log(app: FastAPI, things: dict[str, UUID]) -> None:
    async with visiting(app, "viewer") as client:
        for path in (
            "/runs/{queued}",
            "/runs/{run}",
            "/runs/{waiting}",
            "/workflows",
            "/workflows/{workflow}",
            "/schedules",
            "/schedules/{schedule}",
        ):
            text = (await client.get(f"/console{path.format(**things)}")).text
            forms = re.findall(r'method="post" action="([^"]+)"', text)
            assert forms == ["/console/logout"], path
            assert "/execute" not in text, path
            assert "/replay" not in text, path
            for page in ("audit", "dead-letters", "webhooks"):
                assert f"/console/{page}" not in text, path


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("viewer", "POST", "/runs/{queued}/cancel"),
        ("viewer", "POST", "/runs/{queued}/pause"),
        ("viewer", "POST", "/runs/{queued}/resume"),
        ("viewer", "POST", "/runs/{run}/retry"),
        ("viewer", "GET", "/runs/{run}/replay"),
        ("viewer", "POST", "/runs/{run}/replay"),
        ("viewer", "GET", "/runs/{waiting}/steps/check/signal"),
        ("viewer", "POST", "/runs/{waiting}/steps/check/signal"),
        ("viewer", "GET", "/dead-letters"),
        ("viewer", "GET", "/dead-letters/{letter}"),
        ("viewer", "POST", "/dead-letters/{letter}/requeue"),
        ("viewer", "POST", "/dead-letters/{letter}/discard"),
        ("operator", "GET", "/dead-letters/{letter}/payload"),
        ("viewer", "GET", "/webhooks"),
        ("viewer", "GET", "/webhooks/{webhook}"),
        ("operator", "GET", "/webhooks/new"),
        ("operator", "POST", "/webhooks/new"),
        ("operator", "GET", "/webhooks/{webhook}/change"),
        ("operator", "POST", "/webhooks/{webhook}/change"),
        ("operator", "POST", "/webhooks/{webhook}/enable"),
        ("operator", "POST", "/webhooks/{webhook}/disable"),
        ("operator", "POST", "/webhooks/{webhook}/delete"),
        ("operator", "POST", "/webhooks/{webhook}/rotate-secret"),
        ("operator", "POST", "/webhooks/{webhook}/deliveries/{delivery}/redeliver"),
        ("viewer", "GET", "/workflows/{workflow}/execute"),
        ("viewer", "POST", "/workflows/{workflow}/execute"),
        ("viewer", "POST", "/schedules/{schedule}/pause"),
        ("viewer", "POST", "/schedules/{schedule}/resume"),
        ("viewer", "GET", "/audit"),
        ("operator", "GET", "/audit"),
    ],
)
async def test_who_may_not_is_refused_with_a_page_that_says_so(
    role: str, method: str, path: str, app: FastAPI, things: dict[str, UUID], engine: AsyncEngine
) -> None:
    async with visiting(app, role) as client:
        before = await _audited(engine)
        answer = await client.request(method, f"/console{path.format(**things)}", data={"input": '{"name": "x"}'})
    assert answer.status_code == 403
    assert "This needs the role" in answer.text
    assert "<h1>Forbidden</h1>" in answer.text
    assert await _audited(engine) == before


async def test_cancelling_asks_the_run_to_stop_and_is_audited_like_the_api(
    app: FastAPI, things: dict[str, UUID], engine: AsyncEngine
) -> None:
    page = f"/console/runs/{things['queued']}"
    async with visiting(app, "operator") as client:
        assert f'action="{page}/cancel"' in (await client.get(page)).text
        answer = await client.post(f"{page}/cancel")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"{page}?done=cancel")
        after = await client.get(answer.headers["Location"])
    assert "The run was asked to stop." in after.text
    assert f'action="{page}/cancel"' not in after.text
    assert (await _audited(engine))[-1] == ("run.cancel", str(things["queued"]))


async def test_a_run_that_is_finished_cannot_be_cancelled(app: FastAPI, things: dict[str, UUID]) -> None:
    async with visiting(app, "operator") as client:
        answer = await client.post(f"/console/runs/{things['run']}/cancel")
    assert answer.status_code == 409
    assert "The run is failed; only a run that is not finished can stop." in answer.text


async def test_a_schedule_is_paused_and_resumed(app: FastAPI, things: dict[str, UUID], engine: AsyncEngine) -> None:
    page = f"/console/schedules/{things['schedule']}"
    async with visiting(app, "operator") as client:
        for action, other in (("pause", "resume"), ("resume", "pause")):
            answer = await client.post(f"{page}/{action}")
            assert answer.status_code == 303, answer.text
            text = (await client.get(answer.headers["Location"])).text
            assert (f"{page}/{other}" in text, f'"{page}/{action}"' in text) == (True, False)
            assert (await _audited(engine))[-1] == (f"schedule.{action}", str(things["schedule"]))
    async with transaction(engine) as connection:
        assert await connection.scalar(select(schedules.c.paused_at)) is None


async def _number_of_runs(engine: AsyncEngine) -> int:
    async with transaction(engine) as connection:
        return int(await connection.scalar(select(func.count()).select_from(runs)) or 0)


async def test_executing_leads_to_the_run_and_begins_one_however_often_the_form_is_sent(
    app: FastAPI, things: dict[str, UUID], engine: AsyncEngine
) -> None:
    page = f"/console/workflows/{things['workflow']}/execute"
    before = await _number_of_runs(engine)
    async with visiting(app, "operator") as client:
        [key] = re.findall(r'name="key" value="(\w+)"', (await client.get(page)).text)
        form = {"key": key, "input": '{"name": "Ada"}'}
        answers = [await client.post(page, data=form) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [303, 303]
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        assert (await client.get(answers[0].headers["Location"])).status_code == 200
        other = await client.post(page, data=form | {"input": '{"name": "Eve"}'})
        assert other.status_code == 422
        assert "a run was begun by this form before" in other.text
        assert f'value="{key}"' not in other.text
    assert await _number_of_runs(engine) == before + 1
    assert [action for action, _ in await _audited(engine)].count("run.accept") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": 7}', "<code>input.name</code>"),
        ("{}", "<code>input</code> "),
        ('{"name": ', "is no JSON: Expecting value in line 1, column 10"),
        ('{"name": NaN}', "is no JSON: NaN is no value of JSON"),
        ("[1]", "must be an object"),
        ("[" * 5000, "may nest arrays and objects 64 times at most"),
        ('{"name": ' + "1" * 5000 + "}", "is no JSON"),
    ],
)
async def test_an_input_that_does_not_fit_is_told_field_by_field_and_kept(
    text: str, said: str, app: FastAPI, things: dict[str, UUID], engine: AsyncEngine
) -> None:
    before = await _number_of_runs(engine)
    async with visiting(app, "operator") as client:
        page = f"/console/workflows/{things['workflow']}/execute"
        answer = await client.post(page, data={"key": "k", "input": text})
    assert answer.status_code == 422
    assert said in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert text.replace('"', "&#34;") in answer.text
    assert await _number_of_runs(engine) == before


async def test_an_input_is_kept_when_too_many_runs_wait(
    database: str, things: dict[str, UUID], engine: AsyncEngine
) -> None:
    app = create_app(make_settings(database, run_backlog_limit=1))
    page = f"/console/workflows/{things['workflow']}/execute"
    async with visiting(app, "operator") as client:

        async def is_held_up() -> bool:
            answer = await client.post(page, data={"input": '{"name": "kept"}'})
            return answer.status_code == 429 and "kept" in answer.text and "Retry-After" in answer.headers

        await eventually(is_held_up, "the waiting runs to be counted")


async def test_the_list_is_paged_to_older_runs_and_back(app: FastAPI, engine: AsyncEngine) -> None:
    await add_people(engine)
    workflow_id = await add_workflow(engine, "many")
    ids = [str(await add_run(engine, workflow_id, "completed", number)) for number in range(2 * PAGE_SIZE + 5)][::-1]

    def shown(text: str) -> list[str]:
        return re.findall(r'id="run-([0-9a-f-]+)"', text)

    def link(text: str, name: str) -> str | None:
        found = re.search(rf'id="{name}"[^>]* href="([^"]+)"', text)
        return found and found[1].replace("&amp;", "&")

    async with visiting(app, "viewer") as client:
        text = (await client.get("/console/runs?workflow=many&status=completed")).text
        assert shown(text) == ids[:PAGE_SIZE]
        assert link(text, "newer") is None
        for begin in (PAGE_SIZE, 2 * PAGE_SIZE):
            text = (await client.get(str(link(text, "older")))).text
            assert shown(text) == ids[begin : begin + PAGE_SIZE]
        assert link(text, "older") is None
        for begin in (PAGE_SIZE, 0):
            text = (await client.get(str(link(text, "newer")))).text
            assert shown(text) == ids[begin : begin + PAGE_SIZE]
        assert link(text, "newer") is None
        assert "status=completed" in str(link(text, "older"))


async def test_filters_choose_runs(app: FastAPI, things: dict[str, UUID]) -> None:
    async with visiting(app, "viewer") as client:

        async def shown(**query: Any) -> list[str]:
            text = (await client.get("/console/runs", params=query)).text
            return re.findall(r'id="run-([0-9a-f-]+)"', text)

        both = [str(things["queued"]), str(things["run"])]
        assert await shown() == [str(things["waiting"]), *both]
        assert await shown(status="failed") == both[1:]
        assert await shown(workflow=NASTY) == [str(things["waiting"]), *both]
        assert await shown(workflow=str(things["workflow"])) == [str(things["waiting"]), *both]
        assert await shown(since="2026-03-01T12:02") == [str(things["waiting"])]
        assert await shown(until="2026-03-01T12:01") == both[1:]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("status=gone", "<code>status</code> must be one of queued"),
        ("workflow=nobody", "<code>workflow</code> there is no workflow of this name or id"),
        ("since=yesterday", "<code>since</code> must be a date and a time"),
        ("older=nonsense", "is no cursor"),
    ],
)
async def test_a_filter_that_means_nothing_is_said(
    query: str, said: str, app: FastAPI, things: dict[str, UUID]
) -> None:
    async with visiting(app, "viewer") as client:
        answer = await client.get(f"/console/runs?{query}")
    assert answer.status_code == 422
    assert said in answer.text


async def test_a_page_refreshes_itself_only_while_something_is_not_finished(
    app: FastAPI, things: dict[str, UUID]
) -> None:
    async with visiting(app, "viewer") as client:
        for path, live in (
            (f"/runs/{things['queued']}", True),
            (f"/runs/{things['queued']}/live", True),
            (f"/runs/{things['run']}", False),
            ("/runs", True),
            ("/runs?status=failed", False),
            ("/live/runs?status=queued", True),
        ):
            assert ("data-live=" in (await client.get(f"/console{path}")).text) is live, path


async def test_a_run_shows_its_steps_and_how_many_items_went_how(app: FastAPI, engine: AsyncEngine) -> None:
    await add_people(engine)
    workflow_id = await add_workflow(engine, "items")
    run_id = await add_run(engine, workflow_id, "failed")
    await add_steps(engine, run_id, items=150)
    async with visiting(app, "viewer") as client:
        text = (await client.get(f"/console/runs/{run_id}")).text
    assert "1 failed</span>" in text
    assert "149 completed</span>" in text
    assert "the first 100 of 149" in text
    assert "<title>each: failed; needs read</title>" in text
    assert text.count('<svg class="bar') == 5


async def test_a_run_leads_to_the_run_that_began_it_and_to_those_that_it_began(
    app: FastAPI, engine: AsyncEngine
) -> None:
    await add_people(engine)
    workflow_id = await add_workflow(engine, "calls")
    above = await add_run(engine, workflow_id, "waiting")
    below = await add_run(engine, workflow_id, parent_run_id=above, parent_step_id="check", depth=1)
    waits = {"kind": "workflow", "shown": {"run_id": str(below)}}
    async with transaction(engine) as connection:
        begun = {"run_id": above, "step_id": "check", "status": "waiting", "attempt": 1, "waits": waits}
        await connection.execute(run_steps.insert().values(**begun))
    async with visiting(app, "viewer") as client:
        assert f'<a id="child-check" href="/console/runs/{below}">' in (await client.get(f"/console/runs/{above}")).text
        assert f'<a id="parent" href="/console/runs/{above}">' in (await client.get(f"/console/runs/{below}")).text


async def test_a_run_shows_the_newest_lines_of_its_log_as_text(
    app: FastAPI, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_view, "MOST_LINES", 2)
    await add_people(engine)
    run_id = await add_run(engine, await add_workflow(engine, "logs"), "failed")
    lines = [
        {"run_id": run_id, "number": number, "level": "error", "message": f"{NASTY} {number}", "step_id": "read"}
        for number in range(3)
    ]
    async with transaction(engine) as connection:
        await connection.execute(run_logs.insert().values(lines))
        await connection.execute(run_logs.update().values(fields={"order": NASTY}, attempt=2))
    async with visiting(app, "viewer") as client:
        text = (await client.get(f"/console/runs/{run_id}")).text
    assert NASTY not in text
    told = [text.index(f"&lt;script&gt;alert(1)&lt;/script&gt; {number}") for number in (1, 2)]
    assert told == sorted(told)
    assert "&lt;/script&gt; 0" not in text
    assert "The newest 2 lines" in text
    assert "try 2" in text


async def test_what_is_not_there_is_said_with_a_page(app: FastAPI, things: dict[str, UUID]) -> None:
    async with visiting(app, "operator") as client:
        for path in ("runs", "workflows", "schedules", "dead-letters", "webhooks"):
            answer = await client.get(f"/console/{path}/01a20245-580a-721f-b174-27897f913689")
            assert answer.status_code == 404
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "There is no" in answer.text
        assert (await client.get("/console/runs/no-id")).status_code == 422


async def test_a_long_value_is_cut_and_says_so(app: FastAPI, engine: AsyncEngine, things: dict[str, UUID]) -> None:
    async with transaction(engine) as connection:
        await connection.execute(runs.update().values(input={"long": "x" * 200_000}))
    async with visiting(app, "viewer") as client:
        text = (await client.get(f"/console/runs/{things['run']}")).text
    assert len(text) < 100_000
    assert "cut here: 200,016 characters in all" in text


async def test_limits_are_on_the_page_of_their_workflow_and_of_a_run_that_they_hold(
    app: FastAPI, engine: AsyncEngine, things: dict[str, UUID]
) -> None:
    limits = {"max_running": 1, "max_starts": 7, "per_seconds": 60}
    async with transaction(engine) as connection:
        await connection.execute(workflow_limits.insert().values(workflow_id=things["workflow"], **limits))
    await add_run(engine, things["workflow"], "running", 90)
    held = await add_run(engine, things["workflow"], number=91, held_at=BEGIN, priority=4)
    async with visiting(app, "viewer") as client:
        page = (await client.get(f"/console/workflows/{things['workflow']}")).text
        run = (await client.get(f"/console/runs/{held}")).text
    assert ("at most 1<" in page, "at most 7 in 60 s" in page) == (True, True)
    assert ("held by the limit of runs at a time" in run, "<dt>Priority</dt><dd>4<" in run) == (True, True)

"""The console's session: its cookie, where it begins, ends and leads to."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.login_throttle import PER_ACCOUNT_AND_ADDRESS
from service.auth.roles import Role
from service.auth.tokens import issue_token
from service.console.session import COOKIE
from service.platform.ids import new_id
from service.platform.settings import Settings
from service.platform.tables import audit_log
from tests.service.console_support import HERE, PASSWORD, add_people, log_in, visiting
from tests.service.support import make_settings, running

pytestmark = pytest.mark.ring("service")


async def test_the_session_is_a_cookie_that_no_script_and_no_other_site_has(app: FastAPI, engine: AsyncEngine) -> None:
    await add_people(engine)
    async with visiting(app) as client:
        answer = await log_in(client, "viewer", next="/console/agents")
    assert answer.headers["Location"] == "/console/agents"
    [cookie] = answer.headers.get_list("Set-Cookie")
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/console", "max-age=3600"} <= parts
    assert "secure" not in parts


async def test_outside_of_development_the_cookie_is_sent_by_https_only(database: str, engine: AsyncEngine) -> None:
    await add_people(engine)
    settings = make_settings(database, environment="rehearsal")
    async with running(create_app(settings), **HERE) as client:
        answer = await log_in(client, "viewer")
    assert "secure" in answer.headers["Set-Cookie"].lower()


async def test_the_log_in_is_the_apis_own(app: FastAPI, engine: AsyncEngine) -> None:
    await add_people(engine)
    async with visiting(app, "operator") as client:
        assert PASSWORD not in (await client.get("/console/runs")).text
    async with engine.connect() as connection:
        assert (await connection.execute(select(audit_log.c.action))).scalars().all() == ["auth.login"]


async def test_a_wrong_password_is_told_and_too_many_are_held_up_like_the_apis(
    app: FastAPI, engine: AsyncEngine
) -> None:
    await add_people(engine)
    async with visiting(app) as client:
        for _ in range(PER_ACCOUNT_AND_ADDRESS):
            answer = await log_in(client, "viewer", "guessed", next="/console/agents")
            assert answer.status_code == 401
        assert "Name or password is wrong." in answer.text
        assert 'name="next" value="/console/agents"' in answer.text
        assert "guessed" not in answer.text
        held = await log_in(client, "viewer")
        assert held.status_code == 429
        assert held.headers["Retry-After"]
        assert (
            await client.post("/api/v1/auth/login", json={"username": "viewer", "password": PASSWORD})
        ).status_code == 429
        assert (await log_in(client, "", "")).status_code == 422


async def test_without_a_session_a_page_leads_to_the_log_in_and_back(app: FastAPI, engine: AsyncEngine) -> None:
    await add_people(engine)
    async with visiting(app) as client:
        answer = await client.get("/console/runs?status=failed")
        assert answer.status_code == 303
        page = await client.get(answer.headers["Location"])
        assert "session has ended" not in page.text
        [back] = re.findall(r'name="next" value="([^"]*)"', page.text)
        assert (await log_in(client, "viewer", next=back)).headers["Location"] == "/console/runs?status=failed"


async def test_an_ended_session_leads_to_the_log_in_from_pages_forms_and_their_parts(
    app: FastAPI, api_settings: Settings, engine: AsyncEngine
) -> None:
    old = issue_token(api_settings, new_id(), Role.ADMIN, now=datetime.now(UTC) - timedelta(hours=2))
    async with visiting(app) as client:
        client.cookies.set(COOKIE, old, domain="testserver.local", path="/console")
        page = "http://testserver/console/runs?status=queued"
        answers = [
            await client.get("/console/runs?status=queued"),
            await client.post(f"/console/runs/{new_id()}/cancel", headers={"Referer": page}),
            await client.get("/console/live/runs", headers={"HX-Request": "true", "HX-Current-URL": page}),
        ]
    for answer in answers:
        address = answer.headers.get("HX-Redirect") or answer.headers["Location"]
        assert address == "/console/login?next=%2Fconsole%2Fruns%3Fstatus%3Dqueued&ended=1"
    assert [answer.status_code for answer in answers] == [303, 303, 401]


async def test_logging_out_ends_the_session(app: FastAPI, engine: AsyncEngine) -> None:
    await add_people(engine)
    async with visiting(app, "viewer") as client:
        assert (await client.get("/console/runs")).status_code == 200
        assert (await client.post("/console/logout")).headers["Location"] == "/console/login"
        assert (await client.get("/console/runs")).status_code == 303


async def test_the_cookie_opens_no_route_of_the_api_and_a_token_no_page(
    app: FastAPI, engine: AsyncEngine, bearer: Callable[[Role], Any]
) -> None:
    await add_people(engine)
    async with visiting(app, "admin") as client:
        token = client.cookies[COOKIE]
        cookie = {"Cookie": f"{COOKIE}={token}"}
        assert (await client.get("/api/v1/runs", headers=cookie)).status_code == 401
    async with running(app, **await bearer(Role.ADMIN)) as client:
        assert (await client.get("/console/runs")).status_code == 303


async def test_where_authentication_is_off_everybody_is_let_in(database: str) -> None:
    async with running(create_app(make_settings(database, jwt_secret=None)), **HERE) as client:
        assert (await client.get("/console/login")).headers["Location"] == "/console/runs"
        answer: httpx.Response = await client.get("/console/runs")
        assert answer.status_code == 200
        assert "Log out" not in answer.text

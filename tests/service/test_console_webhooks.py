"""What admins do with webhooks in the console: the forms, the secret that is shown once, and what is audited."""

import re
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.console.session import COOKIE
from service.platform.database import AnyRow, transaction
from service.platform.settings import Settings
from service.platform.tables import audit_log, webhooks
from service.webhooks.signing import shown, webhook_key
from tests.service.console_support import BEGIN, add_agent, add_people, add_workflow, visiting
from tests.service.support import make_settings
from tests.service.webhook_support import add_deliveries, add_webhook, read_deliveries, read_webhook

pytestmark = pytest.mark.ring("service")

URL = "https://hooks.example.test/runs"
FORM = {"name": "pager", "url": URL, "event-run.failed": "on", "workflow_id": ""}


@pytest.fixture
def api_settings(database: str) -> Settings:
    """Settings with a host that webhooks may name."""
    return make_settings(database, http_agent_allowed_hosts=("hooks.example.test",))


@pytest.fixture
async def workflow(engine: AsyncEngine) -> UUID:
    """A workflow, and users of every role."""
    await add_people(engine)
    await add_agent(engine)
    return await add_workflow(engine, "orders")


async def _page(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(f"/console{path}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def _stored(engine: AsyncEngine) -> list[AnyRow]:
    async with transaction(engine) as connection:
        return list((await connection.execute(select(webhooks).order_by(webhooks.c.name))).all())


async def _entries(engine: AsyncEngine) -> list[tuple[str, str, Any]]:
    async with transaction(engine) as connection:
        query = select(audit_log).where(audit_log.c.action != "auth.login").order_by(audit_log.c.id)
        return [(row.action, row.actor, row.detail) for row in await connection.execute(query)]


def _secret(settings: Settings, webhook_id: UUID, number: int) -> str:
    assert settings.webhook_secret is not None
    return shown(webhook_key(settings.webhook_secret.get_secret_value(), webhook_id, number))


async def test_a_webhook_is_created_by_a_form_and_its_secret_shown_this_once(
    app: FastAPI, engine: AsyncEngine, workflow: UUID, api_settings: Settings
) -> None:
    form = FORM | {"event-run.completed": "on", "workflow_id": " orders "}
    async with visiting(app, "admin") as client:
        assert 'href="/console/webhooks/new"' in await _page(client, "/webhooks")
        assert 'action="/console/webhooks/new"' in await _page(client, "/webhooks/new")
        answer = await client.post("/console/webhooks/new", data=form)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        [stored] = await _stored(engine)
        assert f'value="{_secret(api_settings, stored.id, 1)}"' in answer.text
        for path in ("/webhooks", f"/webhooks/{stored.id}", f"/webhooks/{stored.id}/change", "/audit"):
            assert "whsec_" not in await _page(client, path), path
    assert (stored.name, stored.url, stored.workflow_id) == ("pager", URL, workflow)
    assert list(stored.events) == ["run.completed", "run.failed"]


async def test_creating_and_changing_are_audited_as_by_the_api(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    other = {"name": "pager", "url": URL, "events": ["run.failed"]}
    async with visiting(app, "admin") as client:
        bearer = {"Authorization": f"Bearer {client.cookies[COOKIE]}"}
        await client.post("/console/webhooks/new", data=FORM)
        [mine] = await _stored(engine)
        await client.post(f"/console/webhooks/{mine.id}/change", data=FORM | {"name": "changed"})
        await client.post(f"/console/webhooks/{mine.id}/delete")
        its = (await client.post("/api/v1/webhooks", json=other, headers=bearer)).json()
        await client.put(f"/api/v1/webhooks/{its['id']}", json=other | {"name": "changed"}, headers=bearer)
        await client.delete(f"/api/v1/webhooks/{its['id']}", headers=bearer)
    entries = await _entries(engine)
    assert [action for action, _, _ in entries] == ["webhook.create", "webhook.update", "webhook.delete"] * 2
    assert entries[:3] == entries[3:]


async def test_a_webhook_is_changed_by_a_form_that_is_filled_with_it(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    hook = await add_webhook(engine, URL, ["run.failed"], name="pager", workflow_id=workflow)
    page = f"/console/webhooks/{hook}/change"
    async with visiting(app, "admin") as client:
        text = (await client.get(page)).text
        assert 'name="event-run.failed" checked' in text
        assert 'name="event-run.completed" checked' not in text
        assert all(f'value="{each}"' in text for each in ("pager", URL, "orders"))
        form = {"name": "pager", "url": f"{URL}/2", "event-run.cancelled": "on", "workflow_id": ""}
        answer = await client.post(page, data=form)
        assert answer.headers["Location"] == f"/console/webhooks/{hook}?done=change"
        assert "The webhook was changed" in (await client.get(answer.headers["Location"])).text
    [stored] = await _stored(engine)
    assert (stored.url, list(stored.events), stored.workflow_id) == (f"{URL}/2", ["run.cancelled"], None)


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "change"])
@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"name": ""}, "name", "String should have at least 1 character"),
        ({"url": "https://elsewhere.example/"}, "url", "elsewhere.example"),
        ({"url": "nowhere"}, "url", "must look like https://host/path"),
        ({"event-run.failed": None}, "events", "choose at least one"),
        ({"workflow_id": "nobody"}, "workflow_id", "there is no workflow of this name or id"),
        (
            {"workflow_id": "01a20245-580a-721f-b174-27897f913689"},
            "workflow_id",
            "there is no workflow with this id",
        ),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_changed(
    is_new: bool,
    wrong: dict[str, str | None],
    field: str,
    said: str,
    app: FastAPI,
    engine: AsyncEngine,
    workflow: UUID,
) -> None:
    hook = await add_webhook(engine, URL, name="before")
    before = await _stored(engine)
    form = {name: text for name, text in (FORM | wrong).items() if text is not None}
    async with visiting(app, "admin") as client:
        answer = await client.post(f"/console/webhooks/{'new' if is_new else f'{hook}/change'}", data=form)
    assert answer.status_code == 422
    [told] = re.findall(rf'<p class="wrong" id="wrong-{field}">([^<]*)</p>', answer.text)
    assert said in told
    assert answer.text.count('class="wrong"') == 1
    assert answer.text.count(f'aria-invalid="true" aria-describedby="wrong-{field}" autofocus') == 1
    assert answer.text.count("autofocus") == 1
    for name in ("name", "url", "workflow_id"):
        assert re.search(rf'name="{name}" value="{re.escape(form[name])}"', answer.text), name
    assert await _stored(engine) == before
    assert await _entries(engine) == []


async def test_all_that_is_wrong_is_told_at_once(app: FastAPI, engine: AsyncEngine, workflow: UUID) -> None:
    async with visiting(app, "admin") as client:
        answer = await client.post("/console/webhooks/new", data={"url": "nowhere", "workflow_id": "nobody"})
    told = re.findall(r'class="wrong" id="wrong-(\w+)"', answer.text)
    assert (answer.status_code, told) == (422, ["name", "url", "events", "workflow_id"])


async def test_a_name_that_is_taken_is_told_on_the_form_that_keeps_what_was_typed(
    app: FastAPI, engine: AsyncEngine, workflow: UUID
) -> None:
    await add_webhook(engine, name="pager")
    async with visiting(app, "admin") as client:
        answer = await client.post("/console/webhooks/new", data=FORM)
    assert answer.status_code == 409
    assert "A webhook of this name exists already." in answer.text
    assert f'value="{URL}"' in answer.text
    assert len(await _stored(engine)) == 1


async def test_without_a_key_for_webhooks_the_form_says_so(database: str, engine: AsyncEngine, workflow: UUID) -> None:
    async with visiting(create_app(make_settings(database, webhook_secret=None)), "admin") as client:
        answer = await client.post("/console/webhooks/new", data=FORM)
    assert (answer.status_code, "This service has no key for webhooks" in answer.text) == (409, True)


async def test_a_secret_is_replaced_once_by_each_page_and_shown_this_once(
    app: FastAPI, engine: AsyncEngine, workflow: UUID, api_settings: Settings
) -> None:
    hook = await add_webhook(engine, URL, name="pager")
    page = f"/console/webhooks/{hook}"
    async with visiting(app, "admin") as client:
        for number in (2, 3):
            [seen] = re.findall(r'name="seen" value="([^"]+)"', (await client.get(page)).text)
            answer = await client.post(f"{page}/rotate-secret", data={"seen": seen})
            assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
            assert f'value="{_secret(api_settings, hook, number)}"' in answer.text
            # As when the page of the secret is loaded once more.
            again = await client.post(f"{page}/rotate-secret", data={"seen": seen})
            assert (again.status_code, f'href="{page}"' in again.text, "whsec_" in again.text) == (409, True, False)
        assert (await client.post(f"{page}/rotate-secret", data={"seen": ""})).status_code == 409
    assert (await read_webhook(engine, hook)).key_number == 3
    assert [action for action, _, _ in await _entries(engine)] == ["webhook.rotate_secret"] * 2


async def test_a_webhook_is_disabled_enabled_and_deleted(app: FastAPI, engine: AsyncEngine, workflow: UUID) -> None:
    hook = await add_webhook(engine, name="pager")

    def offered(text: str) -> set[str]:
        return set(re.findall(rf'action="/console/webhooks/{hook}/(\w+)"', text))

    async with visiting(app, "admin") as client:
        assert offered(await _page(client, f"/webhooks/{hook}")) == {"disable", "delete"}
        answer = await client.post(f"/console/webhooks/{hook}/disable")
        text = (await client.get(answer.headers["Location"])).text
        assert ("The webhook is disabled." in text, offered(text)) == (True, {"enable", "delete"})
        assert (await read_webhook(engine, hook)).disabled_at is not None
        answer = await client.post(f"/console/webhooks/{hook}/enable")
        assert offered((await client.get(answer.headers["Location"])).text) == {"disable", "delete"}
        answer = await client.post(f"/console/webhooks/{hook}/delete")
        assert answer.headers["Location"] == "/console/webhooks?done=delete"
        assert "The webhook was deleted." in (await client.get(answer.headers["Location"])).text
    assert await _stored(engine) == []
    done = ["webhook.disable", "webhook.enable", "webhook.delete"]
    assert [action for action, _, _ in await _entries(engine)] == done


async def test_a_delivery_is_sent_again(app: FastAPI, engine: AsyncEngine, workflow: UUID) -> None:
    hook = await add_webhook(engine, name="pager")
    [delivery] = await add_deliveries(engine, hook, status="dead", attempts=12, next_attempt_at=BEGIN)
    other = await add_webhook(engine, name="other")
    path = f"/webhooks/{hook}/deliveries/{delivery}/redeliver"
    async with visiting(app, "admin") as client:
        assert f'action="/console{path}"' in await _page(client, f"/webhooks/{hook}")
        assert (await client.post(f"/console/webhooks/{other}/deliveries/{delivery}/redeliver")).status_code == 404
        answer = await client.post(f"/console{path}")
        assert "The delivery is sent again" in (await client.get(answer.headers["Location"])).text
    [stored] = await read_deliveries(engine)
    assert (stored.id, stored.status, stored.attempts) == (delivery, "pending", 0)
    assert [action for action, _, _ in await _entries(engine)] == ["webhook.redeliver"]


async def test_an_operator_reads_webhooks_and_sees_no_button(app: FastAPI, engine: AsyncEngine, workflow: UUID) -> None:
    hook = await add_webhook(engine, name="pager")
    await add_deliveries(engine, hook)
    async with visiting(app, "operator") as client:
        for path in ("/webhooks", f"/webhooks/{hook}"):
            text = await _page(client, path)
            assert re.findall(r'method="post" action="([^"]+)"', text) == ["/console/logout"], path
            assert not re.search(r'href="/console/webhooks/[^"]*(new|change)"', text), path

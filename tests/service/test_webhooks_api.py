"""The routes of webhooks: what is taken, refused, shown, and sent again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine

from service.app import create_app
from service.auth.roles import Role
from service.platform.settings import Settings
from service.webhooks import store
from tests.service.support import make_settings, running
from tests.service.webhook_support import add_deliveries, add_webhook, read_deliveries, read_webhook

pytestmark = pytest.mark.ring("service")

PATH = "/api/v1/webhooks"
URL = "https://hooks.example.test/runs"

Bearer = Callable[[Role], Awaitable[dict[str, str]]]


@pytest.fixture
def api_settings(database: str) -> Settings:
    """Settings with a host that webhooks may name."""
    return make_settings(database, http_agent_allowed_hosts=("hooks.example.test", "plain.example.test:80"))


def body(**changes: Any) -> dict[str, Any]:
    return {"name": "pager", "url": URL, "events": ["run.failed"], **changes}


async def _created(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json=body(**changes))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_secret_is_shown_when_it_is_made_and_never_again(client: httpx.AsyncClient) -> None:
    created = await _created(client)
    rotated = (await client.post(f"{PATH}/{created['id']}/rotate-secret")).json()
    assert created["secret"].startswith("whsec_")
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != created["secret"]
    for answer in (
        await client.get(PATH),
        await client.get(f"{PATH}/{created['id']}"),
        await client.put(f"{PATH}/{created['id']}", json=body()),
        await client.get("/api/v1/audit"),
    ):
        assert answer.status_code == 200
        assert "whsec_" not in answer.text


async def test_a_webhook_is_read_as_it_was_made(client: httpx.AsyncClient, workflow_id: str) -> None:
    created = await _created(client, events=["run.failed", "run.completed"], workflow_id=workflow_id)
    created.pop("secret")
    assert (await client.get(f"{PATH}/{created['id']}")).json() == created
    assert (await client.get(PATH)).json()["items"] == [created]
    assert (created["events"], created["workflow_id"]) == (["run.completed", "run.failed"], workflow_id)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"url": "https://elsewhere.test/"}, "url", "elsewhere.test:443 is not on the list of hosts"),
        ({"url": "https://hooks.example.test:8443/"}, "url", "hooks.example.test:8443 is not on the list"),
        ({"url": "http://169.254.169.254/latest"}, "url", "169.254.169.254:80 is not on the list"),
        ({"url": "ftp://hooks.example.test/"}, "url", "must look like https://host/path"),
        ({"url": "https://user:word@hooks.example.test/"}, "url", "must hold no user, password or fragment"),
        ({"url": "https://hooks.example.test/#x"}, "url", "must hold no user, password or fragment"),
        ({"url": "https://hooks.example.test:99999/"}, "url", "is no URL"),
        ({"url": "https://hooks.example.test/a b"}, "url", "must have no spaces"),
        ({"events": []}, "events", "at least 1"),
        ({"events": ["run.failed", "run.failed"]}, "events", "names an event twice"),
        ({"events": ["run.started"]}, "events.0", "run.completed"),
        ({"workflow_id": str(UUID(int=7))}, "workflow_id", "there is no workflow with this id"),
        ({"secret": "mine"}, "secret", "Extra inputs"),
    ],
)
async def test_what_does_not_fit_is_refused_by_field(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str, message: str
) -> None:
    created = await _created(client, name="other")
    for answer in (
        await client.post(PATH, json=body(**changes)),
        await client.put(f"{PATH}/{created['id']}", json=body(**changes)),
    ):
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["field"] == field
        assert message in error["message"]
    assert (await client.get(PATH)).json()["total"] == 1


async def test_outside_development_a_webhook_is_encrypted(
    api_settings: Settings, bearer: Bearer, client: httpx.AsyncClient
) -> None:
    plain = body(url="http://plain.example.test/")
    assert (await client.post(PATH, json=plain)).status_code == 201
    production = create_app(api_settings.model_copy(update={"environment": "production"}))
    async with running(production, **await bearer(Role.ADMIN)) as strict:
        answer = await strict.post(PATH, json=plain | {"name": "other"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["message"].startswith("must begin with https")


async def test_without_a_key_for_them_there_are_no_webhooks(api_settings: Settings, bearer: Bearer) -> None:
    app = create_app(api_settings.model_copy(update={"webhook_secret": None}))
    async with running(app, **await bearer(Role.ADMIN)) as client:
        answer = await client.post(PATH, json=body())
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "webhooks-off")
    assert "WEBHOOK_SECRET" in answer.json()["detail"]


async def test_a_name_is_taken_once(client: httpx.AsyncClient) -> None:
    await _created(client)
    answer = await client.post(PATH, json=body())
    assert (answer.status_code, answer.json()["detail"]) == (409, "A webhook of this name exists already.")


async def test_there_are_so_many_webhooks_at_most(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_WEBHOOKS", 1)
    await _created(client)
    answer = await client.post(PATH, json=body(name="second"))
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (409, "too-many-webhooks")


async def test_a_workflow_with_webhooks_is_not_deleted(client: httpx.AsyncClient, workflow_id: str) -> None:
    await _created(client, workflow_id=workflow_id)
    answer = await client.delete(f"/api/v1/workflows/{workflow_id}")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "The workflow has webhooks; delete those before it."


async def test_a_webhook_is_switched_off_and_on(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    webhook_id = await add_webhook(engine, URL, failing_since=func.now())
    off = (await client.post(f"{PATH}/{webhook_id}/disable")).json()
    assert off["disabled_reason"] == "switched off by hand"
    assert (await client.post(f"{PATH}/{webhook_id}/disable")).json() == off
    on = (await client.post(f"{PATH}/{webhook_id}/enable")).json()
    assert (on["disabled_at"], on["disabled_reason"], on["failing_since"]) == (None, None, None)


async def test_a_webhook_is_deleted_with_its_deliveries(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    webhook_id, other = await add_webhook(engine), await add_webhook(engine)
    await add_deliveries(engine, webhook_id, 2)
    await add_deliveries(engine, other)
    assert (await client.delete(f"{PATH}/{webhook_id}")).status_code == 204
    assert (await client.get(f"{PATH}/{webhook_id}")).status_code == 404
    assert [each.webhook_id for each in await read_deliveries(engine)] == [other]


async def test_deliveries_are_read_page_by_page_newest_first(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    webhook_id = await add_webhook(engine)
    # All of one moment: the id decides.
    ids = await add_deliveries(engine, webhook_id, 5)
    await add_deliveries(engine, await add_webhook(engine))
    (dead,) = await add_deliveries(engine, webhook_id, status="dead", created_at=func.now() - timedelta(hours=1))
    place, found, cursor = f"{PATH}/{webhook_id}/deliveries", [], None
    for _ in range(3):
        answer = (await client.get(place, params={"size": 2, **({"cursor": cursor} if cursor else {})})).json()
        found += [each["id"] for each in answer["items"]]
        cursor = answer["next"]
    assert found == [str(each) for each in [*sorted(ids, reverse=True), dead]]
    assert cursor is None
    only = (await client.get(place, params={"status": "dead"})).json()["items"]
    assert [each["id"] for each in only] == [str(dead)]
    assert (await client.get(place, params={"cursor": "17"})).json()["errors"][0]["field"] == "query.cursor"
    assert (await client.get(f"{PATH}/{UUID(int=7)}/deliveries")).status_code == 404


@pytest.mark.parametrize("status", ["dead", "delivered", "pending"])
async def test_a_delivery_is_sent_again_with_all_its_attempts(
    client: httpx.AsyncClient, engine: AsyncEngine, status: str
) -> None:
    webhook_id = await add_webhook(engine)
    later = func.now() + timedelta(hours=6)
    (delivery_id,) = await add_deliveries(engine, webhook_id, status=status, attempts=9, next_attempt_at=later)
    answer = await client.post(f"{PATH}/{webhook_id}/deliveries/{delivery_id}/redeliver")
    assert answer.status_code == 202
    assert (answer.json()["id"], answer.json()["status"], answer.json()["attempts"]) == (str(delivery_id), "pending", 0)
    (row,) = await read_deliveries(engine)
    assert row.next_attempt_at <= (await read_webhook(engine, webhook_id)).created_at + timedelta(minutes=1)


async def test_a_delivery_of_another_webhook_is_not_found(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    (delivery_id,) = await add_deliveries(engine, await add_webhook(engine), status="dead")
    other = await add_webhook(engine)
    answer = await client.post(f"{PATH}/{other}/deliveries/{delivery_id}/redeliver")
    assert answer.status_code == 404
    assert (await read_deliveries(engine))[0].status == "dead"


async def test_operators_read_webhooks_and_only_administrators_change_them(
    client: httpx.AsyncClient, engine: AsyncEngine, bearer: Bearer
) -> None:
    webhook_id = await add_webhook(engine)
    viewer, operator = await bearer(Role.VIEWER), await bearer(Role.OPERATOR)
    assert (await client.get(PATH, headers=viewer)).status_code == 403
    assert (await client.get(f"{PATH}/{webhook_id}/deliveries", headers=operator)).status_code == 200
    assert (await client.post(PATH, json=body(), headers=operator)).status_code == 403
    assert (await client.delete(f"{PATH}/{webhook_id}", headers=operator)).status_code == 403

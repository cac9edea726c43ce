"""Lists of runs: filtered, in order, and from any page on."""

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.platform.database import transaction

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"

_STORE = """
INSERT INTO runs (id, workflow_id, workflow_version, status, correlation_id, requested_by, created_at)
SELECT gen_random_uuid(), CAST(:workflow_id AS uuid), 1, CASE WHEN number % 5 = 0 THEN 'failed' ELSE 'completed' END,
    'c', 'u', timestamptz '2026-01-01 00:00Z' + make_interval(mins => number / 2)
FROM generate_series(1, 25) AS number
"""


@pytest_asyncio.fixture
async def stored(engine: AsyncEngine, workflow_id: str) -> str:
    """A workflow with 25 runs of which two each were accepted at the same time."""
    async with transaction(engine) as connection:
        await connection.execute(text(_STORE), {"workflow_id": workflow_id})
    return workflow_id


async def _all(client: httpx.AsyncClient, **asked: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while True:
        page = (await client.get("/api/v1/runs", params=asked)).json()
        found += page["items"]
        if page["next"] is None:
            return found
        assert len(page["items"]) == page["size"]
        asked["cursor"] = page["next"]


@pytest.mark.parametrize(("sort", "reverse"), [("-created_at", True), ("created_at", False)])
@pytest.mark.usefixtures("stored")
async def test_pages_give_every_run_once_and_in_order(client: httpx.AsyncClient, sort: str, reverse: bool) -> None:
    runs = await _all(client, sort=sort, size="4")
    places = [(run["created_at"], run["id"]) for run in runs]
    assert len(set(places)) == 25
    assert places == sorted(places, reverse=reverse)


@pytest.mark.usefixtures("stored")
async def test_a_run_that_comes_meanwhile_does_not_shift_the_next_page(
    client: httpx.AsyncClient, workflow_id: str
) -> None:
    first = (await client.get("/api/v1/runs?size=10")).json()
    await client.post(f"/api/v1/workflows/{workflow_id}/execute")
    second = (await client.get("/api/v1/runs", params={"size": 15, "cursor": first["next"]})).json()
    assert len({run["id"] for run in [*first["items"], *second["items"]]}) == 25


async def test_filters_leave_out_what_does_not_fit(client: httpx.AsyncClient, stored: str) -> None:
    assert {run["status"] for run in await _all(client, status="failed", size="2")} == {"failed"}
    assert len(await _all(client, status="failed", workflow_id=stored, size="2")) == 5
    assert await _all(client, workflow_id=ABSENT) == []
    within = await _all(client, created_from="2026-01-01T00:02:00Z", created_before="2026-01-01T00:04:00Z")
    assert sorted(run["created_at"] for run in within) == ["2026-01-01T00:02:00Z"] * 2 + ["2026-01-01T00:03:00Z"] * 2


@pytest.mark.usefixtures("stored")
async def test_runs_are_counted_on_request_only_and_up_to_a_bound(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"status": "failed", "size": "1"}
    page = (await client.get("/api/v1/runs", params=asked)).json()
    assert (page["total"], page["total_is_exact"]) == (None, None)
    page = (await client.get("/api/v1/runs", params={**asked, "count": "true"})).json()
    assert (page["total"], page["total_is_exact"]) == (5, True)
    monkeypatch.setattr("service.runs.read.MOST_COUNTED", 3)
    page = (await client.get("/api/v1/runs", params={**asked, "count": "true"})).json()
    assert (page["total"], page["total_is_exact"]) == (3, False)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("cursor=abc", "query.cursor"),
        ("cursor=WzFd", "query.cursor"),
        ("status=lost", "query.status"),
        ("sort=input", "query.sort"),
        ("created_from=2026-01-01T00:00:00", "query.created_from"),
    ],
)
async def test_what_can_not_be_asked_for_is_named(client: httpx.AsyncClient, asked: str, field: str) -> None:
    answer = await client.get(f"/api/v1/runs?{asked}")
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.usefixtures("stored")
async def test_a_cursor_of_another_order_is_refused(client: httpx.AsyncClient) -> None:
    cursor = (await client.get("/api/v1/runs?size=2")).json()["next"]
    answer = await client.get("/api/v1/runs", params={"sort": "created_at", "cursor": cursor})
    assert answer.status_code == 422
    assert "another order" in answer.text

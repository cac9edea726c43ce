"""Creating, reading, changing, pausing and deleting schedules against a real database."""

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.platform.database import transaction
from service.platform.tables import audit_log, schedules
from service.schedules.schemas import MAX_INPUT_BYTES

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"
PLACE = "/api/v1/schedules"


def wanted(workflow: str, **changes: Any) -> dict[str, Any]:
    """A schedule that is due at seven each morning in Berlin."""
    return {
        "name": "mornings",
        "workflow_id": workflow,
        "expression": "0 7 * * *",
        "time_zone": "Europe/Berlin",
        "input": {"name": "Ada"},
        **changes,
    }


async def made(client: httpx.AsyncClient, workflow_id: str, **changes: Any) -> dict[str, Any]:
    answer = await client.post(PLACE, json=wanted(workflow_id, **changes))
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def workflow_with(client: httpx.AsyncClient, input_schema: dict[str, Any]) -> str:
    """A stored workflow that wants such an input."""
    await client.post("/api/v1/agents", json={"name": "nothing", "kind": "noop"})
    steps = [{"id": "only", "agent": "nothing"}]
    workflow = {"name": "particular", "steps": steps, "input_schema": input_schema}
    answer = await client.post("/api/v1/workflows", json=workflow)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture
async def greeting_for(client: httpx.AsyncClient) -> str:
    """A workflow that cannot begin without a name."""
    return await workflow_with(client, {"required": ["name"], "properties": {"name": {"type": "string"}}})


async def actions(engine: AsyncEngine) -> list[str]:
    query = select(audit_log.c.action).where(audit_log.c.subject_type == "schedule").order_by(audit_log.c.id)
    async with transaction(engine) as connection:
        return list((await connection.execute(query)).scalars())


async def test_a_schedule_is_stored_with_its_next_time_and_read_again(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    answer = await client.post(PLACE, json=wanted(workflow_id))
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert answer.headers["Location"] == f"{PLACE}/{stored['id']}"
    assert (await client.get(answer.headers["Location"])).json() == stored
    assert {key: stored[key] for key in wanted(workflow_id)} == wanted(workflow_id)
    assert (stored["catch_up"], stored["overlap"], stored["paused_at"]) == ("skip", "allow", None)
    assert stored["last_run_id"] is None
    times = (await client.get(f"{PLACE}/{stored['id']}/next?count=1")).json()["times"]
    assert stored["next_fire_at"] == times[0]["at"]
    assert await actions(engine) == ["schedule.create"]


async def test_schedules_are_listed_by_name_and_by_workflow(client: httpx.AsyncClient, workflow_id: str) -> None:
    for name in ("b", "a", "c"):
        await made(client, workflow_id, name=name)
    page = (await client.get(f"{PLACE}?size=2")).json()
    assert ([each["name"] for each in page["items"]], page["total"]) == (["a", "b"], 3)
    assert (await client.get(f"{PLACE}?workflow_id={workflow_id}")).json()["total"] == 3
    assert (await client.get(f"{PLACE}?workflow_id={ABSENT}")).json()["total"] == 0


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"expression": "61 * * * *"}, "expression", "the minute field is '61', must be"),
        ({"expression": "0 0 */30 2 TUE#2"}, "expression", "means no time within the next 50 years"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "is no IANA time zone"),
        ({"workflow_id": ABSENT}, "workflow_id", "there is no workflow with this id"),
        ({"input": {"schedule": 1}}, "input", "must not have the key 'schedule'"),
        ({"input": {"text": "x" * MAX_INPUT_BYTES}}, "input", f"must have at most {MAX_INPUT_BYTES}"),
        ({"catch_up": "all", "overlap": "skip"}, "body", "use catch_up 'latest', or overlap 'allow'"),
        ({"catch_up": "everything"}, "catch_up", "'skip', 'latest' or 'all'"),
        ({"catch_up_limit": 101}, "catch_up_limit", "less than or equal to 100"),
        ({"surprise": 1}, "surprise", "not permitted"),
    ],
)
async def test_a_schedule_that_is_wrong_is_refused_by_field_and_nothing_is_stored(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine, changes: Any, field: str, said: str
) -> None:
    kept = await made(client, workflow_id)
    for answer in (
        await client.post(PLACE, json=wanted(workflow_id, **{"name": "new", **changes})),
        await client.put(f"{PLACE}/{kept['id']}", json=wanted(workflow_id, **changes)),
    ):
        assert answer.status_code == 422, answer.text
        found = [(each["field"], said in each["message"]) for each in answer.json()["errors"]]
        assert found == [(field, True)], answer.text
    assert (await client.get(f"{PLACE}/{kept['id']}")).json() == kept
    async with transaction(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(schedules)) == 1


async def test_a_name_is_taken_once(client: httpx.AsyncClient, workflow_id: str) -> None:
    await made(client, workflow_id)
    answer = await client.post(PLACE, json=wanted(workflow_id))
    assert (answer.status_code, answer.json()["detail"]) == (409, "A schedule of this name exists already.")


async def test_another_expression_counts_from_now_on(client: httpx.AsyncClient, workflow_id: str) -> None:
    before = await made(client, workflow_id)
    answer = await client.put(f"{PLACE}/{before['id']}", json=wanted(workflow_id, expression="0 8 * * *"))
    assert answer.status_code == 200, answer.text
    times = (await client.get(f"{PLACE}/{before['id']}/next?count=1")).json()["times"]
    assert answer.json()["next_fire_at"] == times[0]["at"] != before["next_fire_at"]


async def test_a_time_that_is_due_survives_another_input(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    stored = await made(client, workflow_id)
    async with transaction(engine) as connection:
        due = text("UPDATE schedules SET next_fire_at = '2026-01-01T06:00Z'")
        await connection.execute(due)
    answer = await client.put(f"{PLACE}/{stored['id']}", json=wanted(workflow_id, input={"name": "Bob"}))
    assert answer.json()["next_fire_at"] == "2026-01-01T06:00:00Z"


async def test_a_paused_schedule_has_no_next_time_until_it_is_resumed(
    client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine
) -> None:
    stored = await made(client, workflow_id)
    place = f"{PLACE}/{stored['id']}"
    paused = (await client.post(f"{place}/pause")).json()
    assert paused["next_fire_at"] is None
    assert paused["paused_at"] is not None
    assert (await client.post(f"{place}/pause")).json() == paused, "asking again changes nothing"
    changed = (await client.put(place, json=wanted(workflow_id, expression="* * * * *"))).json()
    assert (changed["paused_at"], changed["next_fire_at"]) == (paused["paused_at"], None)
    assert len((await client.get(f"{place}/next")).json()["times"]) == 5
    resumed = (await client.post(f"{place}/resume")).json()
    assert resumed["paused_at"] is None
    assert resumed["next_fire_at"] is not None
    assert (await client.post(f"{place}/resume")).json() == resumed, "asking again changes nothing"
    assert await actions(engine) == ["schedule.create", "schedule.pause", "schedule.update", "schedule.resume"]


async def test_a_deleted_schedule_is_gone(client: httpx.AsyncClient, workflow_id: str, engine: AsyncEngine) -> None:
    stored = await made(client, workflow_id)
    assert (await client.delete(f"{PLACE}/{stored['id']}")).status_code == 204
    assert await actions(engine) == ["schedule.create", "schedule.delete"]
    assert (await client.get(PLACE)).json()["total"] == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/next"), ("POST", "/pause"), ("POST", "/resume")],
)
async def test_a_schedule_that_does_not_exist_is_not_found(
    client: httpx.AsyncClient, workflow_id: str, method: str, path: str
) -> None:
    body = wanted(workflow_id) if method == "PUT" else None
    answer = await client.request(method, f"{PLACE}/{ABSENT}{path}", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no schedule with this id.")


async def test_a_workflow_with_schedules_cannot_be_deleted(client: httpx.AsyncClient, workflow_id: str) -> None:
    stored = await made(client, workflow_id)
    answer = await client.delete(f"/api/v1/workflows/{workflow_id}")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "The workflow has schedules; delete those before it."
    await client.delete(f"{PLACE}/{stored['id']}")
    assert (await client.delete(f"/api/v1/workflows/{workflow_id}")).status_code == 204


async def test_an_expression_is_tried_without_being_stored(client: httpx.AsyncClient) -> None:
    body = {"expression": "30 2 * * *", "time_zone": "Europe/Berlin", "count": 2, "after": "2026-03-28T12:00:00Z"}
    answer = await client.post(f"{PLACE}/preview", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "time_zone": "Europe/Berlin",
        "times": [
            {"at": "2026-03-29T01:00:00Z", "local": "2026-03-29T03:00:00+02:00"},
            {"at": "2026-03-30T00:30:00Z", "local": "2026-03-30T02:30:00+02:00"},
        ],
    }
    assert len((await client.post(f"{PLACE}/preview", json={"expression": "* * * * *"})).json()["times"]) == 5
    for wrong in ({"after": "1850-01-01T00:00:00Z"}, {"after": "9999-12-31T23:59:00Z"}, {"count": 101}):
        assert (await client.post(f"{PLACE}/preview", json=body | wrong)).status_code == 422
    assert (await client.get(PLACE)).json()["total"] == 0


async def test_the_next_times_of_a_schedule_begin_where_they_are_asked_for(
    client: httpx.AsyncClient, workflow_id: str
) -> None:
    stored = await made(client, workflow_id)
    answer = await client.get(f"{PLACE}/{stored['id']}/next?count=2&after=2026-10-24T12:00:00Z")
    assert [each["at"] for each in answer.json()["times"]] == ["2026-10-25T06:00:00Z", "2026-10-26T06:00:00Z"]
    assert (await client.get(f"{PLACE}/{stored['id']}/next?count=0")).status_code == 422


async def test_viewers_read_schedules_and_operators_change_them(
    client: httpx.AsyncClient, workflow_id: str, app: Any, bearer: Any
) -> None:
    stored = await made(client, workflow_id)
    viewer = await bearer(Role.VIEWER)
    place = f"{PLACE}/{stored['id']}"
    reads = [
        await client.get(PLACE, headers=viewer),
        await client.get(place, headers=viewer),
        await client.get(f"{place}/next", headers=viewer),
        await client.post(f"{PLACE}/preview", json={"expression": "* * * * *"}, headers=viewer),
    ]
    assert [answer.status_code for answer in reads] == [200] * 4
    body = wanted(workflow_id, name="other")
    changes = [
        ("POST", PLACE),
        ("PUT", place),
        ("DELETE", place),
        ("POST", f"{place}/pause"),
        ("POST", f"{place}/resume"),
    ]
    refused = [await client.request(method, path, json=body, headers=viewer) for method, path in changes]
    assert [answer.status_code for answer in refused] == [403] * 5
    operator = await bearer(Role.OPERATOR)
    assert (await client.post(PLACE, json=body, headers=operator)).status_code == 201
    assert (await client.delete(place, headers=operator)).status_code == 204


@pytest.mark.parametrize("given", [{}, {"name": 7}], ids=["a field is missing", "a field has another type"])
async def test_an_input_that_no_run_could_begin_with_is_refused_with_its_field_when_the_schedule_is_saved(
    client: httpx.AsyncClient, engine: AsyncEngine, greeting_for: str, given: dict[str, Any]
) -> None:
    answer = await client.post(PLACE, json=wanted(greeting_for, input=given))
    assert answer.status_code == 422, answer.text
    assert [each["field"].split(".")[0] for each in answer.json()["errors"]] == ["input"]
    assert await actions(engine) == []


async def test_a_schedule_is_not_changed_to_an_input_that_no_run_could_begin_with(
    client: httpx.AsyncClient, greeting_for: str
) -> None:
    before = await made(client, greeting_for)
    answer = await client.put(f"{PLACE}/{before['id']}", json=wanted(greeting_for, input={"name": 7}))
    assert answer.status_code == 422, answer.text
    assert (await client.get(f"{PLACE}/{before['id']}")).json() == before


async def test_a_schema_may_ask_for_what_a_run_is_told_of_its_schedule(client: httpx.AsyncClient) -> None:
    moment = {"type": "object", "required": ["planned_at"]}
    workflow = await workflow_with(client, {"required": ["schedule"], "properties": {"schedule": moment}})
    await made(client, workflow)


async def test_a_schema_that_knows_of_no_schedule_takes_a_schedules_own_input(client: httpx.AsyncClient) -> None:
    workflow = await workflow_with(client, {"properties": {"name": {}}, "additionalProperties": False})
    await made(client, workflow)

"""Agents and workflows over HTTP against a real database."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.platform.database import transaction
from service.platform.settings import Settings
from service.platform.tables import runs, workflow_versions

pytestmark = pytest.mark.ring("service")

ABSENT = "01a20245-580a-721f-b174-27897f913689"
NAP = {"name": "nap", "kind": "delay", "settings": {"seconds": 0.5}}


async def _created(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"/api/v1{path}", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/api/v1{path}/{made['id']}"
    return made


async def test_an_agent_is_created_read_changed_and_deleted(client: httpx.AsyncClient) -> None:
    agent = await _created(client, "/agents", NAP)
    path = f"/api/v1/agents/{agent['id']}"
    assert (await client.get(path)).json() == agent
    changed = await client.put(path, json=NAP | {"settings": {"seconds": 2}})
    assert changed.json()["settings"] == {"seconds": 2.0}
    assert changed.json()["updated_at"] > agent["updated_at"]
    assert (await client.get("/api/v1/agents")).json()["items"] == [changed.json()]
    assert (await client.delete(path)).status_code == 204
    for method in ("GET", "DELETE"):
        assert (await client.request(method, path)).status_code == 404
    assert (await client.put(path, json=NAP)).status_code == 404


async def test_a_name_that_is_taken_is_a_conflict(client: httpx.AsyncClient) -> None:
    await _created(client, "/agents", NAP)
    answer = await client.post("/api/v1/agents", json=NAP)
    assert answer.status_code == 409
    assert answer.json()["detail"] == "An agent of this name exists already."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "kind": "delay", "settings": {"seconds": -1}}, "settings.seconds"),
        ({"name": "x", "kind": "delay"}, "settings.seconds"),
        ({"name": "x", "kind": "noop", "settings": {"speed": 1}}, "settings.speed"),
        ({"name": "x", "kind": "transform", "settings": {"expression": "a["}}, "settings.expression"),
        ({"name": "x", "kind": "http", "settings": {"url": "ftp://h/"}}, "settings.url"),
        ({"name": "x", "kind": "magic"}, "kind"),
        ({"name": "", "kind": "noop"}, "name"),
        ({"name": "x", "kind": "noop", "colour": 1}, "colour"),
    ],
)
async def test_a_wrong_agent_is_refused_with_the_field(
    body: dict[str, Any], field: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/api/v1/agents", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_list_comes_in_pages(client: httpx.AsyncClient, api_settings: Settings) -> None:
    for number in range(5):
        await _created(client, "/agents", NAP | {"name": f"nap {number}"})
    second = (await client.get("/api/v1/agents?page=2&size=2")).json()
    assert [agent["name"] for agent in second["items"]] == ["nap 2", "nap 3"]
    assert (second["total"], second["page"], second["size"]) == (5, 2, 2)
    assert (await client.get("/api/v1/agents")).json()["size"] == api_settings.default_page_size
    assert (await client.get("/api/v1/agents?size=1000")).json()["size"] == api_settings.max_page_size
    assert (await client.get("/api/v1/agents?page=0")).status_code == 422


def _workflow(*steps: dict[str, Any], name: str = "flow") -> dict[str, Any]:
    return {"name": name, "description": "for a test", "steps": list(steps)}


async def test_a_workflow_keeps_its_versions(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    agent = await _created(client, "/agents", NAP)
    first = await _created(client, "/workflows", _workflow({"id": "a", "agent": "nap"}))
    assert first["version"] == 1
    path = f"/api/v1/workflows/{first['id']}"
    await client.put(f"/api/v1/agents/{agent['id']}", json=NAP | {"settings": {"seconds": 9}})
    second = await client.put(
        path, json=_workflow({"id": "a", "agent": "nap"}, {"id": "b", "agent": "nap", "needs": ["a"]})
    )
    assert second.json()["version"] == 2
    assert (await client.get(path)).json() == second.json()
    assert [step["id"] for step in (await client.get(f"{path}/versions/1")).json()["steps"]] == ["a"]
    assert len((await client.get(f"{path}/versions/2")).json()["steps"]) == 2
    assert (await client.get(f"{path}/versions/3")).status_code == 404
    async with transaction(engine) as connection:
        rows = (await connection.execute(select(workflow_versions).order_by(workflow_versions.c.version))).all()
    naps = [row.definition["steps"][0]["agent"]["settings"]["seconds"] for row in rows]
    assert naps == [0.5, 9.0], "each version keeps the agent as it was when the version was saved"


async def test_a_deleted_agent_does_not_change_saved_workflows(client: httpx.AsyncClient) -> None:
    agent = await _created(client, "/agents", NAP)
    workflow = await _created(client, "/workflows", _workflow({"id": "a", "agent": "nap"}))
    assert (await client.delete(f"/api/v1/agents/{agent['id']}")).status_code == 204
    read = await client.get(f"/api/v1/workflows/{workflow['id']}")
    assert read.json()["steps"][0]["agent"] == "nap"
    assert (await client.post(f"/api/v1/workflows/{workflow['id']}/execute")).status_code == 202


async def test_a_wrong_graph_is_refused_with_all_its_mistakes(client: httpx.AsyncClient) -> None:
    await _created(client, "/agents", NAP)
    answer = await client.post(
        "/api/v1/workflows",
        json=_workflow({"id": "a", "agent": "ghost"}, {"id": "b", "agent": "nap", "needs": ["nobody"]}),
    )
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["steps.0.agent", "steps.1.needs.0"]
    circle = await client.post(
        "/api/v1/workflows",
        json=_workflow({"id": "a", "agent": "nap", "needs": ["b"]}, {"id": "b", "agent": "nap", "needs": ["a"]}),
    )
    assert circle.json()["errors"][0]["field"] == "steps"
    assert (await client.get("/api/v1/workflows")).json()["total"] == 0


async def test_a_workflow_is_read_as_it_was_written(client: httpx.AsyncClient) -> None:
    await _created(client, "/agents", NAP)
    written = _workflow({"id": "a", "agent": "nap", "when": "input.x", "retry": {"strategy": "fixed"}}) | {
        "timeout_seconds": 90,
        "input_schema": {"type": "object"},
        "output_schema": {"required": ["a"]},
    }
    created = await _created(client, "/workflows", written)
    read = (await client.get(f"/api/v1/workflows/{created['id']}")).json()
    version = (await client.get(f"/api/v1/workflows/{created['id']}/versions/1")).json()
    for answer in (created, read, version):
        assert {name: answer[name] for name in ("timeout_seconds", "input_schema", "output_schema")} == {
            name: written[name] for name in ("timeout_seconds", "input_schema", "output_schema")
        }
        (step,) = answer["steps"]
        assert (step["when"], step["retry"]["strategy"], step["retry"]["max_attempts"]) == ("input.x", "fixed", 3)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": "x", "steps": [{"id": "a", "agent": "nap"}]}, []),
        ({"steps": [{"id": "a", "agent": "nap", "colour": 1}]}, ["steps.0.colour", "name"]),
        ({"name": "x", "steps": [{"id": "a", "agent": "nap", "retry": {"max_pause_seconds": 0}}]}, ["steps.0.retry"]),
        (
            {
                "name": "x",
                "steps": [
                    {"id": "a", "agent": "ghost", "needs": ["b"], "when": "a["},
                    {"id": "b", "agent": "nap", "needs": ["a"]},
                    {"id": "c", "agent": "nap", "needs": ["b"], "input": {"x": {"$jmespath": "steps.d"}}},
                    {"id": "d", "agent": "nap"},
                ],
                "input_schema": {"type": "objekt"},
            },
            ["steps.0.agent", "steps.0.when", "steps.2.needs", "steps.2.input.x", "steps", "input_schema.type"],
        ),
    ],
)
async def test_a_workflow_is_validated_with_all_its_faults_and_not_stored(
    body: dict[str, Any], fields: list[str], client: httpx.AsyncClient
) -> None:
    await _created(client, "/agents", NAP)
    answer = await client.post("/api/v1/workflows/validate", json=body)
    assert answer.status_code == 200
    assert [problem["field"] for problem in answer.json()["problems"]] == fields
    assert answer.json()["valid"] is (not fields)
    assert (await client.get("/api/v1/workflows")).json()["total"] == 0
    assert (await client.post("/api/v1/workflows", json=body)).status_code == (422 if fields else 201)


async def test_validation_asks_for_an_object(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/workflows/validate", json=[1])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")


async def test_a_viewer_may_validate_and_plan(
    client: httpx.AsyncClient, bearer: Callable[[Role], Any], workflow_id: str
) -> None:
    headers = await bearer(Role.VIEWER)
    body = {"name": "x", "steps": [{"id": "a", "agent": "nothing"}]}
    validated = await client.post("/api/v1/workflows/validate", json=body, headers=headers)
    planned = await client.post(f"/api/v1/workflows/{workflow_id}/plan", headers=headers)
    saved = await client.post("/api/v1/workflows", json=body, headers=headers)
    assert (validated.status_code, planned.status_code, saved.status_code) == (200, 200, 403)


async def test_a_plan_executes_and_stores_nothing(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await _created(client, "/agents", NAP)
    steps = [
        {"id": "a", "agent": "nap", "input": {"n": {"$jmespath": "input.n"}}},
        {"id": "b", "agent": "nap", "needs": ["a"], "when": "input.n > `9`"},
    ]
    schema = {"required": ["n"], "properties": {"n": {"type": "integer"}}}
    workflow = await _created(client, "/workflows", _workflow(*steps) | {"input_schema": schema, "timeout_seconds": 60})
    path = f"/api/v1/workflows/{workflow['id']}/plan"
    plan = (await client.post(path, json={"input": {"n": 7}})).json()
    assert (plan["version"], plan["timeout_seconds"]) == (1, 60)
    assert [[(step["id"], step["runs"], step["input"]) for step in wave] for wave in plan["waves"]] == [
        [("a", True, {"n": 7})],
        [("b", False, None)],
    ]
    refused = await client.post(path, json={"input": {"n": "seven"}})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "input.n")
    assert (await client.post(path)).json()["errors"][0]["field"] == "input"
    assert (await client.post(f"/api/v1/workflows/{ABSENT}/plan")).status_code == 404
    async with transaction(engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(runs))).scalar_one() == 0


async def test_a_workflow_that_was_executed_is_not_deleted(client: httpx.AsyncClient, workflow_id: str) -> None:
    path = f"/api/v1/workflows/{workflow_id}"
    await client.post(f"{path}/execute")
    answer = await client.delete(path)
    assert answer.status_code == 409
    assert answer.json()["detail"] == "The workflow has runs, so it cannot be deleted."
    unused = await _created(client, "/workflows", _workflow({"id": "a", "agent": "nothing"}, name="unused"))
    assert (await client.delete(f"/api/v1/workflows/{unused['id']}")).status_code == 204
    assert (await client.get(f"/api/v1/workflows/{ABSENT}")).status_code == 404


async def test_a_value_that_cannot_be_stored_is_refused(client: httpx.AsyncClient, workflow_id: str) -> None:
    for body in (b'{"input": {"x": "\\u0000"}}', b'{"input": {"x": "\\ud800"}}', b'{"input": {"x": NaN}}'):
        answer = await client.post(
            f"/api/v1/workflows/{workflow_id}/execute", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422, f"{body!r}: {answer.text}"


async def test_changes_are_in_the_audit_log(client: httpx.AsyncClient, workflow_id: str) -> None:
    headers = {"X-Correlation-ID": "req-audit-1"}
    await client.post(f"/api/v1/workflows/{workflow_id}/execute", headers=headers)
    answer = await client.get("/api/v1/audit")
    assert [entry["action"] for entry in answer.json()["items"]] == ["run.accept", "workflow.create", "agent.create"]
    entry = answer.json()["items"][0]
    assert entry["correlation_id"] == "req-audit-1"
    assert entry["detail"]["workflow_id"] == workflow_id
    one = await client.get("/api/v1/audit", params={"action": "workflow.create", "subject_id": workflow_id})
    assert one.json()["total"] == 1

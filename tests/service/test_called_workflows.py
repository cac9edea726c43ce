"""Workflows whose steps execute others: what is refused because the other is not there."""

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.ring("service")


async def validate(client: httpx.AsyncClient, *names: str, name: str = "calling", **whole: Any) -> list[dict[str, str]]:
    steps = [{"id": f"call_{index}", "agent": agent} for index, agent in enumerate(names)]
    answer = await client.post("/api/v1/workflows/validate", json={"name": name, "steps": steps, **whole})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["problems"])


async def add_caller(client: httpx.AsyncClient, name: str, **settings: Any) -> None:
    answer = await client.post("/api/v1/agents", json={"name": name, "kind": "workflow", "settings": settings})
    assert answer.status_code == 201, answer.text


async def test_a_workflow_that_is_not_there_is_a_fault_at_its_step(client: httpx.AsyncClient, workflow_id: str) -> None:
    await add_caller(client, "by name", workflow="two steps")
    await add_caller(client, "by id", workflow=workflow_id)
    await add_caller(client, "by loud id", workflow=workflow_id.upper())
    await add_caller(client, "nowhere", workflow="nowhere")
    follow_up = [{"id": "last", "agent": "nowhere"}]
    problems = await validate(client, "by name", "by id", "nowhere", "by loud id", on_failure=follow_up)
    message = "the agent 'nowhere' executes the workflow 'nowhere', and there is none of this name or id"
    assert problems == [
        {"field": "steps.2.agent", "message": message},
        {"field": "on_failure.0.agent", "message": message},
    ]


@pytest.mark.usefixtures("workflow_id")
async def test_a_version_that_is_not_there_is_a_fault_at_its_step(client: httpx.AsyncClient) -> None:
    await add_caller(client, "first", workflow="two steps", version=1)
    await add_caller(client, "second", workflow="two steps", version=2)
    assert await validate(client, "first", "second") == [
        {
            "field": "steps.1.agent",
            "message": "the agent 'second' executes version 2 of the workflow 'two steps', which it does not have",
        }
    ]


async def test_it_cannot_be_saved_either_and_nothing_is_stored(client: httpx.AsyncClient) -> None:
    await add_caller(client, "nowhere", workflow="nowhere")
    body = {"name": "calling", "steps": [{"id": "call", "agent": "nowhere"}]}
    answer = await client.post("/api/v1/workflows", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["steps.0.agent"]
    assert (await client.get("/api/v1/workflows")).json()["total"] == 0


async def test_a_workflow_may_execute_itself(client: httpx.AsyncClient) -> None:
    await add_caller(client, "again", workflow="calling")
    assert await validate(client, "again") == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "settings.workflow"),
        ({"workflow": ""}, "settings.workflow"),
        ({"workflow": "x", "version": 0}, "settings.version"),
        ({"workflow": "x", "timeout_seconds": 0}, "settings.timeout_seconds"),
        ({"workflow": "x", "on_timeout": "wait"}, "settings.on_timeout"),
    ],
)
async def test_settings_that_make_no_sense_are_refused(
    client: httpx.AsyncClient, settings: dict[str, Any], field: str
) -> None:
    answer = await client.post("/api/v1/agents", json={"name": "x", "kind": "workflow", "settings": settings})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]

"""Kinds of agents and secrets of agents, as the API tells and refuses them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from service.auth.roles import Role
from service.platform.database import transaction
from service.platform.ids import new_id
from service.platform.tables import agents, audit_log
from tests.service.example_support import install_example, on_path

pytestmark = pytest.mark.ring("service")

PLAIN = {"url": "https://shop.test/", "headers": {"X-Api-Key": "abcdef-0123456789"}}
NAMED = {"url": "https://shop.test/", "headers": {"X-Api-Key": {"secret": "shop"}}}


async def _stored(engine: AsyncEngine, name: str, kind: str, settings: dict[str, Any]) -> None:
    """An agent as an earlier version, or one with more packages, has saved it."""
    async with transaction(engine) as connection:
        await connection.execute(agents.insert().values(id=new_id(), name=name, kind=kind, settings=settings))


async def test_a_viewer_reads_all_kinds_with_schemas_that_their_settings_fit(
    client: httpx.AsyncClient, bearer: Callable[[Role], Any]
) -> None:
    answer = await client.get("/api/v1/agents/kinds", headers=await bearer(Role.VIEWER))
    assert answer.status_code == 200
    kinds = {each["kind"]: each for each in answer.json()["items"]}
    assert list(kinds) == ["approval", "delay", "http", "kafka", "noop", "transform", "workflow"]
    assert {each["package"] for each in kinds.values()} == {None}
    schema = kinds["http"]["settings_schema"]
    for settings, fits in ((NAMED, True), ({**NAMED, "colour": 1}, False), ({"method": "GET"}, False)):
        assert jsonschema_rs.is_valid(schema, settings) is fits, settings


async def test_a_kind_of_a_package_is_listed_and_its_agents_are_saved_and_checked(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    with on_path(install_example(tmp_path)):
        kinds = {each["kind"]: each for each in (await client.get("/api/v1/agents/kinds")).json()["items"]}
        assert kinds["greet"]["package"] == "greeting-agent 1.0.0"
        made = await client.post("/api/v1/agents", json={"name": "hello", "kind": "greet"})
        assert made.status_code == 201, made.text
        wrong = await client.post("/api/v1/agents", json={"name": "x", "kind": "greet", "settings": {"word": ""}})
    assert [error["field"] for error in wrong.json()["errors"]] == ["settings.word"]


async def test_an_unknown_kind_is_refused_with_those_that_there_are(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/agents", json={"name": "x", "kind": "greet"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "kind",
            "message": "there is no kind 'greet'; it must be one of"
            " approval, delay, http, kafka, noop, transform, workflow",
        }
    ]


async def test_a_credential_in_plain_text_is_refused_and_stored_nowhere(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    answer = await client.post("/api/v1/agents", json={"name": "shop", "kind": "http", "settings": PLAIN})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "settings.headers"
    assert '{"X-Api-Key": {"secret": "NAME"' in error["message"]
    assert "abcdef-0123456789" not in answer.text
    async with transaction(engine) as connection:
        assert (await connection.execute(select(agents))).all() == []
        assert (await connection.execute(select(audit_log))).all() == []


async def test_a_named_secret_is_read_back_as_its_name(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/v1/agents", json={"name": "shop", "kind": "http", "settings": NAMED})
    assert made.status_code == 201, made.text
    assert made.json()["settings"]["headers"] == {"X-Api-Key": {"secret": "shop", "prefix": ""}}


async def test_an_agent_from_before_is_named_by_validate_and_in_no_new_version(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await _stored(engine, "old shop", "http", PLAIN)
    body = {"name": "buy", "steps": [{"id": "buy", "agent": "old shop"}]}
    validated = await client.post("/api/v1/workflows/validate", json=body)
    saved = await client.post("/api/v1/workflows", json=body)
    assert validated.json()["valid"] is False
    (problem,) = validated.json()["problems"]
    assert problem["field"] == "steps.0.agent"
    assert problem["message"].startswith("the agent 'old shop' has to be changed first: headers: X-Api-Key carries")
    assert saved.status_code == 422
    assert saved.json()["errors"] == [problem]


async def test_an_agent_whose_package_is_gone_is_still_listed_but_in_no_new_version(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await _stored(engine, "hello", "greet", {})
    listed = (await client.get("/api/v1/agents")).json()["items"]
    assert [(each["name"], each["kind"]) for each in listed] == [("hello", "greet")]
    body = {"name": "greeting", "steps": [{"id": "greet", "agent": "hello"}]}
    answer = await client.post("/api/v1/workflows", json=body)
    assert answer.status_code == 422
    assert "there is no kind 'greet'" in answer.json()["errors"][0]["message"]

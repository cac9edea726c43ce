"""The builtin agent kinds by themselves, and the checking of their settings."""

import asyncio
import time
from typing import Any

import pytest

from service.executor.kinds.base import StepContext, StepFailedError
from service.executor.kinds.registry import (
    BUILTIN_KINDS,
    InvalidAgentSettingsError,
    create_agents,
    known_kinds,
    least_timeout_seconds,
    parse_settings,
    settings_schema,
    validate_settings,
)
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")

SETTINGS = make_settings("postgresql://u@h/d")
CONTEXT = StepContext(run_id="run", step_id="step", attempt=1, correlation_id="req-1")


async def call(kind: str, settings: dict[str, Any], step_input: dict[str, Any]) -> Any:
    return await create_agents(SETTINGS)[kind].run(parse_settings(kind, settings), step_input, CONTEXT)


def test_an_executor_has_an_agent_of_every_kind_that_the_api_knows() -> None:
    assert set(BUILTIN_KINDS) == set(known_kinds()) == set(create_agents(SETTINGS))


async def test_a_noop_agent_returns_its_input() -> None:
    assert await call("noop", {}, {"a": [1, None]}) == {"a": [1, None]}


async def test_a_transform_agent_returns_the_result_of_its_expression() -> None:
    data = {"orders": [{"id": 1, "open": True}, {"id": 2, "open": False}]}
    assert await call("transform", {"expression": "orders[?open].id"}, data) == [1]


async def test_a_transform_that_does_not_fit_the_data_fails_for_good() -> None:
    with pytest.raises(StepFailedError) as caught:
        await call("transform", {"expression": "length(number)"}, {"number": 1})
    assert caught.value.code == "expression"
    assert not caught.value.retryable


async def test_a_delay_agent_waits_and_returns_its_input() -> None:
    began = time.monotonic()
    assert await call("delay", {"seconds": 0.05}, {"a": 1}) == {"a": 1}
    assert time.monotonic() - began >= 0.05


async def test_a_delay_can_be_interrupted() -> None:
    task = asyncio.ensure_future(call("delay", {"seconds": 3600}, {}))
    done, _ = await asyncio.wait({task}, timeout=0.01)
    assert not done
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("kind", "settings", "path", "part"),
    [
        ("magic", {}, "kind", "must be one of"),
        ("noop", {"speed": 1}, "speed", "Extra inputs"),
        ("delay", {}, "seconds", "required"),
        ("delay", {"seconds": -1}, "seconds", "greater than or equal to 0"),
        ("delay", {"seconds": 1e9}, "seconds", "less than or equal to 86400"),
        ("delay", {"seconds": float("nan")}, "seconds", "finite"),
        ("transform", {"expression": "a["}, "expression", "not a JMESPath expression"),
        ("http", {"url": "ftp://example.net/"}, "url", "must begin with http"),
        ("http", {"url": "http://u:p@example.net/"}, "url", "Authorization header"),
        ("http", {"url": "http://${host}/"}, "url", "may only stand behind"),
        ("http", {"url": "http://example.net:${port}/"}, "url", ""),
        ("http", {"url": "http://example.net/${a[}"}, "url", "not a JMESPath expression"),
        ("http", {"url": "http://example.net/", "headers": {"Host": "other"}}, "headers", "set by the protocol"),
        ("http", {"url": "http://example.net/", "headers": {"X-A": "a\r\nX-B: b"}}, "headers", "line break"),
        ("http", {"url": "http://example.net/", "json": {}, "body": "x"}, "", "only one of them"),
        ("http", {"url": "http://example.net/", "json": {"a": {"$jmespath": "("}}}, "", "not a JMESPath expression"),
        ("http", {"url": "http://example.net/", "timeout_seconds": 0}, "timeout_seconds", "greater than 0"),
        ("http", {"url": "http://example.net/", "method": "TRACE"}, "method", "GET"),
    ],
)
def test_wrong_settings_are_refused_with_the_place_and_the_reason(
    kind: str, settings: dict[str, Any], path: str, part: str
) -> None:
    with pytest.raises(InvalidAgentSettingsError) as caught:
        validate_settings(kind, settings)
    error = caught.value.errors[0]
    assert error.path == path
    assert part in error.message


def test_valid_settings_come_back_with_their_defaults_and_are_valid_again() -> None:
    stored = validate_settings("http", {"url": "https://example.net/x", "method": "post", "json": {"a": 1}})
    assert stored["method"] == "POST"
    assert stored["json"] == {"a": 1}
    assert stored["timeout_seconds"] == 10
    assert validate_settings("http", stored) == stored


def test_the_least_timeout_of_a_step_is_the_length_of_its_delay() -> None:
    assert least_timeout_seconds("delay", {"seconds": 45}) == 45
    assert least_timeout_seconds("noop", {}) == 0


@pytest.mark.parametrize("kind", BUILTIN_KINDS)
def test_every_kind_describes_its_settings(kind: str) -> None:
    assert settings_schema(kind)["type"] == "object"

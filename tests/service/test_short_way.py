"""Requests find the same route by the short way as by FastAPI's own."""

import re

import pytest
from fastapi import FastAPI
from starlette.routing import Match

from service.app import create_app
from service.platform.short_way import ShortWay
from tests.service.support import make_settings, plain_client

pytestmark = pytest.mark.ring("unit")

ID = "01a20245-580a-721f-b174-27897f913689"
PREFIX = "/api/v1"


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The whole API, not started."""
    return create_app(make_settings("postgresql://u:p@127.0.0.1:9/d"))


@pytest.fixture(scope="module")
def short(app: FastAPI) -> ShortWay:
    """Its short way."""
    found = app.router.middleware_stack
    assert isinstance(found, ShortWay)
    return found


def _scope(method: str, path: str) -> dict[str, object]:
    return {"type": "http", "method": method, "path": path, "headers": []}


def _usual(app: FastAPI, method: str, path: str) -> tuple[object, object]:
    """The endpoint that FastAPI finds, and the values in the path."""
    for route in app.router.routes:
        for context in getattr(route, "effective_route_contexts", list)():
            match, found = context.matches(_scope(method, path))
            if match is Match.FULL:
                return found["endpoint"], found["path_params"]
    raise AssertionError(f"{method} {path} has no route")


def test_every_operation_of_the_api_is_found_by_the_short_way_as_fastapi_finds_it(
    app: FastAPI, short: ShortWay
) -> None:
    checked = 0
    for path, operations in app.openapi()["paths"].items():
        if not path.startswith(PREFIX):
            continue
        for method in operations:
            asked = re.sub(r"\{[^}]+\}", ID, path)
            found = short.find(_scope(method.upper(), asked))
            assert found is not None, f"{method} {path}"
            assert (found[1]["endpoint"], found[1]["path_params"]) == _usual(app, method.upper(), asked)
            checked += 1
    assert checked > 40


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", f"{PREFIX}/runs"), ("GET", f"{PREFIX}/nothing"), ("GET", f"{PREFIX}/runs/"), ("GET", "/health")],
)
def test_what_is_no_operation_of_the_api_goes_the_usual_way(short: ShortWay, method: str, path: str) -> None:
    assert short.find(_scope(method, path)) is None


async def test_a_wrong_method_and_an_unknown_path_are_refused_as_ever(app: FastAPI) -> None:
    async with plain_client(app) as client:
        wrong = await client.delete(f"{PREFIX}/runs")
        unknown = await client.get(f"{PREFIX}/nothing")
    assert (wrong.status_code, unknown.status_code) == (405, 404)
    assert wrong.headers["content-type"] == unknown.headers["content-type"] == "application/problem+json"

"""Routes that are entered directly answer as through FastAPI's own application around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from service.platform import problems
from service.platform.json_answer import JsonAnswer
from service.platform.patient_route import PatientRoute
from service.platform.short_way import ShortWay

pytestmark = pytest.mark.ring("unit")

PREFIX = "/api/v1"
ONE = "0192d3f0-0000-7000-8000-000000000001"


class Wish(BaseModel):
    """A body."""

    name: str = Field(min_length=2)


seen: list[str] = []


async def _read(item: UUID, request: Request) -> Wish:
    seen.append("with stacks" if "fastapi_inner_astack" in request.scope else "without stacks")
    return Wish(name=str(item))


async def _write(wish: Wish) -> Wish:
    return wish


async def _refuse(item: int) -> Wish:
    raise HTTPException(409, f"not {item}")


async def _break() -> Wish:
    raise ValueError("unexpected")


async def _lent() -> AsyncIterator[str]:
    seen.append("lent")
    yield "lent"
    seen.append("returned")


async def _borrow(thing: Annotated[str, Depends(_lent)]) -> Wish:
    return Wish(name=thing)


def _client(*, short: bool) -> httpx.AsyncClient:
    router = APIRouter(route_class=PatientRoute)
    router.add_api_route("/read/{item}", _read, methods=["GET"])
    router.add_api_route("/write", _write, methods=["POST"])
    router.add_api_route("/refuse/{item}", _refuse, methods=["GET"])
    router.add_api_route("/break", _break, methods=["GET"])
    router.add_api_route("/borrow", _borrow, methods=["GET"])
    app = FastAPI()
    problems.install(app)
    app.include_router(router, prefix=PREFIX)
    if short:
        app.router.middleware_stack = ShortWay(app, PREFIX)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"http://host{PREFIX}")


KIND = {"content-type": "application/json"}

REQUESTS: dict[str, dict[str, Any]] = {
    "as it should be": {"url": f"/read/{ONE}"},
    "a bad path": {"url": "/read/nothing"},
    "a body": {"method": "POST", "url": "/write", "json": {"name": "Ada"}},
    "a bad body": {"method": "POST", "url": "/write", "json": {"name": "A"}},
    "broken JSON": {"method": "POST", "url": "/write", "content": b"{", "headers": KIND},
    "refused by the endpoint": {"url": "/refuse/7"},
    "refused before the endpoint": {"url": "/refuse/seven"},
    "an error": {"url": "/break"},
    "a dependency that ends later": {"url": "/borrow"},
    "a wrong method": {"method": "DELETE", "url": "/write"},
    "no route": {"url": "/nothing"},
}


@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS)
async def test_a_request_is_answered_as_by_the_usual_way(asked: dict[str, Any]) -> None:
    asked = {"method": "GET", **asked}
    async with _client(short=True) as direct, _client(short=False) as usual:
        ours, theirs = await direct.request(**asked), await usual.request(**asked)
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    assert sorted(ours.headers.raw) == sorted(theirs.headers.raw)


async def test_a_request_that_is_as_it_should_be_is_handled_without_fastapis_stacks() -> None:
    seen.clear()
    async with _client(short=True) as direct, _client(short=False) as usual:
        await direct.get(f"/read/{ONE}")
        await usual.get(f"/read/{ONE}")
    assert seen == ["without stacks", "with stacks"]


async def test_a_dependency_that_ends_later_ends() -> None:
    seen.clear()
    async with _client(short=True) as direct:
        await direct.get("/borrow")
    assert seen == ["lent", "returned"]


@pytest.mark.parametrize("body", [b"", b"{}", '{"name":"Ünal"}'.encode()], ids=["nothing", "little", "not ASCII"])
def test_an_answer_that_is_json_already_has_the_header_fields_of_any(body: bytes) -> None:
    ours, usual = JsonAnswer(body, 207), Response(body, 207, media_type="application/json")
    assert (ours.status_code, ours.body, ours.raw_headers) == (usual.status_code, usual.body, usual.raw_headers)
    ours.headers["x-more"] = "yes"
    assert (b"x-more", b"yes") in ours.raw_headers

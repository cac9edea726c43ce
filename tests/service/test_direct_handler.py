"""Requests that are handled directly are answered as FastAPI answers them, and all others by FastAPI itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Cookie, Depends, FastAPI, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from service.app import create_app
from service.platform.direct_handler import direct_handler
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")

ONE = "0192d3f0-0000-7000-8000-000000000001"
JSON = {"content-type": "application/json"}


class DirectRoute(APIRoute):
    """Counts how often FastAPI's own handler was needed."""

    fallbacks = 0

    def get_route_handler(self) -> Any:
        """As a guarded route's, without its guard."""
        handle = super().get_route_handler()

        async def otherwise(request: Request) -> Response:
            DirectRoute.fallbacks += 1
            return await handle(request)

        return direct_handler(self, otherwise)


class Wish(BaseModel):
    """A body."""

    name: str = Field(min_length=2)
    many: int = 1


class Answer(BaseModel):
    """An answer with an alias and a default."""

    what: str = Field(serialization_alias="theWhat")
    more: dict[str, Any] = {}


called: list[str] = []


async def _tool(request: Request) -> str:
    called.append("tool")
    return request.url.path


async def _user(tool: Annotated[str, Depends(_tool)], x_user: Annotated[str, Header()] = "nobody") -> str:
    called.append("user")
    return f"{x_user} at {tool}"


async def _everything(
    item: UUID,
    request: Request,
    response: Response,
    user: Annotated[str, Depends(_user)],
    tool: Annotated[str, Depends(_tool)],
    size: Annotated[int, Query(ge=1)] = 3,
    flag: bool = False,
    key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=5)] = None,
    wish: Wish | None = None,
) -> Answer:
    called.append("endpoint")
    response.headers["X-Made"] = "yes"
    if size == 7:
        response.status_code = 207
    return Answer(
        what=str(item), more={"user": user, "size": size, "flag": flag, "key": key, "wish": wish and wish.model_dump()}
    )


async def _raw(request: Request) -> Response:
    return Response(request.method, 299)


async def _wished(wish: Wish) -> Wish:
    return wish


async def _wrong() -> Answer:
    return {"nothing": "that fits"}  # type: ignore[return-value]


def _app(route_class: type[APIRoute]) -> httpx.AsyncClient:
    router = APIRouter(route_class=route_class)
    router.add_api_route("/all/{item}", _everything, methods=["POST"], status_code=202)
    router.add_api_route("/raw", _raw, methods=["GET"], response_model=None)
    router.add_api_route("/wish", _wished, methods=["POST"])
    router.add_api_route("/wrong", _wrong, methods=["GET"])
    app = FastAPI()
    app.include_router(router, prefix="/p")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://host")


def _post(url: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "url": url, **more}


KIND = "content-type"
PLAIN = {
    "a body": _post(f"/p/all/{ONE}", json={"name": "Ada"}),
    "no body": _post(f"/p/all/{ONE}"),
    "an empty body of a kind": _post(f"/p/all/{ONE}", content=b"", headers=JSON),
    "query": _post(f"/p/all/{ONE}?size=4&flag=true"),
    "a query twice": _post(f"/p/all/{ONE}?size=4&size=5"),
    "headers": _post(f"/p/all/{ONE}", headers={"Idempotency-Key": "k", "X-User": "ada"}),
    "a status of its own": _post(f"/p/all/{ONE}?size=7"),
    "a needed body": _post("/p/wish", json={"name": "Ada", "many": "2"}),
}
NOT_PLAIN = {
    "a bad path": _post("/p/all/nothing"),
    "a bad query": _post(f"/p/all/{ONE}?size=0"),
    "a bad header": _post(f"/p/all/{ONE}", headers={"Idempotency-Key": "too long"}),
    "a bad body": _post(f"/p/all/{ONE}", json={"name": "A"}),
    "all that is bad at once": _post("/p/all/x?size=0", json={"name": "A"}),
    "broken JSON": _post(f"/p/all/{ONE}", content=b'{"name":', headers=JSON),
    "no text": _post(f"/p/all/{ONE}", content=b"\xff\xfe\xfa", headers=JSON),
    "null": _post(f"/p/all/{ONE}", content=b"null", headers=JSON),
    "a list": _post(f"/p/all/{ONE}", json=[1]),
    "another kind of JSON": _post("/p/wish", content=b'{"name":"Ada"}', headers={KIND: "application/x+json"}),
    "a kind with a parameter": _post(
        "/p/wish", content=b'{"name":"Ada"}', headers={KIND: "application/json; charset=utf-8"}
    ),
    "a kind that is no JSON": _post("/p/wish", content=b"a=b", headers={KIND: "text/plain"}),
    "no kind": _post("/p/wish", content=b'{"name":"Ada"}'),
    "no body that is needed": _post("/p/wish"),
}


@pytest.mark.parametrize("request_of", [*PLAIN.values(), *NOT_PLAIN.values()], ids=[*PLAIN, *NOT_PLAIN])
async def test_a_request_is_answered_as_fastapi_answers_it(request_of: dict[str, Any]) -> None:
    async with _app(DirectRoute) as direct, _app(APIRoute) as usual:
        ours, theirs = await direct.request(**request_of), await usual.request(**request_of)
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
    assert sorted(ours.headers.raw) == sorted(theirs.headers.raw)


@pytest.mark.parametrize("request_of", PLAIN.values(), ids=PLAIN)
async def test_a_request_that_is_as_it_should_be_does_not_need_fastapi(request_of: dict[str, Any]) -> None:
    before = DirectRoute.fallbacks
    async with _app(DirectRoute) as direct:
        assert (await direct.request(**request_of)).is_success
    assert DirectRoute.fallbacks == before


async def test_each_function_is_called_once_in_fastapis_order() -> None:
    called.clear()
    async with _app(DirectRoute) as direct:
        await direct.request(**PLAIN["a body"])
    assert called == ["tool", "user", "endpoint"]


async def test_nothing_is_called_for_a_request_that_is_refused() -> None:
    called.clear()
    async with _app(DirectRoute) as direct:
        await direct.request(**NOT_PLAIN["a bad body"])
    assert "endpoint" not in called


async def test_an_endpoint_may_answer_by_itself() -> None:
    async with _app(DirectRoute) as direct:
        answer = await direct.get("/p/raw")
    assert (answer.status_code, answer.text) == (299, "GET")


async def test_an_answer_that_does_not_fit_is_an_error_of_the_server() -> None:
    async with _app(DirectRoute) as direct:
        assert (await direct.get("/p/wrong")).status_code == 500


def _threaded() -> Answer:
    return Answer(what="")


async def _with_a_cookie(choice: Annotated[str | None, Cookie()] = None) -> Answer:
    return Answer(what=str(choice))


async def _generated() -> AsyncIterator[str]:
    yield ""


async def _with_a_generator(made: Annotated[str, Depends(_generated)]) -> Answer:
    return Answer(what=made)


@pytest.mark.parametrize("function", [_threaded, _with_a_cookie, _with_a_generator])
def test_a_signature_that_is_not_plain_is_left_to_fastapi(function: Callable[..., Any]) -> None:
    assert _handler_of(APIRoute("/one", function, response_model=Answer)) is _otherwise


async def _otherwise(_request: Request) -> Response:
    return Response()


def _handler_of(route: APIRoute) -> Any:
    return direct_handler(route, _otherwise)


def test_the_routes_that_are_asked_most_are_handled_directly() -> None:
    app = create_app(make_settings("postgresql://u@h/d"))
    wanted = {"execute_workflow", "execute_workflow_many_times", "get_run", "list_runs", "cancel_run"}
    routes = [route for part in app.router.routes for route in getattr(part, "original_router", app.router).routes]
    named = {route.name: route for route in routes if isinstance(route, APIRoute)}
    left = {name for name in wanted if _handler_of(named[name]) is _otherwise}
    assert not left

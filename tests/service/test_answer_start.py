"""Layers that share one function around ``send``."""

from collections.abc import Callable

import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.platform.drain import DrainingApp
from service.platform.middleware.answer_start import before_start
from service.platform.middleware.cross_origin import CrossOriginMiddleware
from service.platform.middleware.rate_limit import RateLimitMiddleware
from service.platform.middleware.request_context import RequestContextMiddleware
from service.platform.middleware.security_headers import SecurityHeadersMiddleware
from service.platform.middleware.unhandled import UnhandledErrorMiddleware

pytestmark = pytest.mark.ring("unit")

Header = tuple[bytes, bytes]


def _scope(*headers: Header, method: str = "GET") -> Scope:
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": "/x",
        "query_string": b"",
        "headers": list(headers),
        "client": ("192.0.2.1", 4000),
        "state": {},
    }


async def _answer(app: ASGIApp, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


class _Adds:
    """A layer that adds its name."""

    def __init__(self, app: ASGIApp, name: bytes) -> None:
        self.app, self.name = app, name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, before_start(scope, send, self._add))

    def _add(self, message: Message) -> None:
        message["headers"].append((b"by", self.name))


async def test_the_innermost_layer_changes_the_answer_first() -> None:
    app = _Adds(_Adds(_Adds(PlainTextResponse("x"), b"3"), b"2"), b"1")
    [start, body] = await _answer(app, _scope())
    assert [value for name, value in start["headers"] if name == b"by"] == [b"3", b"2", b"1"]
    assert body["body"] == b"x"


async def test_only_the_outermost_layer_stands_before_send() -> None:
    handed: list[Send] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        handed.append(send)
        again = before_start(scope, send, lambda _message: None)
        handed.append(again)

    await _answer(_Adds(_Adds(inner, b"2"), b"1"), _scope())
    assert handed[0] is handed[1]


async def test_a_response_that_is_sent_twice_is_not_changed_twice() -> None:
    response = PlainTextResponse("x")
    app = _Adds(response, b"1")
    before = list(response.raw_headers)
    first, second = await _answer(app, _scope()), await _answer(app, _scope())
    assert response.raw_headers == before
    assert first[0]["headers"] == second[0]["headers"]


async def test_a_header_that_is_set_already_stays() -> None:
    app = SecurityHeadersMiddleware(PlainTextResponse("x", headers={"Cache-Control": "max-age=60"}))
    [start, _] = await _answer(app, _scope())
    assert [value for name, value in start["headers"] if name == b"cache-control"] == [b"max-age=60"]


@pytest.mark.parametrize("origin", [None, b"https://ours.test", b"https://theirs.test"])
@pytest.mark.parametrize("varies", [{}, {"Vary": "Accept"}])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize(
    ("origins", "credentials"), [(["https://ours.test"], True), (["https://ours.test"], False), (["*"], True)]
)
async def test_cross_origin_answers_are_those_of_starlette(
    origin: bytes | None, varies: dict[str, str], method: str, origins: list[str], credentials: bool
) -> None:
    async def answered(layer: Callable[..., ASGIApp]) -> tuple[int, list[Header]]:
        named = [] if origin is None else [(b"origin", origin), (b"access-control-request-method", b"GET")]
        app = layer(PlainTextResponse("x", headers=varies), allow_origins=origins, allow_credentials=credentials)
        [start, _] = await _answer(app, _scope(*named, method=method))
        return start["status"], sorted(start["headers"])

    assert await answered(CrossOriginMiddleware) == await answered(CORSMiddleware)


async def test_a_request_that_fails_unexpectedly_is_told_where_its_client_stands() -> None:
    async def failing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("a secret detail")

    limited = RateLimitMiddleware(failing, requests=3, window=60)
    app = RequestContextMiddleware(UnhandledErrorMiddleware(limited))
    [start, _] = await _answer(app, _scope())
    assert start["status"] == 500
    assert b"ratelimit" in dict(start["headers"])


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    async def failing(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"):
        await _answer(RequestContextMiddleware(UnhandledErrorMiddleware(failing)), _scope())


@pytest.mark.parametrize(("leaving", "closes"), [(True, [b"close"]), (False, [b"keep-alive"])])
async def test_a_leaving_instance_closes_its_connections(leaving: bool, closes: list[bytes]) -> None:
    app = DrainingApp(PlainTextResponse("x", headers={"Connection": "keep-alive"}))
    app.draining = leaving
    [start, _] = await _answer(app, _scope())
    assert [value for name, value in start["headers"] if name == b"connection"] == closes

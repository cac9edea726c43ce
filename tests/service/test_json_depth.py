"""Bodies that nest too deeply, without any other part of the service."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from service.platform import problems
from service.platform.middleware.body_limit import MAXIMUM_BYTES
from service.platform.middleware.json_depth import MAXIMUM_DEPTH, JsonDepthMiddleware, is_deeper

pytestmark = pytest.mark.ring("unit")


def _nested(depth: int) -> bytes:
    """Objects and arrays by turns, so many of them inside one another."""
    opening, closing = [], []
    for level in range(depth):
        opening.append(b'{"a":' if level % 2 == 0 else b"[1,")
        closing.append(b"}" if level % 2 == 0 else b"]")
    return b"".join(opening) + b"0" + b"".join(reversed(closing))


def _depth(value: Any) -> int:
    if isinstance(value, (dict, list)):
        return 1 + max((_depth(each) for each in (value.values() if isinstance(value, dict) else value)), default=0)
    return 0


@pytest.mark.parametrize(("depth", "deeper"), [(0, False), (1, False), (64, False), (65, True), (10_000, True)])
def test_the_levels_are_counted(depth: int, deeper: bool) -> None:
    assert is_deeper(_nested(depth), MAXIMUM_DEPTH) is deeper


@pytest.mark.parametrize(
    "harmless",
    [
        b"[" + b",".join([b"[]"] * 500) + b"]",
        json.dumps("[" * 500).encode(),
        json.dumps({"a": '"' + "[" * 500 + "\\"}).encode(),
        b'["\\\\",' + b",".join([b'"["'] * 500) + b"]",
        b"]" * 500 + b"[" * 500,
    ],
    ids=["wide", "string", "escapes", "backslash", "closed first"],
)
def test_what_is_not_nested_is_not_counted(harmless: bytes) -> None:
    assert not is_deeper(harmless, MAXIMUM_DEPTH)


JSON = st.recursive(
    st.none() | st.text(alphabet='ab[]{}"\\,: '),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{"\\'), inner),
)


@given(JSON, st.integers(0, 6))
def test_it_counts_as_a_parser_does(value: Any, maximum: int) -> None:
    assert is_deeper(json.dumps(value).encode(), maximum) is (_depth(value) > maximum)


@pytest.mark.parametrize("piece", [b"[", b"[]", b'"', b'\\"', b'"[', b"\\", b'{"'])
def test_the_worst_body_takes_a_moment_only(piece: bytes) -> None:
    body = (piece * MAXIMUM_BYTES)[:MAXIMUM_BYTES]
    begun = time.process_time()
    is_deeper(b"[" * 65 + b'"' + body, MAXIMUM_DEPTH)
    is_deeper(body, MAXIMUM_DEPTH)
    assert time.process_time() - begun < 2


def _client() -> httpx.AsyncClient:
    app = FastAPI()

    @app.post("/values")
    async def take(body: dict[str, Any]) -> int:
        return len(body)

    problems.install(app)
    app.add_middleware(JsonDepthMiddleware)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Content-Type": "application/json"}
    return httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)


async def test_a_body_that_is_too_deep_is_refused_with_the_rule() -> None:
    async with _client() as client:
        answer = await client.post("/values", content=_nested(65))
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":too-deep")
    assert answer.json()["errors"] == [{"field": "body", "message": "may nest arrays and objects 64 times at most"}]


async def test_the_deepest_body_that_is_allowed_passes() -> None:
    async with _client() as client:
        assert (await client.post("/values", content=_nested(64))).json() == 1


async def test_a_client_that_goes_away_is_told_on_as_it_is() -> None:
    said: list[Message] = [
        {"type": "http.request", "body": _nested(65), "more_body": True},
        {"type": "http.disconnect"},
    ]
    heard: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        heard.extend([await receive(), await receive()])

    coming = iter(said)

    async def receive() -> Message:
        return next(coming)

    async def send(_message: Message) -> None:
        raise AssertionError("nothing is answered")

    await JsonDepthMiddleware(app)({"type": "http", "method": "POST"}, receive, send)
    assert heard == said


async def _in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), 7):
        yield body[begin : begin + 7]


async def test_a_deep_body_in_pieces_is_refused_too() -> None:
    async with _client() as client:
        assert (await client.post("/values", content=_in_pieces(_nested(65)))).status_code == 422
        assert (await client.post("/values", content=_in_pieces(_nested(64)))).status_code == 200

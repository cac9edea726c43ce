"""A route's ASGI application without what FastAPI puts around every route: stacks for dependencies that end later, and
a second look for errors, which Starlette's own layer around all routes answers in the same way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Handler = Callable[[Request], Awaitable[Response]]

_STACKS = ("fastapi_inner_astack", "fastapi_function_astack")


def direct_app(handle: Handler) -> ASGIApp:
    """The application of a route none of whose dependencies ends later; ``handle`` answers, or raises."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)

    return answer


def with_stacks(usual: Handler) -> Handler:
    """FastAPI's own handler, which needs its stacks, as it can be called where there are none."""

    async def handle(request: Request) -> Response:
        if _STACKS[0] in request.scope:
            return await usual(request)
        async with AsyncExitStack() as inner, AsyncExitStack() as function:
            request.scope.update(zip(_STACKS, (inner, function), strict=True))
            try:
                return await usual(request)
            finally:
                # Who repeats the request must not find those that are closed.
                for name in _STACKS:
                    del request.scope[name]

    return handle

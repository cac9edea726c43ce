"""Finds the route of a request by its path's beginning, instead of asking every route, twice, as FastAPI does.

It only finds: the route's own application handles the request, with its body limit and its problems. What is not found
here, like a wrong method or a path that nobody has, goes the usual way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

_LITERALS = 4
"""So many parts of a path (the first is empty: ``/api/v1/runs``) never are parameters of a route that is found here."""

_Key = tuple[str, int, str]


class ShortWay:
    """Stands before the application's router, for routes under ``prefix``; made when all of them are included."""

    def __init__(self, app: FastAPI, prefix: str) -> None:
        self._router = app.router
        self._otherwise: ASGIApp = app.router.middleware_stack
        self._prefix = prefix.rstrip("/") + "/"
        self._routes: dict[_Key, list[Any]] = {}
        for context in _contexts(app):
            for method in context.methods:
                if (key := self._key(method, context.path_format)) and _is_plain(context):
                    self._routes.setdefault(key, []).append(context)

    def find(self, scope: Scope) -> tuple[Any, Scope] | None:
        """FastAPI's context of the route and what the path says, or None for the usual way."""
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        key = self._key(scope["method"], scope["path"])
        for context in self._routes.get(key, ()) if key else ():
            match, found = context.matches(scope)
            if match is Match.FULL:
                return context, found
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        found = self.find(scope)
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        context, values = found
        scope.update(values)
        scope["router"] = self._router
        scope["route"] = context.original_route
        scope.setdefault("fastapi", {})["effective_route_context"] = context
        await context.app(scope, receive, send)

    def _key(self, method: str, path: str) -> _Key | None:
        if not path.startswith(self._prefix):
            return None
        parts = path.split("/", _LITERALS)
        return method, path.count("/"), parts[_LITERALS - 1] if len(parts) >= _LITERALS else ""


def _contexts(app: FastAPI) -> Iterator[Any]:
    for route in app.router.routes:
        # What an included router holds, in the order in which FastAPI asks them.
        if (contexts := getattr(route, "effective_route_contexts", None)) is not None:
            yield from contexts()


def _is_plain(context: Any) -> bool:
    """Whether parameters are single parts of the path, and none of the first ones."""
    return (
        isinstance(context.original_route, APIRoute)
        and context.app is not None
        and not any("{" in part for part in context.path_format.split("/")[:_LITERALS])
        and all(type(each).__name__ == "StringConvertor" for each in context.param_convertors.values())
    )

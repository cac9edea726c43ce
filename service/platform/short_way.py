"""Finds the route of a request by its path's beginning, instead of asking every route, twice, as FastAPI does.

It only finds: the route's own application handles the request, by ``direct_app`` where it can. What is not found here,
like a wrong method or a path that nobody has, goes the usual way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.platform.patient_route import PatientRoute

_LITERALS = 4
"""So many parts of a path (the first is empty: ``/api/v1/runs``) never are parameters of a route that is found here."""

_Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class _Way:
    """A route as it is found: what its path looks like, and what the scope of its requests says."""

    path: re.Pattern[str]
    app: ASGIApp
    endpoint: Any
    route: Any
    effective: dict[str, Any]


class ShortWay:
    """Stands before the application's router, for routes under ``prefix``; made when all of them are included."""

    def __init__(self, app: FastAPI, prefix: str) -> None:
        self._router = app.router
        self._otherwise: ASGIApp = app.router.middleware_stack
        self._prefix = prefix.rstrip("/") + "/"
        self._ways: dict[_Key, list[_Way]] = {}
        for context in _contexts(app):
            for method in context.methods:
                if (key := self._key(method, context.path_format)) and _is_plain(context):
                    self._ways.setdefault(key, []).append(_way(context))

    def find(self, scope: Scope) -> tuple[ASGIApp, Scope] | None:
        """The route's application and what it needs to know, or None for the usual way."""
        if scope["type"] != "http" or scope.get("root_path"):
            return None
        path = scope["path"]
        key = self._key(scope["method"], path)
        for way in self._ways.get(key, ()) if key else ():
            if match := way.path.match(path):
                return way.app, {
                    "endpoint": way.endpoint,
                    "path_params": match.groupdict(),
                    "router": self._router,
                    "route": way.route,
                    "fastapi": {**scope.get("fastapi", {}), **way.effective},
                }
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        found = self.find(scope)
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        app, values = found
        scope.update(values)
        await app(scope, receive, send)

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


def _way(context: Any) -> _Way:
    route = context.original_route
    app = route.direct if isinstance(route, PatientRoute) and route.direct is not None else context.app
    return _Way(context.path_regex, app, context.endpoint, route, {"effective_route_context": context})


def _is_plain(context: Any) -> bool:
    """Whether parameters are single parts of the path, and none of the first ones."""
    return (
        isinstance(context.original_route, APIRoute)
        and context.app is not None
        and not any("{" in part for part in context.path_format.split("/")[:_LITERALS])
        and all(type(each).__name__ == "StringConvertor" for each in context.param_convertors.values())
    )

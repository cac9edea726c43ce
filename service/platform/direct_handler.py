"""Handles a request that is as it should be without FastAPI's general machinery, which takes most of its time.

A route's signature is read once, when the route is made. Whatever is not plain about a request (a value that is missing
or does not fit, another content type) is left to FastAPI before anything was called: so every refusal is FastAPI's own,
and a route whose signature is not plain is handled by it altogether.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request, params
from fastapi._compat import ModelField, field_annotation_is_sequence
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import _get_param_aliases, _get_param_model
from fastapi.exceptions import ResponseValidationError
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from service.platform.json_answer import JsonAnswer

Handler = Callable[[Request], Awaitable[Response]]

_PLAIN_DEFAULTS = (str, int, float, bool, type(None))
_JSON = "application/json"


class _NotPlainError(Exception):
    """FastAPI has to handle it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Parameter:
    """One value that is read from the request: from where, under which name, and how it is checked."""

    name: str
    alias: str
    field: ModelField
    required: bool
    default: Any

    def value(self, given: Any) -> Any:
        """What the endpoint receives; raises _NotPlainError."""
        if given is None:
            if self.required:
                raise _NotPlainError
            return self.default
        value, errors = self.field.validate(given)
        if errors:
            raise _NotPlainError
        return value


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A coroutine function and where its arguments come from."""

    function: Callable[..., Awaitable[Any]]
    path: tuple[_Parameter, ...]
    query: tuple[_Parameter, ...]
    headers: tuple[_Parameter, ...]
    needed: tuple[tuple[str | None, _Call], ...]
    request: str | None
    response: str | None

    def read(self, request: Request, values: dict[_Call, dict[str, Any]]) -> None:
        """Note the arguments of this call, and of those it needs, that the request gives; raises _NotPlainError."""
        own: dict[str, Any] = {}
        _read(self.path, request.path_params, own)
        if self.query:
            _read(self.query, request.query_params, own)
        if self.headers:
            _read(self.headers, request.headers, own)
        if self.request is not None:
            own[self.request] = request
        values[self] = own
        for _, each in self.needed:
            each.read(request, values)

    def takes_response(self) -> bool:
        """Whether it, or one that it needs, writes to the response."""
        return self.response is not None or any(each.takes_response() for _, each in self.needed)

    async def run(self, values: dict[_Call, dict[str, Any]], injected: Response, known: dict[Any, Any]) -> Any:
        """Call what is needed, each function once, then the function itself."""
        own = values[self]
        for name, each in self.needed:
            if each.function not in known:
                known[each.function] = await each.run(values, injected, known)
            if name is not None:
                own[name] = known[each.function]
        if self.response is not None:
            own[self.response] = injected
        return await self.function(**own)


def _read(parameters: tuple[_Parameter, ...], given: Mapping[str, Any], into: dict[str, Any]) -> None:
    for each in parameters:
        into[each.name] = each.value(given.get(each.alias))


def direct_handler(route: APIRoute, otherwise: Handler) -> Handler:
    """A handler of the route's requests that turns to ``otherwise``, FastAPI's own, where it has to."""
    try:
        call, body, field = _understand(route)
    except _NotPlainError:
        return otherwise
    status = route.status_code or 200
    takes_response = call.takes_response()

    async def handle(request: Request) -> Response:
        # Nothing that is asked of the request here is done: a second look, by FastAPI, finds it as it was.
        if request.app.dependency_overrides:
            return await otherwise(request)
        values: dict[_Call, dict[str, Any]] = {}
        try:
            call.read(request, values)
            if body is not None:
                values[call][body.name] = body.value(await _json(request))
        except _NotPlainError:
            return await otherwise(request)
        injected = _empty() if takes_response else _NOTHING
        result = await call.run(values, injected, {})
        if isinstance(result, Response):
            return result
        value, errors = field.validate(result, loc=("response",))
        if errors:
            raise ResponseValidationError(errors=errors, body=result)
        answer = JsonAnswer(field.serialize_json(value), injected.status_code or status)
        answer.raw_headers.extend(injected.raw_headers)
        return answer

    return handle


def _empty() -> Response:
    response = Response()
    response.raw_headers = []
    response.status_code = 0
    return response


_NOTHING = _empty()
"""For routes none of whose functions takes a response to write to."""


async def _json(request: Request) -> Any:
    """The body, or None where there is none; raises _NotPlainError."""
    try:
        body = await request.body()
    except ClientDisconnect:
        raise _NotPlainError from None
    if not body:
        return None
    if request.headers.get("content-type") != _JSON:
        raise _NotPlainError
    try:
        parsed = await request.json()
    except ValueError:
        raise _NotPlainError from None
    if parsed is None:
        # FastAPI tells it from a body that is not there.
        raise _NotPlainError
    return parsed


def _understand(route: APIRoute) -> tuple[_Call, _Parameter | None, ModelField]:
    """The call, the body and the answer of a route; raises _NotPlainError."""
    shaped = (
        route.response_model_include,
        route.response_model_exclude,
        route.response_model_exclude_unset,
        route.response_model_exclude_defaults,
        route.response_model_exclude_none,
        not route.response_model_by_alias,
        route.is_sse_stream,
        route.is_json_stream,
        route._embed_body_fields,
    )
    if any(shaped) or not isinstance(route.response_class, DefaultPlaceholder) or route.response_field is None:
        raise _NotPlainError
    bodies = [_parameter(field) for field in route.dependant.body_params]
    if len(bodies) > 1 or any(type(field.field_info) is not params.Body for field in route.dependant.body_params):
        raise _NotPlainError
    return _call(route.dependant), bodies[0] if bodies else None, route.response_field


def _call(dependant: Dependant) -> _Call:
    special = (
        dependant.cookie_params,
        dependant.websocket_param_name,
        dependant.http_connection_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
        dependant.own_oauth_scopes,
        dependant.concurrency,
        not dependant.use_cache,
    )
    function = dependant.call
    if any(special) or function is None or not inspect.iscoroutinefunction(function):
        raise _NotPlainError
    if any(each.body_params for each in dependant.dependencies):
        raise _NotPlainError
    return _Call(
        function,
        tuple(_parameters(dependant.path_params)),
        tuple(_parameters(dependant.query_params)),
        tuple(_parameters(dependant.header_params)),
        tuple((each.name, _call(each)) for each in dependant.dependencies),
        dependant.request_param_name,
        dependant.response_param_name,
    )


def _parameters(fields: list[ModelField]) -> Iterator[_Parameter]:
    for field in fields:
        if _get_param_model(field) is not None or field_annotation_is_sequence(field.field_info.annotation):
            raise _NotPlainError
        yield _parameter(field)


def _parameter(field: ModelField) -> _Parameter:
    aliases = _get_param_aliases(field)
    required = field.field_info.is_required()
    default = None if required else field.default
    if len(aliases) != 1 or field.field_info.validate_default or not isinstance(default, _PLAIN_DEFAULTS):
        raise _NotPlainError
    return _Parameter(field.name, aliases[0][1], field, required, default)

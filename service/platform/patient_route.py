"""Routes that outlast a change of the database's primary."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response


class PatientRoute(APIRoute):
    """Handles a request again where the database went away before anything of it was committed.

    A handler therefore commits at most once, as the last thing that can fail.
    """

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler of one request."""
        handle: Callable[[Request], Any] = super().get_route_handler()

        async def patiently(request: Request) -> Response:
            state = getattr(request.app.state, "service", None)
            if state is None:
                return await handle(request)  # type: ignore[no-any-return]
            return await state.patience.repeat(lambda: handle(request))  # type: ignore[no-any-return]

        return patiently

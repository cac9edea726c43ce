"""Routes that outlast a change of the database's primary."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from service.platform.direct_handler import direct_handler


class PatientRoute(APIRoute):
    """Handles a request again where the database went away before anything of it was committed.

    A handler therefore commits at most once, as the last thing that can fail.
    """

    async def before(self, request: Request) -> None:
        """What comes before anything of the request is read; it is repeated too. Raises what is to be answered."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler of one request."""
        read_and_handle = direct_handler(self, super().get_route_handler())

        async def handle(request: Request) -> Response:
            await self.before(request)
            return await read_and_handle(request)

        async def patiently(request: Request) -> Response:
            state = getattr(request.app.state, "service", None)
            if state is None:
                return await handle(request)
            return await state.patience.repeat(lambda: handle(request))  # type: ignore[no-any-return]

        return patiently

"""Routes that outlast a change of the database's primary."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.types import ASGIApp

from service.platform.direct_app import direct_app, with_stacks
from service.platform.direct_handler import direct_handler


class PatientRoute(APIRoute):
    """Handles a request again where the database went away before anything of it was committed.

    A handler therefore commits at most once, as the last thing that can fail.
    """

    async def before(self, request: Request) -> None:
        """What comes before anything of the request is read; it is repeated too. Raises what is to be answered."""

    direct: ASGIApp | None = None
    """The whole application of the route where it can do without FastAPI's, for ``ShortWay``."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler of one request."""
        usual = with_stacks(super().get_route_handler())
        read_and_handle = direct_handler(self, usual)

        async def handle(request: Request) -> Response:
            await self.before(request)
            return await read_and_handle(request)

        async def patiently(request: Request) -> Response:
            state = getattr(request.app.state, "service", None)
            if state is None:
                return await handle(request)
            return await state.patience.repeat(lambda: handle(request))  # type: ignore[no-any-return]

        self.direct = None if read_and_handle is usual else direct_app(patiently)
        return patiently

"""Where pages are added: guarded like every route, kept out of the API's document, and errors answered as pages."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from service.auth.access import GuardedRoute, GuardedRouter
from service.console import session
from service.console.access import NoSessionError
from service.console.pages import error_page
from service.platform.problems import Problem, answer_to


class ConsoleRoute(GuardedRoute):
    """Answers what a caller did wrong, or what is not available now, with a page of the same words."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler of one request."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except NoSessionError:
                return _to_log_in(request)
            except Exception as error:  # noqa: BLE001 - what callers did not cause is raised again
                found = await answer_to(request, error)
                problem = Problem.model_validate_json(bytes(found.body))
                return error_page(request, problem, retry_after=found.headers.get("Retry-After"))

        return answered


def _to_log_in(request: Request) -> Response:
    address = session.log_in_address(request)
    if "HX-Request" in request.headers:
        # A part of a page was asked for; it is the page that has to go.
        return Response(status_code=401, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def console_router() -> GuardedRouter:
    """A router for pages of the console."""
    return GuardedRouter(prefix=session.PATH, include_in_schema=False, route_class=ConsoleRoute)

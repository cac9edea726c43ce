"""Log in and out."""

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from service.auth import routes as auth
from service.auth.access import CHANGES_NOTHING
from service.auth.schemas import LoginRequest
from service.console import session
from service.console.access import everybody
from service.console.forms import read_form
from service.console.pages import go_to, page
from service.console.router import console_router
from service.platform.problems import NO_PROBLEMS, ProblemError
from service.state import State

router = console_router()


@router.get("", dependencies=[everybody()], responses=NO_PROBLEMS)
async def first_page(request: Request) -> Response:
    """The way to the first page."""
    return go_to(request, "/runs")


@router.get("/login", dependencies=[everybody()], responses=NO_PROBLEMS)
async def log_in_page(request: Request) -> Response:
    """The form for name and password."""
    if not request.app.state.settings.authentication_enabled:
        return go_to(request, "/runs")
    query = request.query_params
    return page(
        request,
        "login.html",
        way_back=session.way_back(query.get("next", "")),
        problem=None,
        ended="ended" in query,
        username="",
    )


@router.post("/login", dependencies=[everybody(audit="auth.login")], responses=NO_PROBLEMS)
async def log_in(request: Request, state: State) -> Response:
    """Begin a session, as the API gives a token for a name and a password, and go where the visitor came from."""
    fields = await read_form(request)
    username, way_back = fields.get("username", ""), session.way_back(fields.get("next", ""))
    try:
        token = await auth.login(_credentials(username, fields.get("password", "")), request, state)
    except ProblemError as error:
        refused = page(
            request,
            "login.html",
            error.status_code,
            way_back=way_back,
            problem=error.text,
            ended=False,
            username=username[:200],
        )
        if error.headers and "Retry-After" in error.headers:
            refused.headers["Retry-After"] = error.headers["Retry-After"]
        return refused
    response = RedirectResponse(f"{request.scope.get('root_path', '')}{way_back}", 303)
    session.begin(request, response, token.access_token, token.expires_in)
    return response


def _credentials(username: str, password: str) -> LoginRequest:
    try:
        return LoginRequest.model_validate({"username": username, "password": password})
    except ValidationError:
        raise ProblemError(422, "validation", "Give a name of at most 200 characters, and a password.") from None


@router.post("/logout", dependencies=[everybody(audit=CHANGES_NOTHING)], responses=NO_PROBLEMS)
async def log_out(request: Request) -> Response:
    """Have the browser forget its session."""
    response = go_to(request, "/login")
    session.end(request, response)
    return response

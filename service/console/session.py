"""The session of a browser: the API's own token, in a cookie that only these pages are sent.

No script reads it, no other site's page has it sent, and the API does not take it, so only the console's own forms
can change anything with it.
"""

import re
from urllib.parse import urlencode, urlsplit

from fastapi import Request
from starlette.responses import Response

from service.platform.settings import Settings

PATH = "/console"
COOKIE = "workflow_console"
_WAY_BACK = re.compile(r"/console(/[A-Za-z0-9_/-]*)?(\?[A-Za-z0-9_.~%&=+:-]*)?")


def base(request: Request) -> str:
    """The path below which the console lies, as browsers see it."""
    return f"{request.scope.get('root_path', '')}{PATH}"


def token_of(request: Request) -> str | None:
    """The token that the browser has, as it came."""
    return request.cookies.get(COOKIE)


def begin(request: Request, response: Response, token: str, seconds: int) -> None:
    """Have the browser keep the token for as long as it is valid."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=seconds,
        path=base(request),
        secure=_is_secure(request),
        httponly=True,
        samesite="strict",
    )


def end(request: Request, response: Response) -> None:
    """Have the browser forget the token."""
    response.delete_cookie(COOKIE, base(request), secure=_is_secure(request), httponly=True, samesite="strict")


def _is_secure(request: Request) -> bool:
    settings: Settings = request.app.state.settings
    return settings.environment != "development" or request.url.scheme == "https"


def way_back(wanted: str) -> str:
    """The page of the console to go to after the log-in; the first one where something else was asked for."""
    is_page = _WAY_BACK.fullmatch(wanted) and not wanted.startswith((f"{PATH}/log", f"{PATH}/static"))
    return wanted if is_page else f"{PATH}/runs"


def log_in_address(request: Request) -> str:
    """The log-in page, with the way back to where the browser is."""
    place = request.url.path.removeprefix(request.scope.get("root_path", ""))
    if request.method == "GET" and "HX-Request" not in request.headers:
        place = f"{place}?{request.url.query}" if request.url.query else place
    else:
        # The page that sent this, which is the one to come back to.
        sender = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer", ""))
        path = sender.path.removeprefix(request.scope.get("root_path", ""))
        place = f"{path}?{sender.query}" if sender.query else path
    query = {"next": way_back(place)}
    if token_of(request) is not None:
        query["ended"] = "1"
    return f"{base(request)}/login?{urlencode(query)}"

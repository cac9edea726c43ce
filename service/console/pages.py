"""Makes pages of templates: what each of them is given, and the headers that it is sent with."""

import hashlib
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from service.auth.principal import Principal
from service.auth.scopes import SCOPES, Scope
from service.console import words
from service.console.forms import new_key
from service.console.icons import ICONS
from service.console.session import base
from service.platform.problems import Problem

LIVE_SECONDS = 5
"""How often a page asks for what has changed, while something on it is not finished."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    # Not no-referrer: with that, browsers do not tell where a form was sent from.
    "Referrer-Policy": "same-origin",
}

_templates = Environment(
    loader=PackageLoader("service.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.filters |= {
    "moment": words.moment,
    "iso": words.iso,
    "took": words.took,
    "json_text": words.json_text,
    "cut": words.cut,
}
_templates.globals |= {"icons": ICONS, "live_seconds": LIVE_SECONDS, "new_key": new_key, "scopes": Scope}


@lru_cache
def _mark(name: str) -> str:
    content = files("service.console").joinpath("static", *name.split("/")).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]


def address(request: Request, path: str, **query: Any) -> str:
    """The address of a page of the console; what is empty is left out of the query."""
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{base(request)}{path}{'?' if given else ''}{urlencode(given)}"


def page(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """An answer made of a template. The words of a template are always escaped."""
    visitor: Principal | None = getattr(request.state, "visitor", None)

    def may(scope: Scope) -> bool:
        return visitor is not None and visitor.role.includes(SCOPES[scope].role) and visitor.may(scope)

    text = _templates.get_template(template).render(
        product=request.app.title,
        visitor=visitor,
        may=may,
        place=request.url.path.removeprefix(base(request)),
        url=lambda path, **query: address(request, path, **query),
        static=lambda name: address(request, f"/static/{name}", v=_mark(name)),
        **context,
    )
    return HTMLResponse(text, status, headers=_HEADERS)


def error_page(request: Request, problem: Problem, *, retry_after: str | None = None) -> HTMLResponse:
    """What went wrong, in the words of the API's problem document."""
    found = page(request, "error.html", problem.status, problem=problem, back=_sender(request))
    if retry_after is not None:
        found.headers["Retry-After"] = retry_after
    return found


def _sender(request: Request) -> str | None:
    """The page whose form was refused: what is done with a thing lies below the thing's own page."""
    parts = request.url.path.removeprefix(base(request)).split("/")
    return "/".join(parts[:3]) if request.method != "GET" and len(parts) > 3 else None


def go_to(request: Request, path: str, **query: Any) -> RedirectResponse:
    """Have the browser read another page of the console, after it has sent something."""
    return RedirectResponse(address(request, path, **query), 303)

"""Swagger UI and ReDoc, with their files served from the installed package and not from a CDN."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.responses import FileResponse, HTMLResponse

from service.auth.access import PUBLIC, GuardedRouter
from service.platform.problems import NO_PROBLEMS, ProblemError

_FOLDER = Path(str(files(fastapi_offline))) / "static"
_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "redoc.standalone.js": "text/javascript",
    "favicon.png": "image/png",
}
_DAY_SECONDS = 86_400
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

router = GuardedRouter(include_in_schema=False)


def _asset(app: FastAPI, request: Request, name: str) -> str:
    return f"{request.scope.get('root_path', '')}{app.url_path_for('docs_asset', name=name)}"


def _guarded(page: HTMLResponse) -> HTMLResponse:
    """The page with a policy that lets run what this server serves and the page's own script, and nothing else."""
    scripts = _INLINE_SCRIPT.findall(bytes(page.body))
    hashes = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    page.headers["Content-Security-Policy"] = (
        # Both pages set styles while they draw themselves, under names that are made up anew each time.
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " font-src 'self'; connect-src 'self'; worker-src 'self' blob:;"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    return page


@router.get("/docs", dependencies=[PUBLIC], responses=NO_PROBLEMS)
async def swagger_ui(request: Request) -> HTMLResponse:
    """The page on which the API can be tried."""
    app: FastAPI = request.app
    return _guarded(
        get_swagger_ui_html(
            openapi_url=f"{request.scope.get('root_path', '')}{app.openapi_url}",
            title=f"{app.title} - Swagger UI",
            swagger_js_url=_asset(app, request, "swagger-ui-bundle.js"),
            swagger_css_url=_asset(app, request, "swagger-ui.css"),
            swagger_favicon_url=_asset(app, request, "favicon.png"),
        )
    )


@router.get("/redoc", dependencies=[PUBLIC], responses=NO_PROBLEMS)
async def redoc(request: Request) -> HTMLResponse:
    """The page on which the API can be read."""
    app: FastAPI = request.app
    return _guarded(
        get_redoc_html(
            openapi_url=f"{request.scope.get('root_path', '')}{app.openapi_url}",
            title=f"{app.title} - ReDoc",
            redoc_js_url=_asset(app, request, "redoc.standalone.js"),
            redoc_favicon_url=_asset(app, request, "favicon.png"),
            with_google_fonts=False,
        )
    )


@router.get("/docs/assets/{name}", dependencies=[PUBLIC], responses=NO_PROBLEMS, name="docs_asset")
async def docs_asset(name: str) -> FileResponse:
    """One of the files that the pages need."""
    if name not in _FILES:
        raise ProblemError(404, "not-found", "There is no file of this name.")
    return FileResponse(
        _FOLDER / name, media_type=_FILES[name], headers={"Cache-Control": f"public, max-age={_DAY_SECONDS}"}
    )

"""Swagger UI and ReDoc, with their files served from the installed package and not from a CDN."""

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

router = GuardedRouter(include_in_schema=False)


def _asset(app: FastAPI, request: Request, name: str) -> str:
    return f"{request.scope.get('root_path', '')}{app.url_path_for('docs_asset', name=name)}"


@router.get("/docs", dependencies=[PUBLIC], responses=NO_PROBLEMS)
async def swagger_ui(request: Request) -> HTMLResponse:
    """The page on which the API can be tried."""
    app: FastAPI = request.app
    return get_swagger_ui_html(
        openapi_url=f"{request.scope.get('root_path', '')}{app.openapi_url}",
        title=f"{app.title} - Swagger UI",
        swagger_js_url=_asset(app, request, "swagger-ui-bundle.js"),
        swagger_css_url=_asset(app, request, "swagger-ui.css"),
        swagger_favicon_url=_asset(app, request, "favicon.png"),
    )


@router.get("/redoc", dependencies=[PUBLIC], responses=NO_PROBLEMS)
async def redoc(request: Request) -> HTMLResponse:
    """The page on which the API can be read."""
    app: FastAPI = request.app
    return get_redoc_html(
        openapi_url=f"{request.scope.get('root_path', '')}{app.openapi_url}",
        title=f"{app.title} - ReDoc",
        redoc_js_url=_asset(app, request, "redoc.standalone.js"),
        redoc_favicon_url=_asset(app, request, "favicon.png"),
        with_google_fonts=False,
    )


@router.get("/docs/assets/{name}", dependencies=[PUBLIC], responses=NO_PROBLEMS, name="docs_asset")
async def docs_asset(name: str) -> FileResponse:
    """One of the files that the pages need."""
    if name not in _FILES:
        raise ProblemError(404, "not-found", "There is no file of this name.")
    return FileResponse(
        _FOLDER / name, media_type=_FILES[name], headers={"Cache-Control": f"public, max-age={_DAY_SECONDS}"}
    )

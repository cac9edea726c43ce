"""The files that the pages need; nothing comes from elsewhere."""

from pathlib import Path

from starlette.responses import FileResponse

from service.console.access import everybody
from service.console.router import console_router
from service.platform.problems import NO_PROBLEMS, ProblemError

FOLDER = Path(__file__).parents[1] / "static"
_FILES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx/htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_YEAR_SECONDS = 31_536_000

router = console_router()


@router.get("/static/{name:path}", dependencies=[everybody()], responses=NO_PROBLEMS)
async def static_file(name: str) -> FileResponse:
    """One of the files. Pages name it with a mark of its content, so that browsers may keep it."""
    if name not in _FILES:
        raise ProblemError(404, "not-found", "There is no file of this name.")
    return FileResponse(
        FOLDER / name,
        media_type=_FILES[name],
        headers={"Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable"},
    )

"""What the console is made of: vendored files as published, nothing from elsewhere, all of it in the image."""

import hashlib
import re
import tomllib

import pytest

from images.catalog import source_files
from service.app import create_app
from service.console.routes import ROUTERS
from service.console.routes.static import FOLDER
from service.openapi import document
from tests.service.support import make_settings, plain_client

pytestmark = pytest.mark.ring("unit")

PACKAGE = FOLDER.parent
ROOT = PACKAGE.parents[1]


def test_htmx_is_the_published_file_with_its_licence_beside_it() -> None:
    said = (FOLDER / "htmx" / "SOURCE").read_text(encoding="utf-8")
    [digest] = re.findall(r"sha256-([0-9a-f]{64})", said)
    assert hashlib.sha256((FOLDER / "htmx" / "htmx.min.js").read_bytes()).hexdigest() == digest
    assert "Zero-Clause BSD" in (FOLDER / "htmx" / "LICENSE").read_text(encoding="utf-8")


def test_the_pages_load_nothing_from_elsewhere() -> None:
    for path in [*PACKAGE.glob("templates/*.html"), FOLDER / "console.css", FOLDER / "console.js"]:
        assert not re.search(r"https?://|//[a-z]+\.", path.read_text(encoding="utf-8")), path.name


def test_no_template_switches_escaping_off() -> None:
    for path in PACKAGE.glob("templates/*.html"):
        assert not re.search(r"\|\s*safe|autoescape|Markup", path.read_text(encoding="utf-8")), path.name


def test_the_image_and_the_package_contain_templates_and_static_files() -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for folder in ("templates", "static")
        for path in (PACKAGE / folder).rglob("*")
        if path.is_file()
    }
    assert files <= {file.path for file in source_files("api")}
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = config["tool"]["setuptools"]["package-data"]["service.console"]
    packed = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in PACKAGE.glob(pattern)}
    assert files <= packed


def test_the_console_is_no_part_of_the_apis_document() -> None:
    assert not [path for path in document()["paths"] if "console" in path]
    assert sum(len(router.routes) for router in ROUTERS) > 15


async def test_only_the_consoles_own_files_are_served_and_may_be_kept() -> None:
    async with plain_client(create_app(make_settings("postgresql://u@h/d"))) as client:
        page = await client.get("/console/login")
        used = re.findall(r"""(?:src|href)="(/console/static/[^"]+)\"""", page.text)
        assert len(used) == 4
        for address in used:
            answer = await client.get(address)
            assert answer.status_code == 200, address
            assert "immutable" in answer.headers["Cache-Control"]
        for address in ("htmx/LICENSE", "..%2fpages.py", "../pages.py", "console.py"):
            assert (await client.get(f"/console/static/{address}")).status_code == 404, address

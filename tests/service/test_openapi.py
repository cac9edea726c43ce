"""The committed OpenAPI document is the one of the routes, and the documentation needs no other server."""

import json
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from service.app import create_app
from service.openapi import DOCUMENT, document
from tests.service.support import make_settings, plain_client

pytestmark = pytest.mark.ring("unit")


def test_the_committed_document_is_the_one_of_the_routes() -> None:
    assert json.loads(DOCUMENT.read_text(encoding="utf-8")) == document(), (
        "the routes have changed: look at the difference, then run `python -m service openapi --write`"
    )


def test_every_operation_says_who_may_call_it() -> None:
    public = set()
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            assert "security" in operation, f"{method} {path}"
            if operation["security"]:
                assert operation["x-required-role"] in ("viewer", "operator", "admin"), f"{method} {path}"
                assert {"401", "403", "429", "503"} <= set(operation["responses"]), f"{method} {path}"
            else:
                public.add(f"{method} {path}")
    assert public == {"get /health", "get /health/ready", "post /api/v1/auth/login"}


def test_what_an_operation_may_refuse_is_documented_with_its_header_fields() -> None:
    whole = document()
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            assert ("413" in answers) is (method != "get"), f"{method} {path}"
            if operation["security"]:
                assert set(answers["429"]["headers"]) == {"Retry-After", "RateLimit", "RateLimit-Policy"}
                assert set(answers["503"]["headers"]) == {"Retry-After"}
                assert set(answers["401"]["headers"]) == {"WWW-Authenticate"}
    assert set(whole["components"]["headers"]) == {"Retry-After", "RateLimit", "RateLimit-Policy", "WWW-Authenticate"}


def test_operations_are_named_once() -> None:
    names = [operation["operationId"] for path in document()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


@pytest.mark.item("api-docs-available")
@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_a_documentation_page_loads_everything_from_this_server(page: str) -> None:
    app = create_app(make_settings("postgresql://u@h/d"))
    async with plain_client(app) as client:
        answer = await client.get(page)
        assert answer.status_code == 200
        used = re.findall(r"""(?:src|href|url)\s*[=:]\s*['"]([^'"]+)['"]""", answer.text)
        assert used
        for address in used:
            assert address.startswith("/"), f"{page} loads {address}"
            assert (await client.get(address)).status_code == 200, address
        assert "http" not in re.sub(r"<!--.*?-->", "", answer.text).replace("http-equiv", "")


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
async def test_a_documentation_page_runs_no_script_but_its_own(page: str) -> None:
    async with plain_client(create_app(make_settings("postgresql://u@h/d"))) as client:
        answer = await client.get(page)
    policy = dict(each.strip().split(" ", 1) for each in answer.headers["Content-Security-Policy"].split(";"))
    inline = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in inline]
    assert policy["script-src"].split() == ["'self'", *(f"'sha256-{each}'" for each in hashes)]
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert not re.search(r"<[^>]+\son\w+=", answer.text), "a handler in the page would need unsafe-inline"


async def test_only_the_pages_own_files_are_served() -> None:
    async with plain_client(create_app(make_settings("postgresql://u@h/d"))) as client:
        assert (await client.get("/docs/assets/core.py")).status_code == 404
        assert (await client.get("/docs/assets/..%2fcore.py")).status_code == 404


async def test_another_prefix_moves_all_business_routes() -> None:
    app = create_app(make_settings("postgresql://u@h/d", api_prefix="/api/v2"))
    async with plain_client(app) as client:
        paths = set((await client.get("/openapi.json")).json()["paths"])
    assert {path.removeprefix("/api/v2") for path in paths if path.startswith("/api/v2")} >= {"/agents", "/runs"}
    assert {path for path in paths if not path.startswith("/api/v2")} == {"/health", "/health/ready"}

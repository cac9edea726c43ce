"""The reading of OpenAPI documents finds what the live checks go through."""

import pytest

from tests.infra.support import openapi

pytestmark = pytest.mark.ring("unit")

DOCUMENT = {
    "paths": {
        "/agents": {
            "get": {"parameters": [{"name": "page", "in": "query", "required": False}]},
            "post": {"requestBody": {"required": True}},
        },
        "/agents/{agent_id}": {
            "get": {"parameters": [{"name": "agent_id", "in": "path", "required": True}]},
            "delete": {},
        },
        "/health": {"get": {}},
    }
}


def test_reads_without_needed_parameters_are_found() -> None:
    assert openapi.plain_reads(DOCUMENT) == ["/agents", "/health"]


def test_operations_with_a_body_are_found() -> None:
    assert openapi.writes(DOCUMENT) == [("POST", "/agents")]


def test_parameters_that_take_text_are_found() -> None:
    assert openapi.text_parameters(DOCUMENT) == [("GET", "/agents", ["page"]), ("GET", "/agents/{agent_id}", [])]


def test_every_path_parameter_is_filled() -> None:
    assert openapi.filled("/a/{one}/b/{two}", lambda: "x") == "/a/x/b/x"


def test_assets_from_elsewhere_are_seen() -> None:
    page = '<script src="https://cdn.example/a.js"></script><link rel="s" href="/static/b.css"><a href="/c">c</a>'
    assert openapi.assets(page) == ["/static/b.css", "https://cdn.example/a.js"]

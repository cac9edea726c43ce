"""What breaks the callers of a released interface, and what does not."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.home import PROJECT_DIR
from policies.rules.interface import CURRENT, RELEASED
from policies.view.project import Project
from tests.policies.conftest import Judge, recorded
from tests.policies.project_tree import Tree

pytestmark = pytest.mark.ring("unit")

WRITTEN, THERE, WORKS, TOLD = (
    "the_released_interface_is_written_down",
    "released_operations_are_still_there",
    "released_operations_still_work_for_their_callers",
    "callers_are_told_how_to_leave_what_goes",
)
PREFIX = "business_routes_are_below_a_version"
RUN = {"$ref": "#/components/schemas/Run"}
DOCUMENT: dict[str, Any] = {
    "paths": {
        "/api/v1/runs": {
            "get": {
                "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}],
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": RUN}}}}},
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": RUN}}},
                "responses": {"201": {"content": {"application/json": {"schema": RUN}}}},
            },
        }
    },
    "components": {
        "schemas": {
            "Run": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"enum": ["queued", "done"], "type": "string"},
                    "after": {"anyOf": [RUN, {"type": "null"}]},
                },
            }
        }
    },
}

Edit = Callable[[dict[str, Any]], Any]


def get(document: dict[str, Any]) -> Any:
    return document["paths"]["/api/v1/runs"]["get"]


def post(document: dict[str, Any]) -> Any:
    return document["paths"]["/api/v1/runs"]["post"]


def run(document: dict[str, Any]) -> Any:
    return document["components"]["schemas"]["Run"]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.write(CURRENT, json.dumps(DOCUMENT))
    made.write(RELEASED, json.dumps(DOCUMENT))
    return made


def edited(tree: Tree, edit: Edit, path: str = CURRENT) -> None:
    document = copy.deepcopy(DOCUMENT)
    edit(document)
    tree.write(path, json.dumps(document))


@pytest.mark.parametrize("name", [WRITTEN, THERE, WORKS, TOLD])
def test_an_interface_that_did_not_change_is_right(tree: Tree, name: str) -> None:
    assert tree.found(name) == []


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_without_the_released_document_nothing_can_be_kept(tree: Tree, text: str | None) -> None:
    (tree.root / RELEASED).unlink()
    if text is not None:
        tree.write(RELEASED, text)
    assert len(tree.found(WRITTEN)) == 1


def test_an_operation_that_is_gone_is_told(tree: Tree) -> None:
    edited(tree, lambda document: document["paths"]["/api/v1/runs"].pop("post"))
    assert [each.what.split(" is")[0] for each in tree.found(THERE)] == ["post /api/v1/runs"]


def test_an_operation_may_go_after_a_release_that_told_so(tree: Tree) -> None:
    edited(tree, lambda document: post(document).update(deprecated=True), RELEASED)
    edited(tree, lambda document: document["paths"]["/api/v1/runs"].pop("post"))
    assert tree.found(THERE) == []
    assert [each.path for each in tree.found(TOLD)] == ["docs/api/leaving-v1.md"]
    tree.write("docs/api/leaving-v1.md", "Use v2.")
    assert tree.found(TOLD) == []


def test_a_new_deprecation_needs_a_guide(tree: Tree) -> None:
    edited(tree, lambda document: get(document).update(deprecated=True))
    assert len(tree.found(TOLD)) == 1


@pytest.mark.parametrize("path", ["/runs", "/api/runs", "/healthy"])
def test_a_route_outside_the_prefix_is_told(tree: Tree, path: str) -> None:
    edited(tree, lambda document: document["paths"].update({path: {"get": {}}}))
    assert [each.what for each in tree.found(PREFIX)] == [f"the route {path} is not below the prefix"]


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/metrics", "/api/v2/runs"])
def test_health_and_figures_stand_beside_the_prefix(tree: Tree, path: str) -> None:
    edited(tree, lambda document: document["paths"].update({path: {"get": {}}}))
    assert tree.found(PREFIX) == []


BREAKING: dict[str, tuple[Edit, str]] = {
    "parameter gone": (lambda d: get(d).update(parameters=[]), "page in query is gone"),
    "parameter required": (lambda d: get(d)["parameters"][0].update(required=True), "is required now"),
    "new parameter required": (
        lambda d: get(d)["parameters"].append({"name": "size", "in": "query", "required": True}),
        "size in query is required now",
    ),
    "parameter of another type": (
        lambda d: get(d)["parameters"][0].update(schema={"type": "boolean"}),
        "is of another type",
    ),
    "body required": (lambda d: post(d)["requestBody"].update(required=True), "a body is required now"),
    "field required": (lambda d: run(d)["required"].append("status"), "body.status is required now"),
    "field gone": (lambda d: run(d)["properties"].pop("status"), "status is gone"),
    "field optional": (lambda d: run(d).update(required=[]), "id may be left out now"),
    "field of another type": (lambda d: run(d)["properties"]["id"].update(type="integer"), "id is of another type"),
    "word gone": (lambda d: run(d)["properties"]["status"].update(enum=["queued"]), "no longer takes every word"),
    "word new": (
        lambda d: run(d)["properties"]["status"]["enum"].append("lost"),
        "status may be a word that it was not",
    ),
    "null no longer taken": (lambda d: run(d)["properties"].update(after=RUN), "after is of another type"),
    "answer gone": (lambda d: post(d).update(responses={}), "no longer answers 201"),
}


@pytest.mark.parametrize("change", BREAKING)
def test_a_breaking_change_is_told(tree: Tree, change: str) -> None:
    edit, told = BREAKING[change]
    edited(tree, edit)
    assert any(told in each.what for each in tree.found(WORKS)), tree.found(WORKS)


HARMLESS: dict[str, Edit] = {
    "new operation": lambda d: d["paths"].update({"/api/v2/runs": {"get": {}}}),
    "new optional parameter": lambda d: get(d)["parameters"].append({"name": "size", "in": "query"}),
    "new optional field": lambda d: run(d)["properties"].update(note={"type": "string"}),
    "another description": lambda d: run(d).update(description="A run"),
    "another error": lambda d: get(d)["responses"].update({"503": {}}),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_what_callers_do_not_notice_is_let_pass(tree: Tree, change: str) -> None:
    edited(tree, HARMLESS[change])
    assert tree.found(WORKS) == []
    assert tree.found(THERE) == []


def test_this_project_keeps_its_promise(findings: Judge) -> None:
    project = Project(PROJECT_DIR, "prod")
    assert findings(recorded("prod"), WRITTEN, THERE, WORKS, TOLD, PREFIX, project=project) == []

"""The rules about what is written."""

import json
from pathlib import Path
from typing import Any

import pytest

from policies.view.project import Project
from tests.policies.conftest import rules_by_name
from tests.policies.project_trees import PYPROJECT, make, said, this_tree

pytestmark = pytest.mark.ring("unit")

ROUTES = '''router = Router(prefix="/things")
hidden = Router(include_in_schema=False)

@router.post("", status_code=201)
async def create():
    """Create a
    thing."""

@router.get("/{id}")
def read():
    """Read it."""

@router.get("/secret", include_in_schema=False)
def secret():
    pass

@hidden.get("/docs")
def docs():
    pass
'''
DOCUMENT: dict[str, Any] = {
    "info": {"version": "1.2.3"},
    "paths": {
        "/api/v1/things": {"post": {"responses": {"401": {}, "201": {}}, "description": "Create a\nthing."}},
        "/api/v1/things/{id}": {"get": {"responses": {"200": {}}, "description": "Read it."}},
    },
}
API = "the_api_document_is_that_of_the_routes"


def service(folder: Path, document: Any = DOCUMENT, routes: str = ROUTES) -> Project:
    files = {"service/things/routes.py": routes}
    if document is not None:
        files["service/openapi.json"] = document if isinstance(document, str) else json.dumps(document)
    return make(folder, files)


def test_a_document_of_the_routes_passes(tmp_path: Path) -> None:
    assert said(service(tmp_path), API) == []
    assert said(service(tmp_path), "the_api_document_is_of_this_version") == []


@pytest.mark.parametrize(
    "check",
    [
        API,
        "the_api_document_is_of_this_version",
        "stacks_deploy_the_version_of_the_tree",
        "pages_name_verbs_that_exist",
        "every_verb_is_in_the_readme",
        "the_procedures_of_a_deployment_are_written",
        "links_between_pages_lead_somewhere",
        "the_changelog_describes_the_version",
    ],
)
@pytest.mark.parametrize("stack", ["dev", "prod", "rehearsal"])
def test_what_is_written_about_this_tree_is_true(check: str, stack: str) -> None:
    assert said(this_tree(stack), check) == []


@pytest.mark.parametrize("document", [None, "{", "[]", {"paths": {"/x": {"get": {}}}}])
def test_a_document_that_is_missing_or_unreadable_is_found(document: Any, tmp_path: Path) -> None:
    assert said(service(tmp_path, document), API) == [
        "service/openapi.json: the API document is missing or can't be read"
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [('@router.post(""', '@router.post("/new"'), ("status_code=201", "status_code=202"), ("Create a", "Make a")],
)
def test_a_route_that_changed_is_found(old: str, new: str, tmp_path: Path) -> None:
    found = said(service(tmp_path, routes=ROUTES.replace(old, new)), API)
    assert found
    assert "is not in the document as it is in the source" in found[0]


def test_source_that_nobody_can_read_is_not_let_pass(tmp_path: Path) -> None:
    assert said(service(tmp_path, routes="router = ("), API) == ["not evaluated: : the rule itself failed: SyntaxError"]
    project = make(tmp_path / "cli", {"ops/cli.py": "def ("})
    found = said(project, "pages_name_verbs_that_exist")
    assert found == ["not evaluated: : the rule itself failed: SyntaxError"]


def test_an_operation_without_a_route_is_found(tmp_path: Path) -> None:
    gone = ROUTES.replace('@router.get("/{id}")', "@other")
    assert said(service(tmp_path, routes=gone), API) == [
        "service/openapi.json: get /things/{id} is in the document, and there is no such route"
    ]


def test_a_project_without_routes_is_not_asked(tmp_path: Path) -> None:
    project = make(tmp_path, {})
    assert said(project, API) is None
    assert said(project, "the_api_document_is_of_this_version") is None


def test_a_document_of_another_version_is_found(tmp_path: Path) -> None:
    other = {**DOCUMENT, "info": {"version": "1.2.2"}}
    assert said(service(tmp_path, other), "the_api_document_is_of_this_version") == [
        "service/openapi.json: the document is of another version than the tree"
    ]


STACKS = {
    "right": ("config:\n  workflow-platform:api: {version: 1.2.3}\n", []),
    "of the stack below": ("config:\n  workflow-platform:extends: base\n  workflow-platform:api: {workers: 1}\n", []),
    "another": (
        "config:\n  workflow-platform:api: {version: 1.2.4}\n",
        ["Pulumi.prod.yaml: the stack's api.version is not the version of the tree"],
    ),
    "the default": ("{}\n", ["Pulumi.prod.yaml: the stack's api.version is not the version of the tree"]),
}


@pytest.mark.parametrize(("file", "wanted"), STACKS.values(), ids=STACKS.keys())
def test_a_stack_deploys_the_version_of_the_tree(file: str, wanted: list[str], tmp_path: Path) -> None:
    files = {
        "Pulumi.prod.yaml": file,
        "Pulumi.base.yaml": "config:\n  workflow-platform:api: {version: 1.2.3}\n",
        "stacks/parts/service.py": "",
    }
    assert said(make(tmp_path, files), "stacks_deploy_the_version_of_the_tree") == wanted


CLI = """@app.command()
def up(): ...

@app.command("restore-drill")
def drill(): ...

@app.command()
def prod(): ...

app.add_typer(cluster, name="cluster")
"""
README = "Type `./deploy-api.sh up dev`, `restore-drill STACK`, `prod` or `cluster up`; see [more](docs/a.md#x).\n"


def pages(folder: Path, readme: str = README, **files: str) -> Project:
    return make(folder, {"ops/cli.py": CLI, "README.md": readme, "docs/a.md": "Run deploy-api.sh prod.\n", **files})


def test_good_pages_pass(tmp_path: Path) -> None:
    project = pages(tmp_path)
    for check in (
        "pages_name_verbs_that_exist",
        "every_verb_is_in_the_readme",
        "the_procedures_of_a_deployment_are_written",
        "links_between_pages_lead_somewhere",
    ):
        assert said(project, check) == [], check


def test_a_page_with_a_command_that_is_gone_is_found(tmp_path: Path) -> None:
    project = pages(tmp_path, **{"docs/b.md": "First\n./deploy-api.sh launch\n"})
    assert said(project, "pages_name_verbs_that_exist") == ["docs/b.md:2: the page names a command that does not exist"]


def test_a_verb_that_nobody_described_is_found(tmp_path: Path) -> None:
    assert said(pages(tmp_path, README.replace("cluster", "clusters")), "every_verb_is_in_the_readme") == [
        "README.md: the verb cluster is not described"
    ]


def test_a_procedure_that_nobody_wrote_is_found(tmp_path: Path) -> None:
    project = pages(tmp_path, README.replace("`restore-drill STACK`", "drills"))
    assert said(project, "the_procedures_of_a_deployment_are_written") == [
        "docs: no page shows how restore-drill is used"
    ]


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    project = pages(tmp_path, **{"docs/b.md": "[x](a.md) [y](../README.md) [z](https://x.invalid) [w](gone.md)\n"})
    assert said(project, "links_between_pages_lead_somewhere") == [
        "docs/b.md: the page has a link to a file that does not exist"
    ]


def test_a_project_without_a_command_line_or_pages_is_not_asked(tmp_path: Path) -> None:
    project = make(tmp_path, {})
    assert said(project, "every_verb_is_in_the_readme") is None
    assert said(project, "links_between_pages_lead_somewhere") is None


NOTES = "the_changelog_describes_the_version"
DATED = "the_released_version_has_its_date"
MISSING = ["CHANGELOG.md: the changelog has no section about the tree's version"]
EMPTY = ["CHANGELOG.md: the section about the tree's version says nothing"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# C\n\n## 1.2.3 - 2026-01-02\n- New.\n\n## 1.2.2\n", []),
        ("## [v1.2.3] (2026-01-02)\n### Added\n* New.\n", []),
        ("## 1.2.30\n- New.\n", MISSING),
        ("## 1.2\n- New.\n", MISSING),
        ("1.2.3\n- New.\n", MISSING),
        ("## 1.2.3\n\n## 1.2.2\n- Old.\n", EMPTY),
        ("## 1.2.3\nSoon.\n", EMPTY),
    ],
)
def test_the_changelog_must_say_something_about_the_version(text: str, wanted: list[str], tmp_path: Path) -> None:
    assert said(make(tmp_path, {"CHANGELOG.md": text}), NOTES) == wanted


def test_a_missing_changelog_is_found(tmp_path: Path) -> None:
    assert said(make(tmp_path, {}), NOTES) == MISSING
    assert said(make(tmp_path, {"pyproject.toml": "[project]\n"}), NOTES) is None
    assert said(make(tmp_path, {"pyproject.toml": PYPROJECT.replace("[", "")}), NOTES) is None


def test_a_release_needs_the_date_of_its_version_and_a_rehearsal_does_not(tmp_path: Path) -> None:
    undated = {"CHANGELOG.md": "## 1.2.3 - not yet\n- New.\n"}
    assert said(make(tmp_path, undated), DATED) == ["CHANGELOG.md: the section about the tree's version has no date"]
    assert said(make(tmp_path, undated, stack="test-1"), DATED) is None
    assert said(make(tmp_path, {"CHANGELOG.md": "## 1.2.3 - 2026-01-02\n- New.\n"}), DATED) == []


def test_every_rule_about_the_project_is_named_in_a_test() -> None:
    texts = "".join(path.read_text() for path in Path(__file__).parent.glob("test_project_*.py"))
    ours = [name for name, rule in rules_by_name().items() if rule.on is Project]
    assert [name for name in ours if name not in texts] == []

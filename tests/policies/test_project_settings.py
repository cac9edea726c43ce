"""Rules about the stacks' descriptions and the page of all settings."""

from pathlib import Path

import pytest

from ops.home import PROJECT_DIR
from policies.rules.documents import MODEL, PAGE, declared_settings
from policies.view.project import Project
from tests.policies.conftest import Judge, recorded
from tests.policies.project_tree import Tree

pytestmark = pytest.mark.ring("unit")

CODE = """
class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True)

    database_url: SecretStr
    log_format: Literal["json", "text"] = "json"
    api_port: int = Field(8000, ge=1)
    api_reload: bool = False
    tls_key_file: Path | None = None
    hosts: CommaList = ("a", "b")
    executor_id: str = Field(default_factory=gethostname)
"""
ROWS = {
    "DATABASE_URL": "required",
    "LOG_FORMAT": "`json`",
    "API_PORT": "`8000`",
    "API_RELOAD": "`false`",
    "TLS_KEY_FILE": "none",
    "HOSTS": "`a,b`",
    "EXECUTOR_ID": "computed",
}


def page(rows: dict[str, str], meaning: str = "What it does") -> str:
    return "".join(f"| `{name}` | {default} | {meaning} | key |\n" for name, default in rows.items())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = Tree(tmp_path)
    made.write(MODEL, CODE)
    made.write(PAGE, page(ROWS))
    return made


PAGE_RULES = ["every_setting_has_its_row", "every_row_has_the_codes_default", "every_row_says_what_the_setting_means"]


def test_defaults_are_read_from_the_code_without_running_it() -> None:
    assert declared_settings(CODE) == ROWS


@pytest.mark.parametrize("name", PAGE_RULES)
def test_a_page_that_says_what_the_code_does_is_right(tree: Tree, name: str) -> None:
    assert tree.found(name) == []


def test_a_setting_without_a_row_is_told(tree: Tree) -> None:
    tree.write(PAGE, page({name: default for name, default in ROWS.items() if name != "HOSTS"}))
    assert [each.what for each in tree.found("every_setting_has_its_row")] == ["the setting HOSTS is not on the page"]


def test_a_row_without_a_setting_is_told(tree: Tree) -> None:
    tree.write(PAGE, page({**ROWS, "API_COLOUR": "none"}))
    assert [each.what for each in tree.found("every_setting_has_its_row")] == ["the service reads no API_COLOUR"]


def test_a_page_that_is_not_there_lacks_every_setting(tree: Tree) -> None:
    (tree.root / PAGE).unlink()
    assert len(tree.found("every_setting_has_its_row")) == len(ROWS)


def test_a_wrong_default_is_told(tree: Tree) -> None:
    tree.write(PAGE, page({**ROWS, "API_PORT": "`8080`"}))
    found = tree.found("every_row_has_the_codes_default")
    assert [each.what for each in found] == ["the default of API_PORT is not that of the code"]


def test_a_row_without_a_meaning_is_told(tree: Tree) -> None:
    tree.write(PAGE, page(ROWS, meaning=" "))
    assert len(tree.found("every_row_says_what_the_setting_means")) == len(ROWS)


def test_a_project_of_somebody_else_has_no_such_page(tmp_path: Path) -> None:
    assert Tree(tmp_path).found("every_setting_has_its_row") == []


EXTERNAL = """config:
  workflow-platform:postgres:
    provision: false
    database: {database}
    external: {{host: {host}, caFile: ca.crt}}
"""


@pytest.mark.parametrize(
    ("name", "stack"),
    [("the_development_description_can_be_read", "dev"), ("the_production_description_can_be_read", "prod")],
)
class TestDescription:
    def found(self, tree: Tree, name: str, stack: str, text: str | None) -> list[str]:
        if text is not None:
            tree.write(f"Pulumi.{stack}.yaml", text)
        return [each.what for each in tree.found(name, stack)]

    def test_one_that_can_be_read_is_right(self, tree: Tree, name: str, stack: str) -> None:
        assert self.found(tree, name, stack, "config: {}\n") == []

    def test_one_that_is_not_there_is_told(self, tree: Tree, name: str, stack: str) -> None:
        assert len(self.found(tree, name, stack, None)) == 1

    def test_a_wrong_value_is_told_by_its_key_alone(self, tree: Tree, name: str, stack: str) -> None:
        found = self.found(tree, name, stack, "config:\n  workflow-platform:api: {workers: secretly-many}\n")
        assert found == ["workflow-platform:api.workers can't be used"]

    def test_every_fault_is_told(self, tree: Tree, name: str, stack: str) -> None:
        text = "config:\n  workflow-platform:api: {workers: 0, colour: red}\n"
        assert len(self.found(tree, name, stack, text)) == 2


SHARED = "no_two_stacks_share_a_database"


def test_stacks_with_servers_of_their_own_share_nothing(tree: Tree) -> None:
    tree.write("Pulumi.prod.yaml", "config: {}\n")
    tree.write("Pulumi.dev.yaml", "config: {}\n")
    assert tree.found(SHARED) == []


@pytest.mark.parametrize(("host", "database", "shared"), [
    ("db.workflow.internal", "workflow_prod", True),
    ("DB.workflow.internal", "workflow_prod", True),
    ("db2.workflow.internal", "workflow_prod", False),
    ("db.workflow.internal", "workflow_db", False),
])  # fmt: skip
def test_stacks_on_one_server_need_a_database_each(tree: Tree, host: str, database: str, shared: bool) -> None:
    tree.write("Pulumi.prod.yaml", EXTERNAL.format(host="db.workflow.internal", database="workflow_prod"))
    tree.write("Pulumi.dev.yaml", EXTERNAL.format(host=host, database=database))
    assert bool(tree.found(SHARED)) is shared


def test_a_stack_that_extends_production_must_not_inherit_its_database(tree: Tree) -> None:
    tree.write("Pulumi.prod.yaml", EXTERNAL.format(host="db.workflow.internal", database="workflow_prod"))
    tree.write("Pulumi.rehearsal.yaml", "config:\n  workflow-platform:extends: prod\n")
    assert [each.what for each in tree.found(SHARED, "rehearsal")] == ["stack prod has the same server and database"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_this_project_is_right(stack: str, findings: Judge) -> None:
    names = [*PAGE_RULES, SHARED, "the_development_description_can_be_read", "the_production_description_can_be_read"]
    assert findings(recorded(stack), *names, project=Project(PROJECT_DIR, stack)) == []

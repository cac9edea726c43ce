"""SQL that is put together from values is seen, bound parameters and constants are not."""

from pathlib import Path

import pytest

from ops.home import PROJECT_DIR
from policies.rules.access_code import the_service_builds_no_sql_from_values as rule
from policies.view.project import Project
from policies.view.sql_text import lines_with_built_sql

pytestmark = pytest.mark.ring("unit")


def test_this_tree_builds_none() -> None:
    assert [*rule(Project(PROJECT_DIR, "prod"))] == []


@pytest.mark.parametrize(
    "line",
    [
        "text(f\"SELECT * FROM users WHERE name = '{name}'\")",
        "db.execute(\"SELECT * FROM users WHERE name = '%s'\" % name)",
        'db.execute("SELECT * FROM users WHERE name = " + name)',
        'db.fetch("SELECT * FROM users ORDER BY {}".format(order))',
        'statement = f"DELETE FROM runs WHERE id = {run}"',
        'db.execute("SELECT a " + FROM + name)',
    ],
)
def test_a_statement_made_of_values_is_seen(line: str) -> None:
    assert [*lines_with_built_sql(f"def f(name, order, run, db):\n    {line}\n")] == [2]


@pytest.mark.parametrize(
    "lines",
    [
        'db.execute(text("SELECT :name"), {"name": name})',
        'db.execute(text(f"NOTIFY {CHANNEL}"))',
        'for kind in ("TABLES", "SEQUENCES"):\n    db.execute(f"REVOKE ALL ON {kind}")',
        "for table, rights in RIGHTS.items():\n    db.execute(f\"GRANT {', '.join(rights)} ON {table}\")",
        'message = f"Select one of {names}" if False else ""',
        'label = "select " + "me"',
    ],
)
def test_parameters_and_constants_are_not(lines: str) -> None:
    assert [*lines_with_built_sql(lines)] == []


def test_each_place_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "a.py").write_text('x = 1\ndb.execute(f"DELETE FROM {x}")\n')
    assert [fault.path for fault in rule(Project(tmp_path, "prod"))] == ["service/a.py:2"]


def test_what_is_no_python_is_told(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "a.py").write_text("def\n")
    assert [fault.path for fault in rule(Project(tmp_path, "prod"))] == ["service/a.py"]


def test_a_tree_without_the_service_is_told(tmp_path: Path) -> None:
    assert [fault.path for fault in rule(Project(tmp_path, "prod"))] == ["service"]

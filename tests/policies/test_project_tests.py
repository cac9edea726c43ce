"""The rules about what tests and linters said."""

from pathlib import Path
from typing import Any

import pytest

from policies.view.project import Project
from tests.policies.project_trees import PYPROJECT, about, make, report, said, this_tree

pytestmark = pytest.mark.ring("unit")

RINGS = {
    "the_unit_tests_passed": "unit",
    "the_integration_tests_passed": "service",
    "the_end_to_end_tests_passed": "stack",
    "lint_and_format_are_clean": "lint",
}


def with_ring(project: Project, name: str, **fields: Any) -> Project:
    entry = about(project, **{"passed": True, "seconds": 1.5, "why": "", **fields})
    return report(project, "tests", {"rings": {name: entry}})


@pytest.mark.parametrize(("check", "ring"), RINGS.items())
def test_a_ring_that_passed_on_this_tree_counts(check: str, ring: str, tmp_path: Path) -> None:
    assert said(with_ring(make(tmp_path, {}), ring), check) == []


@pytest.mark.parametrize(("check", "ring"), RINGS.items())
def test_a_ring_that_failed_is_found(check: str, ring: str, tmp_path: Path) -> None:
    found = said(with_ring(make(tmp_path, {}), ring, passed=False), check)
    assert found == [f"reports/tests.json: the ring {ring} failed"]


@pytest.mark.parametrize(("check", "ring"), RINGS.items())
@pytest.mark.parametrize(
    "fields",
    [{"commit": "0" * 40}, {"dirty": True}, {"dirty": None}, {"time": "yesterday"}, {"time": None}, {"passed": "yes"}],
)
def test_a_run_on_another_tree_or_an_unreadable_one_counts_as_none(
    check: str, ring: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    found = said(with_ring(make(tmp_path, {}), ring, **fields), check)
    assert found == [f"reports/tests.json: the ring {ring} was not run on exactly this tree"]


@pytest.mark.parametrize("document", [None, [], {}, {"rings": {"unit": None}}, {"rings": ["unit"]}])
def test_without_a_report_nothing_was_run(document: Any, tmp_path: Path) -> None:
    project = make(tmp_path, {})
    if document is not None:
        report(project, "tests", document)
    assert said(project, "the_unit_tests_passed") == [
        "reports/tests.json: the ring unit was not run on exactly this tree"
    ]


def test_a_change_after_the_tests_makes_them_count_for_nothing(tmp_path: Path) -> None:
    project = with_ring(make(tmp_path, {}), "unit")
    (project.root / "new.py").write_text("x = 1\n")
    assert said(Project(project.root, "prod", project.reports), "the_unit_tests_passed")


@pytest.mark.parametrize(
    ("stack", "file"), [("rehearsal", "config:\n  workflow-platform:extends: prod\n"), ("test-12ab", "config: {}\n")]
)
def test_a_rehearsal_and_a_copy_for_a_test_may_be_deployed_before_the_tests(
    stack: str, file: str, tmp_path: Path
) -> None:
    project = make(tmp_path, {f"Pulumi.{stack}.yaml": file}, stack=stack)
    for check in RINGS:
        assert said(project, check) is None


@pytest.mark.parametrize("file", ["config: {}\n", "config: [\n", "- 1\n", "config:\n  other:extends: prod\n"])
def test_what_only_looks_like_a_rehearsal_is_asked(file: str, tmp_path: Path) -> None:
    assert said(make(tmp_path, {"Pulumi.prod.yaml": file}), "the_unit_tests_passed")


def test_a_long_ring_that_failed_is_found_though_it_need_not_be_run(tmp_path: Path) -> None:
    project = make(tmp_path, {})
    assert said(project, "no_long_ring_failed") is None
    assert said(with_ring(project, "cluster"), "no_long_ring_failed") == []
    failed = said(with_ring(project, "faults", passed=False), "no_long_ring_failed")
    assert failed == ["reports/tests.json: the ring faults failed on this commit"]


def test_coverage_must_be_above_eighty_percent_of_exactly_this_tree(tmp_path: Path) -> None:
    project = make(tmp_path, {})
    check = "the_tests_cover_the_code"
    missing = ["reports/coverage.json: the coverage of exactly this tree was not measured"]
    assert said(project, check) == missing
    assert said(report(project, "coverage", about(project, percent=80.1)), check) == []
    assert said(report(project, "coverage", about(project, percent=80)), check) == [
        "reports/coverage.json: the tests cover too little of the code"
    ]
    assert said(report(project, "coverage", about(project, percent="much")), check) == missing
    assert said(report(project, "coverage", about(project, percent=99) | {"commit": "0"}), check) == missing
    nothing = report(project, "coverage", about(project, percent=float("nan")))
    assert said(nothing, check) == ["reports/coverage.json: the tests cover too little of the code"]


PACKAGED = f'{PYPROJECT}[tool.setuptools.packages.find]\ninclude = ["app*"]\n'
MARK = "TO" + "DO"


@pytest.mark.parametrize(
    ("path", "text", "line"),
    [
        ("app/a.py", f'x = "{MARK}"\n\ny = 1  # {MARK}: more\n', 3),
        ("app/deep/b.py", "# FIX" + "ME\n", 1),
        ("app/c.sql", f"SELECT 1;\n-- {MARK}\n", 2),
        ("app/d.go", f"// {MARK} x\n", 1),
        ("app/Dockerfile", f"FROM x\n# {MARK}\n", 2),
    ],
)
def test_a_marker_in_a_comment_of_what_is_shipped_is_found(path: str, text: str, line: int, tmp_path: Path) -> None:
    project = make(tmp_path, {"pyproject.toml": PACKAGED, path: text})
    found = said(project, "shipped_code_has_no_unfinished_work")
    assert found == [f"{path}:{line}: a comment says that something is not finished"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("app/a.py", f'"""Finds {MARK} markers."""\nx = "# {MARK}"\n'),
        ("tests/a.py", f"# {MARK}\n"),
        ("app/__pycache__/a.txt", f"# {MARK}\n"),
        ("app/b.yaml", f"threshold: no {MARK}\n"),
        ("app/c.py", f"# a {MARK.lower()} list\n"),
        ("app/d.py", f"'''\n# {MARK}\n"),
    ],
)
def test_what_is_no_such_comment_or_is_not_shipped_is_let_pass(path: str, text: str, tmp_path: Path) -> None:
    project = make(tmp_path, {"pyproject.toml": PACKAGED, path: text})
    assert said(project, "shipped_code_has_no_unfinished_work") == []


def test_this_tree_ships_nothing_unfinished() -> None:
    assert said(this_tree(), "shipped_code_has_no_unfinished_work") == []


def test_a_project_that_ships_no_package_is_not_asked(tmp_path: Path) -> None:
    assert said(make(tmp_path, {}), "shipped_code_has_no_unfinished_work") is None

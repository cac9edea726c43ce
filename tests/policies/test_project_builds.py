"""The rules about what the builds of our images left behind."""

from pathlib import Path
from typing import Any

import pytest

from policies.view.project import Project
from tests.policies.project_trees import TIME, make, report, said

pytestmark = pytest.mark.ring("unit")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RULES = (
    "every_image_was_built",
    "builds_print_no_warning",
    "images_are_small",
    "images_are_built_from_a_commit",
    "images_have_the_version_of_the_tree",
)


def tree(folder: Path, **changes: Any) -> Project:
    """One image, built from this tree; `changes` are other fields of its entry."""
    project = make(folder, {"images/base/Dockerfile": "FROM debian:bookworm-slim\n"})
    entry = {
        "reference": project.image_references["base"],
        "imageId": "sha256:0",
        "sizeBytes": 999_999_999,
        "revision": COMMIT,
        "version": "1.2.3",
        "warnings": [],
        "time": TIME,
    }
    return report(project, "images", {"images": {"base": {**entry, **changes}}})


@pytest.mark.parametrize("check", RULES)
def test_a_good_build_passes(check: str, tmp_path: Path) -> None:
    assert said(tree(tmp_path), check) == []


BAD = [
    ("every_image_was_built", {"reference": "workflow-base:1.2.3-000000000000"}, "no build of the image"),
    ("every_image_was_built", {"sizeBytes": None}, "no build of the image"),
    ("builds_print_no_warning", {"warnings": None}, "what the build printed is not recorded"),
    ("builds_print_no_warning", {"warnings": ["warning: x"]}, "the build printed warnings"),
    ("images_are_small", {"sizeBytes": 10**9}, "the image is too large"),
    ("images_are_small", {"reference": "x"}, "the image's size is not recorded"),
    ("images_are_built_from_a_commit", {"revision": f"{COMMIT}-dirty"}, "is not that of a commit"),
    ("images_are_built_from_a_commit", {"revision": "unknown"}, "is not that of a commit"),
    ("images_have_the_version_of_the_tree", {"version": "1.2.2"}, "not the version of the tree"),
]


@pytest.mark.parametrize(("check", "changes", "what"), BAD, ids=[f"{each[0]}-{each[1]}" for each in BAD])
def test_a_bad_build_is_found(check: str, changes: dict[str, Any], what: str, tmp_path: Path) -> None:
    found = said(tree(tmp_path, **changes), check)
    assert found is not None
    assert len(found) == 1
    assert found[0].startswith("images/base: ")
    assert what in found[0]


def test_a_warning_that_means_nothing_is_let_pass(tmp_path: Path) -> None:
    line = "update-alternatives: warning: skip creation of /usr/share/man/man1/java.1.gz because"
    assert said(tree(tmp_path, warnings=[line]), "builds_print_no_warning") == []


@pytest.mark.parametrize("document", [None, {}, {"images": []}, {"images": {"base": 5}}, [], "no JSON"])
def test_without_a_report_that_can_be_read_nothing_was_built(document: Any, tmp_path: Path) -> None:
    project = tree(tmp_path)
    assert project.reports is not None
    (project.reports / "images.json").unlink()
    if document == "no JSON":
        (project.reports / "images.json").write_text("{")
    elif document is not None:
        report(project, "images", document)
    for check in ("every_image_was_built", "builds_print_no_warning", "images_are_small"):
        assert said(project, check), check
    assert said(project, "images_are_built_from_a_commit") is None


def test_where_reports_are_not_judged_nobody_asks_for_builds(tmp_path: Path) -> None:
    assert said(Project(tree(tmp_path).root, "prod"), "every_image_was_built") is None


def test_an_image_that_no_command_builds_is_found(tmp_path: Path) -> None:
    project = make(tmp_path, {"images/moon/Dockerfile": "FROM debian:bookworm-slim\n"})
    assert said(project, "every_image_was_built") == ["images/moon: no command builds this image"]


def test_a_rehearsal_may_be_built_from_a_tree_with_changes(tmp_path: Path) -> None:
    project = tree(tmp_path, revision="unknown")
    assert said(Project(project.root, "test-1", project.reports), "images_are_built_from_a_commit") is None


def test_a_dev_stack_may_be_built_from_a_tree_with_changes(tmp_path: Path) -> None:
    project = tree(tmp_path, revision="unknown")
    assert said(project, "images_are_built_from_a_commit", environment="dev") == []

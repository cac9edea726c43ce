"""The rules about what must have happened to a commit, on real repositories where they ask git."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from policies.view.project import Project
from policies.view.tree import tree_of
from tests.policies.project_trees import TIME, about, make, report, said

pytestmark = pytest.mark.ring("unit")

ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
NONE = {"critical": 0, "high": 0}


def git(project: Project, *arguments: str) -> str:
    own = ["-c", "user.name=a", "-c", "user.email=a@invalid", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    command = ["git", "-C", str(project.root), *own, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True, env=ENVIRON).stdout.strip()


def commit(project: Project, message: str = "m") -> str:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(project, "rev-parse", "HEAD")


def again(project: Project) -> Project:
    """The tree as it is now: what was found out about it before is forgotten."""
    return Project(project.root, project.stack, project.reports)


@pytest.fixture
def repository(tmp_path: Path) -> Project:
    """A commit of the version 1.2.3, tagged, and nothing else."""
    project = make(tmp_path, {})
    git(project, "init", "--quiet")
    commit(project)
    git(project, "tag", "v1.2.3")
    return project


def test_a_tagged_commit_without_changes_passes(repository: Project) -> None:
    assert said(repository, "what_is_deployed_has_the_tag_of_its_version") == []
    assert said(repository, "nothing_but_the_commit_is_deployed") == []


def test_a_commit_after_the_tag_is_found(repository: Project) -> None:
    commit(repository)
    assert said(again(repository), "what_is_deployed_has_the_tag_of_its_version") == [
        "pyproject.toml: the commit does not have the tag of the tree's version"
    ]


def test_the_tag_of_another_version_is_found(repository: Project) -> None:
    (repository.root / "pyproject.toml").write_text('[project]\nversion = "1.2.4"\n')
    commit(repository)
    git(repository, "tag", "v1.2.2")
    assert said(again(repository), "what_is_deployed_has_the_tag_of_its_version")
    git(repository, "tag", "1.2.4")
    assert said(again(repository), "what_is_deployed_has_the_tag_of_its_version") == []


@pytest.mark.parametrize("name", ["pyproject.toml", "new"])
def test_changes_on_top_of_the_commit_are_found(name: str, repository: Project) -> None:
    (repository.root / name).write_text("x = 1\n")
    assert said(again(repository), "nothing_but_the_commit_is_deployed") == [
        ": the tree has changes that are not committed"
    ]


def test_reports_of_a_tree_with_changes_count_for_nothing(repository: Project) -> None:
    report(repository, "tests", {"rings": {"unit": about(repository, passed=True)}})
    assert said(again(repository), "the_unit_tests_passed") == []
    (repository.root / "new").write_text("")
    assert said(again(repository), "the_unit_tests_passed")


@pytest.mark.parametrize(
    "check",
    [
        "what_is_deployed_has_the_tag_of_its_version",
        "nothing_but_the_commit_is_deployed",
        "every_commit_was_reviewed",
    ],
)
def test_outside_of_git_nobody_can_tell(check: str, tmp_path: Path) -> None:
    assert said(make(tmp_path, {}), check) == ["not evaluated: the tree's commit: its value can't be known here"]
    rehearsal = make(tmp_path, {"Pulumi.trial.yaml": "config:\n  workflow-platform:extends: prod\n"}, stack="trial")
    assert said(rehearsal, check) is None


def test_what_git_sets_for_its_hooks_does_not_lead_astray(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert tree_of(repository.root).tags == ("v1.2.3",)


def test_without_the_program_git_a_tree_is_known_by_its_content(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert not tree_of(repository.root).is_versioned


def test_a_folder_inside_another_repository_is_not_that_repository(repository: Project) -> None:
    inner = repository.root / "inner"
    inner.mkdir()
    (inner / "a").write_text("a")
    assert not tree_of(inner).is_versioned


def test_a_tree_outside_of_git_is_known_by_its_content(tmp_path: Path) -> None:
    project = make(tmp_path, {"a.py": "a", ".hidden": "h", "build/x": "b", "__pycache__/a.pyc": "c"})
    before = tree_of(project.root)
    assert before == tree_of(project.root)
    assert not before.dirty
    (project.root / "build/x").write_text("other")
    (project.root / ".hidden").write_text("other")
    assert tree_of(project.root) == before
    (project.root / "a.py").write_text("other")
    assert tree_of(project.root) != before


def reviewed(project: Project, *commits: str, **changes: str) -> Project:
    fields = {"kind": "code-review", "by": "ada", "author": "bob", "time": TIME, **changes}
    return report(project, "approvals", {"approvals": [{"of": each, **fields} for each in commits]})


def test_every_commit_since_the_release_before_needs_a_review(repository: Project) -> None:
    first, second = commit(repository, "first"), commit(repository, "second")
    git(repository, "tag", "v1.2.4")
    check = "every_commit_was_reviewed"
    where = "reports/approvals.json"
    told = "commits since the release before that nobody is recorded to have reviewed"
    assert said(again(repository), check) == [f"{where}: {told}: 2"]
    assert said(reviewed(repository, first), check) == [f"{where}: {told}: 1"]
    assert said(reviewed(repository, first, second), check) == []
    assert said(reviewed(repository, first, second, by="bob"), check)


def test_without_an_earlier_release_every_commit_counts(repository: Project) -> None:
    only = git(repository, "rev-parse", "HEAD")
    assert said(repository, "every_commit_was_reviewed")
    assert said(reviewed(repository, only), "every_commit_was_reviewed") == []


def scanned(project: Project, **changes: Any) -> Project:
    images = {str(reference): NONE for reference in project.image_references.values()}
    return report(project, "scan", about(project, **{"code": NONE, "dependencies": NONE, "images": images, **changes}))


IMAGE = {"images/base/Dockerfile": "FROM debian:bookworm-slim\n"}
SCANS = ("code_and_dependencies_have_no_known_weakness", "images_have_no_known_weakness")


@pytest.mark.parametrize("check", SCANS)
def test_a_clean_scan_passes(check: str, tmp_path: Path) -> None:
    assert said(scanned(make(tmp_path, IMAGE)), check) == []


@pytest.mark.parametrize("check", SCANS)
@pytest.mark.parametrize("changes", [None, {"commit": "0"}, {"dirty": True}, {"code": {}}, {"images": 5}])
def test_without_a_scan_of_this_tree_there_is_none(check: str, changes: dict[str, Any] | None, tmp_path: Path) -> None:
    project = make(tmp_path, IMAGE)
    if changes is not None:
        project = scanned(project, **changes)
    assert said(project, check) == ["reports/scan.json: no scan of exactly this tree is recorded"]


@pytest.mark.parametrize("severity", ["critical", "high"])
@pytest.mark.parametrize("what", ["code", "dependencies"])
def test_a_serious_weakness_of_code_or_dependencies_is_found(severity: str, what: str, tmp_path: Path) -> None:
    project = scanned(make(tmp_path, {}), **{what: {**NONE, severity: 1}})
    assert said(project, "code_and_dependencies_have_no_known_weakness") == [
        f"reports/scan.json: the {what} have critical or high weaknesses"
    ]


def test_a_critical_weakness_of_an_image_is_found(tmp_path: Path) -> None:
    project = make(tmp_path, IMAGE)
    reference = str(project.image_references["base"])
    check = "images_have_no_known_weakness"
    assert said(scanned(project, images={reference: {"critical": 1, "high": 0}}), check) == [
        "images/base: the image has critical weaknesses"
    ]
    assert said(scanned(project, images={reference: {"critical": 0, "high": 3}}), check) == []
    assert said(scanned(project, images={"other": NONE}), check) == ["images/base: the scan has nothing of this image"]


def test_somebody_must_have_judged_this_commit(tmp_path: Path) -> None:
    project, check = make(tmp_path, {}), "a_person_judged_the_weaknesses"
    missing = ["reports/approvals.json: no assessment of this commit is recorded"]
    assert said(project, check) == missing
    kind = {"kind": "vulnerability-assessment"}
    assert said(reviewed(project, tree_of(project.root).commit, **kind), check) == []
    assert said(reviewed(project, "0" * 40, **kind), check) == missing
    assert said(reviewed(project, tree_of(project.root).commit), check) == missing

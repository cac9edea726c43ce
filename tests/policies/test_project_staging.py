"""A rehearsal must be described like production."""

import shutil
from pathlib import Path

import pytest

from ops.home import PROJECT_DIR
from policies.engine.findings import Finding
from policies.view.project import Project
from tests.policies.conftest import Judge, recorded

pytestmark = pytest.mark.ring("unit")

CHECK = "the_rehearsal_is_described_like_production"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("prod", "rehearsal"):
        shutil.copy(PROJECT_DIR / f"Pulumi.{name}.yaml", tmp_path)
    return tmp_path


def judged(findings: Judge, tree: Path) -> list[Finding]:
    return findings(recorded("prod"), CHECK, project=Project(tree, "prod"))


def change(tree: Path, before: str, after: str) -> None:
    path = tree / "Pulumi.rehearsal.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_the_projects_own_rehearsal_is_like_production(findings: Judge, tree: Path) -> None:
    assert judged(findings, tree) == []


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("    storage: 2Gi", "    storage: 2Gi\n    minInSync: 1", "kafka.minInSync"),
        ("    workers: 1", "    workers: 1\n    enableMetrics: false", "api.enableMetrics"),
        ("    sharedBuffers: 64Mi", "    sharedBuffers: 64Mi\n    members: 1", "postgres.members"),
        ("config:\n", "config:\n  workflow-platform:logging: {level: WARNING}\n", "logging.level"),
    ],
)
def test_another_setting_than_productions_is_told_by_its_key(
    findings: Judge, tree: Path, before: str, after: str, key: str
) -> None:
    change(tree, before, after)
    (found,) = judged(findings, tree)
    assert (found.status, found.what) == ("fail", f"{key} is not what production has")


def test_sizes_and_names_may_differ(findings: Judge, tree: Path) -> None:
    change(tree, "    storage: 2Gi", "    storage: 3Gi")
    change(tree, "    hosts: [localhost, 127.0.0.1]", "    hosts: [rehearsal.internal]")
    assert judged(findings, tree) == []


@pytest.mark.parametrize("name", ["prod", "rehearsal"])
def test_a_missing_description_is_a_fault(findings: Judge, tree: Path, name: str) -> None:
    (tree / f"Pulumi.{name}.yaml").unlink()
    found = judged(findings, tree)
    assert {each.status for each in found} == {"fail"}
    assert any(name in each.path for each in found)


def test_a_description_that_is_not_valid_is_a_fault(findings: Judge, tree: Path) -> None:
    change(tree, "    storage: 2Gi", "    storage: many")
    assert [each.path for each in judged(findings, tree)] == ["Pulumi.rehearsal.yaml"]

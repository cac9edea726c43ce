"""What is asked of the project itself: a preview that was kept, and whom the database's image lets in."""

import json
from pathlib import Path
from typing import Any

import pytest

from policies.engine.findings import Finding
from policies.engine.judge import judge
from policies.view.deployment import Deployment
from policies.view.project import Project
from tests.policies.conftest import profiles, rules_by_name

pytestmark = pytest.mark.ring("unit")

LINES = "images/postgres/files/etc/postgres/pg_hba.conf"
GOOD_LINES = "# TYPE DATABASE USER ADDRESS METHOD\nlocal all postgres peer\nhost all all all scram-sha-256\n"


def asked(name: str, project: Project) -> list[Finding]:
    return judge(Deployment("prod", []), [rules_by_name()[name]], profiles(), project=project).findings


def previewed(folder: Path, **report: Any) -> Project:
    (folder / "preview.json").write_text(json.dumps(report))
    return Project(folder, "prod", folder)


def change(kind: str, op: str) -> dict[str, str]:
    return {"urn": f"urn:pulumi:prod::p::{kind}::x", "type": kind, "op": op}


CLAIM, SERVICE = "kubernetes:core/v1:PersistentVolumeClaim", "kubernetes:core/v1:Service"


def test_a_preview_of_the_stack_is_enough(tmp_path: Path) -> None:
    assert asked("a_preview_was_kept", previewed(tmp_path, stack="prod", changes=[])) == []


@pytest.mark.parametrize("report", [{"stack": "dev", "changes": []}, {"stack": "prod"}])
def test_a_preview_of_another_stack_or_of_nothing_is_none(tmp_path: Path, report: dict[str, Any]) -> None:
    assert len(asked("a_preview_was_kept", previewed(tmp_path, **report))) == 1


def test_a_missing_preview_is_found(tmp_path: Path) -> None:
    assert len(asked("a_preview_was_kept", Project(tmp_path, "prod", tmp_path))) == 1


@pytest.mark.parametrize("op", ["delete", "replace"])
@pytest.mark.parametrize("kind", [CLAIM, "kubernetes:apps/v1:StatefulSet", "docker:index/volume:Volume"])
def test_the_end_of_what_holds_data_needs_a_name_and_a_reason(tmp_path: Path, kind: str, op: str) -> None:
    changes = [change(SERVICE, "delete"), change(kind, op), change(kind, "update")]
    (found,) = asked("the_loss_of_data_was_accepted", previewed(tmp_path, stack="prod", changes=changes))
    assert found.path.endswith("changes[1]")
    by_nobody = previewed(tmp_path, stack="prod", changes=changes, approval={"by": "", "reason": "x"})
    assert len(asked("the_loss_of_data_was_accepted", by_nobody)) == 1
    by_somebody = previewed(tmp_path, stack="prod", changes=changes, approval={"by": "a person", "reason": "empty"})
    assert asked("the_loss_of_data_was_accepted", by_somebody) == []


def image_lines(folder: Path, text: str) -> Project:
    path = folder / LINES
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return Project(folder, "dev")


def test_the_image_of_this_tree_trusts_nobody(project: Project) -> None:
    assert asked("the_single_server_trusts_nobody", project) == []


def test_good_lines_are_right(tmp_path: Path) -> None:
    assert asked("the_single_server_trusts_nobody", image_lines(tmp_path, GOOD_LINES)) == []


@pytest.mark.parametrize("line", ["local all all trust", "host all all 0.0.0.0/0 md5", "host all all all password"])
def test_a_line_that_asks_for_no_proof_is_found_with_its_number(tmp_path: Path, line: str) -> None:
    (found,) = asked("the_single_server_trusts_nobody", image_lines(tmp_path, f"{GOOD_LINES}{line}\n"))
    assert found.path.endswith(":4")


def test_missing_lines_are_found(tmp_path: Path) -> None:
    assert len(asked("the_single_server_trusts_nobody", Project(tmp_path, "dev"))) == 1

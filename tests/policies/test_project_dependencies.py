"""The rules about locks."""

from pathlib import Path

import pytest

from policies.view.project import Project
from tests.policies.project_trees import PYPROJECT, make, said, this_tree

pytestmark = pytest.mark.ring("unit")

HASH = f"    --hash=sha256:{'0' * 64}\n"
SERVICE = f"# head\nfast-api[x]==1.5.0 \\\n{HASH}other_one==2.0 ; python_version > '3' \\\n{HASH}"
DEV = f"{SERVICE}tool==3.0 \\\n{HASH}"
DECLARED = (
    f'{PYPROJECT}dependencies = ["fast_api[x]>=1,<2", "gone>1; python_version < \'3\'"]\n'
    '[project.optional-dependencies]\nops = ["tool==3.0"]\ndev = []\n'
)
RULES = (
    "locks_match_the_declared_dependencies",
    "locks_name_exact_versions_with_hashes",
    "what_is_tested_is_what_is_shipped",
)


def tree(folder: Path, service: str | None = SERVICE, dev: str | None = DEV, declared: str = DECLARED) -> Project:
    locks = {"requirements/service.lock": service, "requirements/dev.lock": dev, "pyproject.toml": declared}
    return make(folder, {path: text for path, text in locks.items() if text is not None})


@pytest.mark.parametrize("check", RULES)
def test_good_locks_pass(check: str, tmp_path: Path) -> None:
    assert said(tree(tmp_path), check) == []


@pytest.mark.parametrize("check", RULES)
def test_the_locks_of_this_tree_pass(check: str) -> None:
    assert said(this_tree(), check) == []


@pytest.mark.parametrize("check", RULES)
def test_a_project_without_dependencies_is_not_asked(check: str, tmp_path: Path) -> None:
    assert said(make(tmp_path, {}), check) is None


def test_a_missing_lock_is_found(tmp_path: Path) -> None:
    found = said(tree(tmp_path, dev=None), "locks_match_the_declared_dependencies")
    assert found == ["requirements/dev.lock: the lock file is missing"]


def test_a_dependency_that_is_not_locked_is_found(tmp_path: Path) -> None:
    declared = DECLARED.replace('["tool==3.0"]', '["tool==3.0", "new"]')
    found = said(tree(tmp_path, declared=declared), "locks_match_the_declared_dependencies")
    assert found == ["requirements/dev.lock: new is not in the lock"]


def test_a_lock_that_lags_behind_is_found(tmp_path: Path) -> None:
    found = said(tree(tmp_path, declared=DECLARED.replace(">=1,<2", ">=1.6")), "locks_match_the_declared_dependencies")
    assert found == [
        f"requirements/{name}.lock: fast_api is locked at a version that pyproject.toml does not allow"
        for name in ("service", "dev")
    ]


@pytest.mark.parametrize("pin", ["fast-api==1.5.0", "fast-api==what"])
def test_a_dependency_that_nobody_understands_is_found(pin: str, tmp_path: Path) -> None:
    declared = DECLARED.replace("fast_api[x]>=1,<2", "fast api ~ 1")
    found = said(tree(tmp_path, declared=declared), "locks_match_the_declared_dependencies")
    assert found
    assert found[0] == "pyproject.toml: a dependency can't be understood"


def test_a_lock_with_a_version_that_is_none_is_found(tmp_path: Path) -> None:
    found = said(tree(tmp_path, SERVICE.replace("1.5.0", "x!y")), "locks_match_the_declared_dependencies")
    assert found == ["requirements/service.lock: fast_api is locked at a version that pyproject.toml does not allow"]


def test_an_entry_without_a_hash_is_found(tmp_path: Path) -> None:
    found = said(tree(tmp_path, f"{SERVICE}bare==1\n"), "locks_name_exact_versions_with_hashes")
    assert found == ["requirements/service.lock: entry 4 of the lock has no hash"]


@pytest.mark.parametrize("entry", ["bare>=1", "bare", "bare @ https://x.invalid/y", "./folder"])
def test_an_entry_without_an_exact_version_is_found(entry: str, tmp_path: Path) -> None:
    found = said(tree(tmp_path, f"{SERVICE}{entry} \\\n{HASH}"), "locks_name_exact_versions_with_hashes")
    assert found == ["requirements/service.lock: entry 4 of the lock has no exact version"]


@pytest.mark.parametrize("dev", [DEV.replace("1.5.0", "1.5.1"), f"tool==3.0 {HASH}other-one==2.0 {HASH}"])
def test_a_version_that_is_shipped_and_not_tested_is_found(dev: str, tmp_path: Path) -> None:
    found = said(tree(tmp_path, dev=dev), "what_is_tested_is_what_is_shipped")
    assert found == ["requirements/dev.lock: fast-api is not tested in the version that is shipped"]

"""No test is forgotten: every test function that is written is collected, in a ring."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {".venv", ".git", "build", "dist"}


def _written_tests() -> dict[str, set[str]]:
    """Test functions by file, wherever in the tree they are."""
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        relative = path.relative_to(ROOT)
        if OUTSIDE & set(relative.parts) or (not path.name.startswith("test") and "tests" not in relative.parts):
            continue
        names = {
            node.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        }
        if names:
            found[relative.as_posix()] = names
    return found


@pytest.fixture(scope="module")
def collected() -> dict[str, set[str]]:
    """Test functions by file, as pytest sees them in all rings together."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--ring", "all", "--color=no"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    found: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        file, separator, rest = line.partition("::")
        if separator and file.endswith(".py"):
            found.setdefault(file, set()).add(rest.split("[", 1)[0].rsplit("::", 1)[-1])
    return found


def test_every_test_that_is_written_is_collected(collected: dict[str, set[str]]) -> None:
    forgotten = {
        file: sorted(missing)
        for file, names in _written_tests().items()
        if (missing := names - collected.get(file, set()))
    }
    assert not forgotten, f"written but never run: {forgotten}"


def test_no_two_tests_of_a_file_share_a_name() -> None:
    doubled = []
    for file in _written_tests():
        for scope in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
            if isinstance(scope, ast.Module | ast.ClassDef):
                names = [node.name for node in scope.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
                doubled += [
                    f"{file}::{name}" for name in set(names) if name.startswith("test_") and names.count(name) > 1
                ]
    assert not doubled, f"the later one hides the earlier one: {doubled}"

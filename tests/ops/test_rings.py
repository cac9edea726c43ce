"""Which tests `--ring` chooses, tried on a small tree of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = "[pytest]\ntestpaths = tests\naddopts = --strict-markers\nmarkers = ring(name): the ring\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "ops").mkdir()
    for name in ("__init__.py", "rings.py"):
        shutil.copy(ROOT / "ops" / name, tmp_path / "ops")
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "tests").mkdir()
    for ring in ("unit", "service"):
        text = f"import pytest\npytestmark = pytest.mark.ring({ring!r})\ndef test_{ring}(): pass\n"
        (tmp_path / "tests" / f"test_{ring}.py").write_text(text)
    return tmp_path


def _pytest(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no", *arguments]
    # The project's plugins would be most of the time.
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=tree, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_a_ring_chooses_its_tests_only(tree: Path) -> None:
    done = _pytest(tree, "--ring", "service")
    assert "test_service PASSED" in done.stdout
    assert "test_unit PASSED" not in done.stdout


def test_without_a_ring_only_the_unit_tests_are_run(tree: Path) -> None:
    done = _pytest(tree)
    assert "test_unit PASSED" in done.stdout
    assert "test_service PASSED" not in done.stdout


def test_a_path_that_is_named_is_run_whatever_its_ring(tree: Path) -> None:
    assert "test_service PASSED" in _pytest(tree, "tests/test_service.py").stdout


def test_a_ring_without_tests_does_not_pass(tree: Path) -> None:
    assert _pytest(tree, "--ring", "images").returncode == 5


@pytest.mark.parametrize("mark", ["", "import pytest\npytestmark = pytest.mark.ring('moon')\n"])
def test_a_test_outside_the_rings_is_refused(tree: Path, mark: str) -> None:
    (tree / "tests" / "test_lost.py").write_text(f"{mark}def test_lost(): pass\n")
    done = _pytest(tree, "--ring", "unit")
    assert done.returncode == 4
    assert "test_lost.py::test_lost is in" in done.stdout + done.stderr


def test_a_file_of_another_ring_is_not_even_read(tree: Path) -> None:
    with (tree / "tests" / "test_service.py").open("a") as file:
        file.write("raise RuntimeError('read')\n")
    assert _pytest(tree, "--ring", "unit").returncode == 0
    assert _pytest(tree, "--ring", "all").returncode == 2


def test_a_file_that_names_its_ring_in_a_roundabout_way_is_read(tree: Path) -> None:
    text = "import pytest\nOTHER = pytest.mark.ring('service')\npytestmark = pytest.mark.ring('un' + 'it')\n"
    (tree / "tests" / "test_roundabout.py").write_text(f"{text}def test_roundabout(): pass\n")
    assert "test_roundabout PASSED" in _pytest(tree, "--ring", "unit").stdout

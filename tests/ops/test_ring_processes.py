"""A ring whose files are shared out to several processes ends as it would in one."""

import os
from pathlib import Path

import pytest

from ops import testing
from ops.context import Context
from ops.home import Home
from ops.records import CommandLog
from ops.rings import Ring

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]
FIRST = "import os\nfrom pathlib import Path\n\ndef test_a(): Path('first').write_text(str(os.getpid()))\n"
SECOND = FIRST.replace("first", "second")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two files of tests, in the place of the project."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider -p xdist.plugin\n")
    (tmp_path / "conftest.py").write_text("def pytest_addoption(parser): parser.addoption('--ring')\n")
    (tmp_path / "test_first.py").write_text(FIRST)
    (tmp_path / "test_second.py").write_text(SECOND)
    # The project's plugins would be most of the time.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(testing, "PROJECT_DIR", tmp_path)
    monkeypatch.setattr(testing, "pulumi_environment", lambda _home: {})
    return tmp_path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of its own."""
    return Home(tmp_path / "home").make()


def _run(home: Home) -> str:
    return testing._run(Context(home, CommandLog(home.logs, "test")), Ring("unit", "", processes=2))


def test_its_files_are_run_in_processes_of_their_own(home: Home, tree: Path) -> None:
    assert _run(home) == ""
    ran = {(tree / name).read_text() for name in ("first", "second")}
    assert len(ran) == 2
    assert str(os.getpid()) not in ran


def test_a_failure_in_one_of_its_processes_is_the_rings(home: Home, tree: Path) -> None:
    (tree / "test_second.py").write_text("def test_a(): assert False\n")
    assert _run(home) == "pytest ended with 1"


def test_a_process_that_dies_fails_the_ring(home: Home, tree: Path) -> None:
    (tree / "test_second.py").write_text("import os\n\ndef test_a(): os._exit(0)\n")
    assert _run(home) == "pytest ended with 1"


def test_without_tests_it_does_not_pass(home: Home, tree: Path) -> None:
    for each in tree.glob("test_*.py"):
        each.unlink()
    assert _run(home) == "it has no tests"

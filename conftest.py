"""Which tests run: `--ring NAME` chooses, and a test that names no ring is refused instead of being forgotten."""

import re
import sys
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from ops.rings import TEST_RINGS  # noqa: E402

MARK = "mark.ring("
MARKED = re.compile(r"""mark\.ring\(["'](\w+)["']\)""")
ALL = "all"
DEFAULT = "unit"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--ring`, as often as wanted."""
    parser.addoption(
        "--ring",
        action="append",
        default=[],
        choices=[*sorted(TEST_RINGS), ALL],
        help="run the tests of this ring (may be repeated); without it: those at the paths given, else the ring unit",
    )


def _chosen(config: pytest.Config) -> set[str]:
    named = set(config.getoption("--ring"))
    if ALL in named or (not named and config.args_source is pytest.Config.ArgsSource.ARGS):
        return set(TEST_RINGS)
    return named or {DEFAULT}


def _is_shared_out(config: pytest.Config) -> bool:
    """Whether this is the process that shares the files out to others."""
    return not hasattr(config, "workerinput") and bool(getattr(config.option, "numprocesses", None))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Gives the run a name of its own, by which what its processes leave is found again."""
    if _is_shared_out(config):
        config.option.testrunuid = config.option.testrunuid or uuid.uuid4().hex


def pytest_unconfigure(config: pytest.Config) -> None:
    """Takes away the containers of processes that had to be killed: an interrupt gives them seconds to do it."""
    if not _is_shared_out(config):
        return
    from tests.left_containers import remove_left

    remove_left(config.option.testrunuid)


def pytest_report_header(config: pytest.Config) -> str:
    """Says what is left out."""
    return f"rings: {', '.join(sorted(_chosen(config)))}"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves files alone whose tests are all of other rings: to read them takes longer than to run a small ring.

    A file that does not say so in plain words is read, and its tests are asked.
    """
    if not (collection_path.name.startswith("test_") and collection_path.suffix == ".py"):
        return None
    text = collection_path.read_text(encoding="utf-8")
    named = set(MARKED.findall(text))
    in_plain_words = named and named <= TEST_RINGS and len(MARKED.findall(text)) == text.count(MARK)
    return True if in_plain_words and not named & _chosen(config) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests of the chosen rings."""
    chosen = _chosen(config)
    kept, left = [], []
    for item in items:
        rings = {str(name) for marker in item.iter_markers("ring") for name in marker.args}
        if not rings or not rings <= TEST_RINGS:
            wanted = f"mark it or its file with pytest.mark.ring(one of: {', '.join(sorted(TEST_RINGS))})"
            raise pytest.UsageError(f"{item.nodeid} is in {f'unknown ring {rings}' if rings else 'no ring'}; {wanted}")
        (kept if rings & chosen else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept

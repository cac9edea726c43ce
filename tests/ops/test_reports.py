"""What commands write down about the tree is what the policy pack reads."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from images import catalog
from images.build import BuiltImage
from ops import testing
from ops.context import Context
from ops.home import Home
from ops.records import CommandLog
from ops.reports import record_images, record_ring, recorded_images
from ops.rings import LINT, find
from ops.setup import machine
from policies.view.project import Project
from policies.view.reports import images, ring
from policies.view.tree import Tree, tree_of

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").make()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    return root


def image(identity: str = "1", **fields: object) -> BuiltImage:
    known = {"name": "base", "reference": "r:1", "image_id": identity, "size_bytes": 5, "seconds": 0.0}
    return BuiltImage(**{**known, "revision": "c", "version": "1.2.3", **fields})  # type: ignore[arg-type]


def test_each_ring_is_written_down_with_its_tree_and_the_others_stay(home: Home, tree: Path) -> None:
    now = tree_of(tree)
    record_ring(home, "unit", 61.23, "", [now, now])
    record_ring(home, "lint", 2, "failed: mypy", [now, now])
    project = Project(tree, "prod", home.reports)
    results = [ring(project, name) for name in ("unit", "lint", "stack")]
    assert [each.passed if each else None for each in results] == [True, False, None]
    entry = json.loads((home.reports / "tests.json").read_text())["rings"]["lint"]
    assert (entry["seconds"], entry["why"], entry["commit"]) == (2, "failed: mypy", now.commit)
    assert stat.S_IMODE((home.reports / "tests.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("after", [Tree("b", False), Tree("a", True)])
def test_a_tree_that_changes_during_a_ring_was_not_tested(after: Tree, home: Home) -> None:
    record_ring(home, "unit", 1, "", [Tree("a", False), after])
    assert json.loads((home.reports / "tests.json").read_text())["rings"]["unit"]["dirty"] is True


@pytest.mark.parametrize("text", ["", "[]", '{"rings": 5}', '{"rings": {"unit": 5}}'])
def test_a_broken_report_is_written_anew(text: str, home: Home, tree: Path) -> None:
    home.reports.mkdir()
    (home.reports / "tests.json").write_text(text)
    record_ring(home, "lint", 1, "", [tree_of(tree)])
    assert list(json.loads((home.reports / "tests.json").read_text())["rings"]) == ["lint"]


def test_a_run_of_rings_is_written_down(home: Home, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "PROJECT_DIR", tree)
    monkeypatch.setattr(testing, "_run", lambda _context, each: "" if each is LINT else "pytest ended with 1")
    testing.run_rings(Context(home, CommandLog(home.logs, "test")), find(["lint", "unit"]))
    project = Project(tree, "prod", home.reports)
    results = [ring(project, name) for name in ("lint", "unit")]
    assert [each.passed if each else None for each in results] == [True, False]


def test_images_are_written_down_as_they_are_read(home: Home, tree: Path) -> None:
    record_images(home, {"base": image(warnings=("warning: x",))})
    found = images(Project(tree, "prod", home.reports))["base"]
    assert (found.reference, found.size_bytes, found.warnings) == ("r:1", 5, ("warning: x",))
    assert (found.revision, found.version) == ("c", "1.2.3")
    assert recorded_images(home) == {"base": "r:1"}


def test_what_a_build_printed_is_kept_as_long_as_the_image_is_the_same(home: Home, tree: Path) -> None:
    def warnings() -> tuple[str, ...] | None:
        return images(Project(tree, "prod", home.reports))["base"].warnings

    record_images(home, {"base": image(warnings=())})
    record_images(home, {"base": image()})
    assert warnings() == ()
    record_images(home, {"base": image("2")})
    assert warnings() is None


def test_images_that_are_there_and_not_written_down_are_looked_at_by_the_next_set_up(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Engine:
        api = property(lambda self: self)

        def images(self) -> list[dict[str, list[str]]]:
            return [{"RepoTags": [catalog.reference(name) for name in catalog.names()]}]

        def close(self) -> None:
            pass

    def build(names: list[str], _report: Callable[[str], None]) -> dict[str, BuiltImage]:
        return {name: image(name=name, reference=catalog.reference(name)) for name in names}

    monkeypatch.setattr(machine, "connect", Engine)
    monkeypatch.setattr("images.build.build", build)
    assert not machine.images_ready(home)
    machine.build_images(home, lambda _line: None)
    assert machine.images_ready(home)

"""References are a pure function of the tree: the same files give the same name, any change gives another."""

import shutil
import time
from pathlib import Path

import pytest

from images import catalog
from images.errors import UnknownImageError

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of everything that references depend on."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in ("images", "service", "requirements"):
        shutil.copytree(catalog.ROOT / folder, tmp_path / folder, ignore=ignored)
    shutil.copy(catalog.ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def references(root: Path) -> dict[str, str]:
    return {name: catalog.reference(name, root) for name in catalog.names()}


def changed(root: Path, before: dict[str, str]) -> set[str]:
    return {name for name, reference in references(root).items() if reference != before[name]}


def test_the_same_files_give_the_same_references_wherever_they_are(tree: Path) -> None:
    copy = tree / "elsewhere"
    for folder in ("images", "service", "requirements"):
        shutil.copytree(tree / folder, copy / folder)
    shutil.copy(tree / "pyproject.toml", copy)
    assert references(copy) == references(tree)


def test_a_reference_names_repository_release_and_content(tree: Path) -> None:
    repository, tag = catalog.reference("kafka", tree).split(":")
    release, digest = tag.split("-")
    assert repository == "workflow-kafka"
    assert release == catalog.version(tree)
    assert len(digest) == 12
    assert int(digest, 16) >= 0


@pytest.mark.parametrize(
    ("path", "affected"),
    [
        ("images/kafka/pom.xml", {"kafka"}),
        ("images/postgres/files/etc/postgres/postgresql.conf", {"postgres"}),
        ("images/base/Dockerfile", set(catalog.names())),
        ("requirements/service.lock", {"api"}),
        ("service/cli.py", {"api"}),
        ("images/catalog.py", set()),
    ],
)
def test_a_change_renames_exactly_the_images_that_hold_it(tree: Path, path: str, affected: set[str]) -> None:
    before = references(tree)
    with (tree / path).open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert changed(tree, before) == affected


def test_a_new_file_a_moved_file_and_an_execute_bit_count(tree: Path) -> None:
    folder = tree / "images/node-exporter/files"
    seen = {catalog.reference("node-exporter", tree)}
    (folder / "new").write_text("x")
    seen.add(catalog.reference("node-exporter", tree))
    (folder / "new").rename(folder / "moved")
    seen.add(catalog.reference("node-exporter", tree))
    (folder / "moved").chmod(0o755)
    seen.add(catalog.reference("node-exporter", tree))
    assert len(seen) == 4


def test_caches_certificates_and_times_do_not_count(tree: Path) -> None:
    before = references(tree)
    cache = tree / "service/__pycache__"
    cache.mkdir()
    (cache / "cli.cpython-311.pyc").write_bytes(b"x")
    (tree / "service/cli.py").touch()
    assert changed(tree, before) == set()


def test_a_release_renames_every_image(tree: Path) -> None:
    before = references(tree)
    project = tree / "pyproject.toml"
    text = project.read_text()
    project.write_text(text.replace(f'version = "{catalog.version(tree)}"', 'version = "9.9.9"', 1))
    assert changed(tree, before) == set(catalog.names())


def test_references_are_quick_enough_for_every_run_of_the_program() -> None:
    started = time.process_time()
    references(catalog.ROOT)
    assert time.process_time() - started < 0.05 * len(catalog.names())


def test_parents_are_listed_before_their_children() -> None:
    names = catalog.names()
    for name in names:
        parent = catalog.image(name).parent
        assert parent is None or names.index(parent) < names.index(name)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownImageError, match="there is no image 'redis'; the images are base, postgres, kafka"):
        catalog.reference("redis")

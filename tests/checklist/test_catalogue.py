"""The catalogue: complete, unambiguous, and refused with file and line when it is not."""

from pathlib import Path

import pytest

from checklist.catalogue import CatalogueError, load

pytestmark = pytest.mark.ring("unit")

GOOD = """\
- id: image-size-limit
  phase: image
  title: The image stays small
  sources: ["000:65"]
  applies_to: [api]
  environment: both
  how: [verify]
  check: Inspect the size.
"""


@pytest.fixture
def written(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str) -> Path:
        path = tmp_path / "catalogue.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_catalogue_of_the_project_loads() -> None:
    entries = load()
    assert len(entries) > 300
    assert all(name == entry.id for name, entry in entries.items())


def test_every_entry_that_does_not_apply_says_why() -> None:
    skipped = [entry for entry in load().values() if not entry.applicable]
    assert skipped
    assert all(entry.reason and not entry.how for entry in skipped)


def test_an_entry_is_typed(written) -> None:  # type: ignore[no-untyped-def]
    entry = load(written(GOOD))["image-size-limit"]
    assert (entry.how, entry.environment, entry.sources) == (("verify",), "both", ("000:65",))
    assert entry.proven_in("dev")
    assert entry.proven_in("prod")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD + GOOD, 9, "already used in line 1"),
        (GOOD + "  colour: red\n", 9, "unknown field 'colour'"),
        (GOOD + "  title: Again\n", 9, "given twice"),
        (GOOD.replace("how: [verify]", "how: [hope]"), 1, "how 'hope' must be one of"),
        (GOOD.replace("environment: both", "environment: staging"), 1, "environment 'staging' must be one of"),
        (GOOD.replace('["000:65"]', '["page 4"]'), 1, "the source 'page 4'"),
        (GOOD.replace("  check: Inspect the size.\n", ""), 1, "missing check"),
        (GOOD.replace("id: image-size-limit", "id: Image_Size"), 1, "lower-case words"),
        (GOOD.replace("[api]", "api"), 5, "'applies_to' must be a list"),
        (GOOD + "  reason: none\n", 1, "'reason' belongs to"),
        ("- just a text\n", 1, "must be a mapping"),
        ("entries: []\n", 1, "must be one list"),
        (GOOD + "  check: [unclosed\n", 10, "not valid YAML"),
    ],
)
def test_a_faulty_entry_is_refused_with_file_and_line(written, text: str, line: int, words: str) -> None:  # type: ignore[no-untyped-def]
    path = written(text)
    with pytest.raises(CatalogueError) as refusal:
        load(path)
    assert str(refusal.value).startswith(f"{path}:{line}: ")
    assert words in str(refusal.value)

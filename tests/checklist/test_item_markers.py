"""Every `item` marker in the tests names an entry of the catalogue that applies to this system."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from checklist.catalogue import load

pytestmark = pytest.mark.ring("unit")

TESTS = Path(__file__).resolve().parents[1]


def item_markers(source: str) -> Iterator[tuple[int, str | None]]:
    """(line, id) of each argument of `pytest.mark.item(...)`; the id is None where it is no literal text."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "item":
            continue
        if not isinstance(node.func.value, ast.Attribute) or node.func.value.attr != "mark":
            continue
        if not node.args:
            yield node.lineno, None
        for argument in node.args:
            literal = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            yield node.lineno, argument.value if literal else None  # type: ignore[attr-defined]


def test_every_item_marker_names_an_entry_of_the_catalogue() -> None:
    applicable = {entry.id for entry in load().values() if entry.applicable}
    wrong = [
        f"{path.relative_to(TESTS.parent)}:{line}: {item or 'the id must be a literal text'}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, item in item_markers(path.read_text(encoding="utf-8"))
        if item not in applicable
    ]
    assert not wrong, "item markers that name no applicable catalogue entry:\n" + "\n".join(wrong)


def test_the_scan_sees_names_lists_and_missing_ids() -> None:
    source = """
import pytest
pytestmark = [pytest.mark.item("one"), pytest.mark.ring("unit")]
@pytest.mark.item("two", "three")
def test_a(): ...
@pytest.mark.item(f"four")
def test_b(): ...
@pytest.mark.item()
def test_c(): ...
page.item("not a marker")
"""
    assert sorted(item_markers(source), key=lambda found: found[0]) == [
        (3, "one"),
        (4, "two"),
        (4, "three"),
        (6, None),
        (8, None),
    ]


def unmarked_tests(source: str) -> list[str]:
    """The test functions of a module that carry no `item` marker."""
    return [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not any(list(item_markers(ast.unparse(decorator))) for decorator in node.decorator_list)
    ]


def test_every_check_of_a_live_stack_says_which_entry_it_proves() -> None:
    folder = TESTS / "infra" / "verify"
    unmarked = [
        f"{path.name}::{name}"
        for path in sorted(folder.glob("test_*.py"))
        for name in unmarked_tests(path.read_text(encoding="utf-8"))
    ]
    assert not unmarked, f"checks without an item marker: {unmarked}"


def test_a_check_without_a_marker_is_seen() -> None:
    source = "@pytest.mark.item('a')\ndef test_marked(): ...\n@other\ndef test_bare(): ...\ndef helper(): ...\n"
    assert unmarked_tests(source) == ["test_bare"]

"""Files given to the command: what they may hold, the lines of their fields, ``--set``."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wfm.cli.documents import MAX_BYTES, Document, read, read_all, with_settings
from wfm.cli.exits import CliError

pytestmark = pytest.mark.ring("unit")

WORKFLOW = """\
name: hello
steps:
  - id: greet
    agent: greeter
    input:
      name.of: {$jmespath: input.name}
  - id: bye
    agent: nobody
"""


@pytest.fixture
def file(tmp_path: Path) -> Any:
    def write(text: str) -> str:
        path = tmp_path / "file.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("name", 1),
        ("steps", 2),
        ("steps.0", 3),
        ("steps.1.agent", 8),
        ("steps.0.input.name.of", 6),
        ("steps.0.input.name.of.$jmespath", 6),
        ("steps.1.needs.0", 7),
        ("on_failure", 1),
        ("steps.7.agent", 2),
    ],
)
def test_a_field_is_told_with_its_line_or_that_of_what_is_around_it(file: Any, field: str, line: int) -> None:
    assert read(file(WORKFLOW)).place(field).endswith(f"file.yaml:{line}")


def test_the_lines_of_json_are_told_as_well(file: Any) -> None:
    assert read(file('{\n  "name": "hello",\n  "steps": [\n    {"id": "a"}\n  ]\n}')).place("steps.0.id").endswith(":4")


def test_what_is_sent_below_a_field_has_its_lines_there(file: Any) -> None:
    found = read(file("a: 1\nb: 2\n"))
    below = Document(found.value, found.name, found.node, "input")
    assert below.place("input.b").endswith(":2")
    assert below.place("header.Idempotency-Key") == ""


def test_yaml_is_read_as_json_knows_it(file: Any) -> None:
    found = read(
        file("country: no\nday: 2030-01-01\non: true\n1: one\nmerged: &x {a: 1}\nother: {<<: *x, b: 2}\n")
    ).value
    assert found == {
        "country": "no",
        "day": "2030-01-01",
        "on": True,
        "1": "one",
        "merged": {"a": 1},
        "other": {"a": 1, "b": 2},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "file.yaml:2: the key 'a' comes twice"),
        ("a: 1\nb: [1\n", "file.yaml:3: "),
        ("a: !!python/object:os.system {}\n", "file.yaml:1: "),
        ("a: .nan\n", "nan is no number of JSON"),
        ("a: !!binary aGVsbG8=\n", "bytes values cannot be sent as JSON"),
        ("", "is empty"),
    ],
)
def test_a_file_that_cannot_be_sent_is_refused_with_the_line(file: Any, text: str, said: str) -> None:
    with pytest.raises(CliError) as caught:
        read(file(text))
    assert said in caught.value.reason


def test_a_file_may_hold_several_documents_where_that_is_wanted(file: Any) -> None:
    path = file("name: a\n---\nname: b\n")
    assert [(each.value["name"], each.place("name")[-2:]) for each in read_all(path)] == [("a", ":1"), ("b", ":3")]
    with pytest.raises(CliError, match="holds 2 documents; one is wanted"):
        read(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="No such file"):
        read(str(tmp_path / "absent.yaml"))


def test_a_dash_is_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a: 1\n")))
    found = read("-")
    assert (found.value, found.place("a")) == ({"a": 1}, "stdin:1")


def test_more_than_any_request_may_hold_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"x" * (MAX_BYTES + 2))))
    with pytest.raises(CliError, match="is longer than 16 MiB"):
        read("-")


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (["name=Ada"], {"name": "Ada", "steps": [{"id": "a"}]}),
        (["name=5"], {"name": 5, "steps": [{"id": "a"}]}),
        (['name="5"'], {"name": "5", "steps": [{"id": "a"}]}),
        (["name=no"], {"name": "no", "steps": [{"id": "a"}]}),
        (["name=NaN"], {"name": "NaN", "steps": [{"id": "a"}]}),
        (["name=a=b"], {"name": "a=b", "steps": [{"id": "a"}]}),
        (["name={text: name}"], {"name": "{text: name}", "steps": [{"id": "a"}]}),
        (["name="], {"name": "", "steps": [{"id": "a"}]}),
        (["steps.0.agent=x"], {"name": "n", "steps": [{"id": "a", "agent": "x"}]}),
        (['steps.1={"id": "b"}'], {"name": "n", "steps": [{"id": "a"}, {"id": "b"}]}),
        (["deep.er=true"], {"name": "n", "steps": [{"id": "a"}], "deep": {"er": True}}),
    ],
)
def test_a_setting_changes_one_field(settings: list[str], found: Any) -> None:
    given = {"name": "n", "steps": [{"id": "a"}]}
    assert with_settings(given, settings) == found
    assert given == {"name": "n", "steps": [{"id": "a"}]}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("name", "must be key=value"),
        ("a..b=1", "must be key=value"),
        ("steps.5.id=x", "no place in a list of 1"),
        ("steps.first=x", "no place in a list of 1"),
        ("name.first=x", "neither a mapping nor a list"),
    ],
)
def test_a_setting_that_fits_nowhere_is_refused(setting: str, said: str) -> None:
    with pytest.raises(CliError, match=said):
        with_settings({"name": "n", "steps": [{"id": "a"}]}, [setting])

"""Lines of a run's log: storable and bounded whatever an agent gives, and without secrets."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.executor.kinds.base import StepContext
from service.executor.kinds.log_lines import MOST_CHARACTERS, MOST_FIELD_BYTES, LogLine, log_line
from service.executor.kinds.secrets import SecretFolder, SecretReader
from service.executor.values import encode

pytestmark = pytest.mark.ring("unit")


def line(message: Any = "said", **fields: Any) -> LogLine:
    return log_line("info", message, fields)


def logged(context: StepContext) -> list[LogLine]:
    assert isinstance(context.lines, list)
    return context.lines


def test_a_line_knows_its_step_its_attempt_and_its_level() -> None:
    context = StepContext("run", "charge[2]", 3, "req-1")
    context.log("charged", level="warning", amount=5)
    assert logged(context) == [LogLine("warning", "charged", {"amount": 5}, "charge[2]", 3)]


def test_an_unknown_level_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="no level 'warn' of lines; it is one of debug, info, warning, error"):
        StepContext("run", "a", 1, "req-1").log("x", level="warn")


def test_fields_may_be_named_like_what_a_line_has_itself() -> None:
    context = StepContext("run", "a", 1, "req-1")
    context.log("said", message="hello", self="me", step_id="other")
    (found,) = logged(context)
    assert (found.message, found.step_id) == ("said", "a")
    assert found.fields == {"message": "hello", "self": "me", "step_id": "other"}


def test_a_long_message_is_cut() -> None:
    found = line("x" * 1_000_000).message
    assert len(found) == MOST_CHARACTERS
    assert found.endswith("x…")


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (2**63 - 1, 2**63 - 1),
        (2**70, str(2**70)),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud800", "?"),
        (r"a\u0000", r"a\u0000"),
        ((1, "b"), [1, "b"]),
        ({1: {"b": None}}, {"1": {"b": None}}),
        (Path("/tmp"), "/tmp"),  # noqa: S108 - a value to be written, no file
        (Unspeakable(), "[a Unspeakable that has no text: RuntimeError]"),
    ],
)
def test_every_value_becomes_one_that_the_database_takes(value: Any, kept: Any) -> None:
    found = line(value=value).fields
    assert found == {"value": kept}
    encode(found)


def test_a_value_that_holds_itself_ends_somewhere() -> None:
    loop: list[Any] = []
    loop.extend([loop, loop, loop])
    assert "[left out" in json.dumps(line(loop=loop).fields)


def test_what_is_too_much_is_left_out_and_the_rest_is_kept() -> None:
    found = line(small=1, large="x" * 10_000, after=2).fields
    assert found == {"small": 1, "large": "[left out: 10002 characters]", "after": 2}


def test_the_fields_of_a_line_are_bounded_however_many_there_are() -> None:
    found = line(**{f"name-{number}": "x" * 100 for number in range(10_000)}).fields
    assert 0 < len(json.dumps(found)) < 2 * MOST_FIELD_BYTES


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """An attempt that has read the secret ``key``."""
    (tmp_path / "key").write_text("a key that opens")
    found = StepContext("run", "a", 1, "req-1", SecretReader(SecretFolder(tmp_path)))
    found.secret("key")
    return found


class Address:
    def __str__(self) -> str:
        return "https://x/?key=a key that opens"


def test_secrets_are_cleared_from_message_and_fields(context: StepContext) -> None:
    context.log("with a key that opens", at=Address(), deep=[{"a key that opens": "a key that opens"}])
    (found,) = logged(context)
    assert found.message == "with [secret key]"
    assert found.fields == {"at": "https://x/?key=[secret key]", "deep": [{"[secret key]": "[secret key]"}]}


def test_a_secret_at_the_cut_is_cleared_before_the_cut(context: StepContext) -> None:
    context.log("x" * (MOST_CHARACTERS - 8) + "a key that opens")
    (found,) = logged(context)
    assert "a key" not in found.message

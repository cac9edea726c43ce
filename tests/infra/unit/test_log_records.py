"""The judgement over the service's log accepts full records and sees each planted fault."""

import json
from typing import Any

import pytest

from tests.infra.support import log_records

pytestmark = pytest.mark.ring("unit")

GOOD = {
    "timestamp": "2026-11-22T10:30:00.123456Z",
    "level": "INFO",
    "logger": "service.api",
    "message": "run accepted",
    "correlation_id": "req-1",
}


def line(**changes: Any) -> str:
    record = {**GOOD, **changes}
    return json.dumps({name: value for name, value in record.items() if value is not None})


def test_full_records_have_no_fault() -> None:
    assert log_records.format_problems(line() + "\n\n" + line(level="warning") + "\n") == []


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        ("INFO: Started server process [1]", "not a JSON object"),
        ('["a", "list"]', "not a JSON object"),
        (line(message=None), "lacks message"),
        (line(logger=""), "lacks logger"),
        (line(level="LOUD"), "unknown level"),
        (line(timestamp="2026-11-22 10:30:00"), "no ISO 8601"),
        (line(timestamp="2026-11-22T10:30:00+02:00"), "no ISO 8601"),
        (line(timestamp="yesterdayZ"), "no ISO 8601"),
    ],
)
def test_each_planted_fault_is_told_with_its_line(planted: str, words: str) -> None:
    (problem,) = log_records.format_problems(line() + "\n" + planted)
    assert problem.startswith("line 2 ")
    assert words in problem


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        ("login of jane.doe@factory.example.org refused", "an e-mail address"),
        ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl", "a signed token"),
        ("connecting to postgresql://user:hunter2@postgres:5432/db", "a password in a URL"),
    ],
)
def test_personal_data_and_credentials_are_told_without_repeating_them(planted: str, kind: str) -> None:
    assert log_records.personal_or_credential(["fine", planted]) == [f"line 2 holds {kind}"]


@pytest.mark.parametrize(
    "harmless",
    ["connecting to postgresql://user:***@postgres:5432/db", "GET http://api:8000/x?at=@", "eyJust a word", "a@b"],
)
def test_masked_and_ordinary_lines_are_let_pass(harmless: str) -> None:
    assert log_records.personal_or_credential([harmless]) == []


def test_records_are_read_beside_foreign_lines() -> None:
    (record,) = log_records.records("noise\n" + line(level="error"))
    assert (record.line, record.level, record["correlation_id"], record["absent"]) == (2, "ERROR", "req-1", None)

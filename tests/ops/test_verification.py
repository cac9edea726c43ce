"""The record of live checks by catalogue id."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ops.verification import item_status
from ops.verify import failures, figure_lines, passed, summary_line, verification_table

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]

CHECKS = """
import pytest

@pytest.mark.item("api-healthy", "api-port")
def check_good(record_property):
    record_property("first_run_seconds", 0.25)

@pytest.mark.item("api-port")
@pytest.mark.parametrize("number", [1, 2])
def check_bad(number):
    assert number == 1, "the word is do-not-show-me"

@pytest.mark.item("grafana-reachable")
def check_skipped():
    pytest.skip("its image can't be had")

@pytest.fixture
def broken():
    raise RuntimeError("no connection")

@pytest.mark.item("kafka-healthy")
def check_error(broken):
    pass

def check_unnamed():
    pass

@pytest.mark.item("hpa-there")
def check_for_another_target():
    pass

def check_not_asked_for():
    pass
"""

CONFTEST = """
def pytest_collection_modifyitems(config, items):
    *rest, other, unasked = items
    other.user_properties.append(("not applicable", "it is about a cluster"))
    config.hook.pytest_deselected(items=[other, unasked])
    items[:] = rest
"""


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of a run with one check of each outcome."""
    folder = tmp_path_factory.mktemp("checks")
    (folder / "test_checks.py").write_text(CHECKS)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "pytest.ini").write_text("[pytest]\npython_functions = check_*\nmarkers = item(*ids): what it proves\n")
    outputs = folder / "outputs.json"
    outputs.write_text(json.dumps({"adminPassword": "do-not-show-me", "urls": {}}))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "ops.verification", "--verification-record", "record.json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "WORKFLOW_OUTPUTS": str(outputs), "WORKFLOW_STACK": "t3f2"}
    subprocess.run(command, cwd=folder, env=environ, capture_output=True, timeout=120, check=False)
    document: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return document


def test_each_id_has_the_status_of_its_worst_check(record: dict[str, Any]) -> None:
    assert {name: entry["status"] for name, entry in record["items"].items()} == {
        "api-healthy": "pass",
        "api-port": "fail",
        "grafana-reachable": "not evaluated",
        "kafka-healthy": "fail",
    }
    assert record["stack"] == "t3f2"
    assert len(record["items"]["api-port"]["checks"]) == 3
    assert [check["check"] for check in record["withoutItem"]] == ["test_checks.py::check_unnamed"]


def test_a_check_for_another_target_is_told_with_its_reason_and_counts_for_nothing(record: dict[str, Any]) -> None:
    (only,) = record["notApplicable"]
    assert (only["items"], only["reason"]) == (["hpa-there"], "it is about a cluster")
    assert "hpa-there" not in record["items"]


def test_messages_tell_why_and_repeat_no_secret(record: dict[str, Any]) -> None:
    messages = {c["message"] for entry in record["items"].values() for c in entry["checks"] if c["message"]}
    assert any("the word is [secret]" in message for message in messages)
    assert any("no connection" in message for message in messages)
    assert any("its image can't be had" in message for message in messages)
    assert "do-not-show-me" not in json.dumps(record)


def test_the_summary_names_every_entry_and_why_it_is_not_green(record: dict[str, Any]) -> None:
    console = Console(width=160)
    with console.capture() as shown:
        console.print(verification_table(record))
    text = shown.get()
    for name in record["items"]:
        assert name in text
    assert "its image can't be had" in text
    assert summary_line(record).startswith("4 catalogue entries: 2 fail, 1 not evaluated, 1 pass; ")
    assert summary_line(record).endswith("; 1 checks are for another target")
    assert figure_lines(record) == ["first run seconds: 0.25"]
    assert not passed(record)


def test_the_entries_that_failed_are_told_with_the_first_line_of_why(record: dict[str, Any]) -> None:
    failed = [name for name, entry in record["items"].items() if entry["status"] == "fail"]
    assert [line.partition(": ")[0] for line in failures(record)] == failed
    assert all("\n" not in line and line.partition(": ")[2] for line in failures(record))


def test_a_run_without_checks_has_not_passed() -> None:
    assert not passed({"exitCode": 0, "items": {}})
    assert item_status([]) == "not evaluated"

"""The shape of log records, and what must not be in them."""

import json
import logging
from datetime import datetime
from typing import Any

import pytest

from service import cli
from service.platform.logging import bound_contextvars, configure_logging, get_logger
from tests.service.support import make_settings

pytestmark = pytest.mark.ring("unit")


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Any:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _configure(**given: Any) -> None:
    configure_logging(make_settings("postgresql://u@h/d", **({"log_level": "INFO"} | given)))


def _records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def _fail(reason: str) -> None:
    try:
        int(reason)
    except ValueError:
        get_logger("x").exception("It failed")


@pytest.mark.item("log-format-json", "log-record-fields")
def test_a_record_has_the_documented_fields(capsys: pytest.CaptureFixture[str]) -> None:
    _configure()
    with bound_contextvars(workflow_id="w-1", user_id="u-1", correlation_id="req-abc123"):
        get_logger("service.workflows").info("Workflow created", version=2)
    [record] = _records(capsys)
    assert list(record)[:7] == [
        "timestamp",
        "level",
        "logger",
        "message",
        "workflow_id",
        "user_id",
        "correlation_id",
    ]
    assert record["timestamp"].endswith("Z")
    assert datetime.fromisoformat(record["timestamp"]).tzinfo is not None
    assert record["level"] == "INFO"
    assert record["logger"] == "service.workflows"
    assert record["message"] == "Workflow created"
    assert (record["workflow_id"], record["user_id"], record["correlation_id"]) == ("w-1", "u-1", "req-abc123")
    assert record["version"] == 2


def test_records_of_libraries_have_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    _configure()
    with bound_contextvars(correlation_id="req-1"):
        logging.getLogger("uvicorn.error").warning("It is %s", "late")
    [record] = _records(capsys)
    assert (record["logger"], record["level"], record["message"]) == ("uvicorn.error", "WARNING", "It is late")
    assert record["correlation_id"] == "req-1"


def test_an_exception_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    _configure()
    _fail("broken\nin two")
    [record] = _records(capsys)
    assert "ValueError: " in record["exception"]


@pytest.mark.item("no-secrets-in-logs")
def test_secrets_are_masked_wherever_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    _configure()
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    get_logger("x").info(
        f"connect to postgresql://user:hunter2@db/x with Bearer {token}",
        password="hunter2",
        detail={"jwt_secret": "hunter2", "list": ["postgresql://u:hunter2@h", {"Authorization": "hunter2"}]},
        contact="ada@example.org",
    )
    logging.getLogger("lib").error("dsn postgresql://user:hunter2@db/x and %s", token)
    _fail("postgresql://user:hunter2@db/x")
    text = capsys.readouterr().out
    assert len(text.splitlines()) == 3
    assert "hunter2" not in text
    assert token not in text
    assert "ada@example.org" not in text
    assert "db/x" in text, "only the secret part is masked"


def test_the_level_is_the_configured_one(capsys: pytest.CaptureFixture[str]) -> None:
    _configure(log_level="WARNING")
    get_logger("x").info("not shown")
    get_logger("x").warning("shown")
    assert [record["message"] for record in _records(capsys)] == ["shown"]


def test_a_trouble_that_the_kafka_library_mends_by_itself_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    _configure()
    logging.getLogger("aiokafka.consumer.group_coordinator").error("Group Coordinator Request failed")
    assert [record["level"] for record in _records(capsys)] == ["WARNING"]


def test_a_crash_of_a_process_is_one_record(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_settings: object) -> int:
        raise RuntimeError("postgresql://user:hunter2@db/x")

    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setenv("KAFKA_BROKERS", "h:1")
    monkeypatch.setattr("service.cli._relay", crash)
    assert cli.main(["relay"]) == 1
    [record] = _records(capsys)
    assert record["level"] == "CRITICAL"
    assert "RuntimeError" in record["exception"]
    assert "hunter2" not in record["exception"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    _configure(log_format="text")
    get_logger("x").warning("Something", password="hunter2")
    out = capsys.readouterr().out
    assert "Something" in out
    assert "hunter2" not in out
    with pytest.raises(json.JSONDecodeError):
        json.loads(out)

"""The log of a run on the command line and by the client: shown, and followed until the run has ended."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.service.client_support import RUN, Clock, Start, answer, answering, apart
from wfm.cli import main

pytestmark = pytest.mark.ring("unit")

RUN_ID = RUN["id"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    apart(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Start:
    return answering(monkeypatch)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    found.install(monkeypatch)
    return found


def line(message: str, **more: Any) -> dict[str, Any]:
    known = {"at": "2030-01-01T00:00:00Z", "level": "info", "step_id": None, "attempt": None, "fields": {}}
    return {**known, "message": message, **more}


def page(*lines: dict[str, Any], following: str | None = None, latest: str = "7", status: str = "completed") -> Any:
    return answer({"items": list(lines), "size": 2, "next": following, "latest": latest, "run_status": status})


def test_all_pages_are_shown_a_line_each_with_step_and_fields(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    spoken = line("two\nlines", step_id="a", attempt=2, level="warning", fields={"code": "x", "n": [1]})
    answers = api(page(line("one\x1b[2J"), following="5"), page(spoken))
    assert main.run(["runs", "logs", RUN_ID, "--step", "a", "--level", "info"]) == 0
    shown = [each[20:] for each in capsys.readouterr().out.splitlines()]
    assert shown == ["info    one\N{REPLACEMENT CHARACTER}[2J", 'warning a try 2: two lines code="x" n=[1]']
    assert [dict(request.url.params) for request in answers.requests] == [
        {"step": "a", "level": "info"},
        {"step": "a", "level": "info", "cursor": "5"},
    ]


def test_programs_get_a_list(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    api(page(line("one"), line("two")))
    assert main.run(["runs", "logs", RUN_ID, "--json"]) == 0
    assert [each["message"] for each in json.loads(capsys.readouterr().out)] == ["one", "two"]


def test_following_asks_from_where_it_was_until_the_run_has_ended(
    api: Start, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = api(
        page(line("one"), latest="3", status="running"),
        page(latest="3", status="running"),
        page(line("two"), following="4", latest="4", status="completed"),
        page(line("three"), latest="5", status="completed"),
    )
    assert main.run(["runs", "logs", RUN_ID, "--follow", "--json"]) == 0
    assert [json.loads(each)["message"] for each in capsys.readouterr().out.splitlines()] == ["one", "two", "three"]
    assert [request.url.params.get("cursor") for request in answers.requests] == [None, "3", "3", "4"]
    assert len(clock.pauses) == 2, "a further page is asked for at once"


def test_following_ends_with_4_where_the_run_takes_longer(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    running = page(latest="0", status="running")
    api(running, running, running, answer({**RUN, "status": "running"}))
    assert main.run(["runs", "logs", RUN_ID, "-f", "--wait-seconds", "2"]) == 4
    assert "is running after 2 s of waiting; it goes on" in capsys.readouterr().err


def test_an_interrupt_leaves_the_run_alone(
    api: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_clock: Clock, _seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Clock, "pause", interrupt)
    Clock().install(monkeypatch)
    api(page(status="running"))
    assert main.run(["runs", "logs", RUN_ID, "-f"]) == 130
    assert f"mend:  wfm runs logs {RUN_ID} -f" in capsys.readouterr().err

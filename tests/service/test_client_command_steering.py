"""Commands that steer: runs watched, decided about and done again, webhooks with their secrets, dead letters, kinds."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.client_support import (
    RUN,
    Answer,
    Clock,
    Start,
    answer,
    answering,
    apart,
    page,
    problem,
    run_told,
    stream,
    told,
)
from wfm.cli import main

pytestmark = pytest.mark.ring("unit")

RUN_ID = RUN["id"]
TAKEN: dict[str, Any] = {
    "run_id": RUN_ID,
    "workflow_id": RUN_ID,
    "workflow_version": 1,
    "created_at": RUN["created_at"],
}
AGAIN = answer({**TAKEN, "status": "queued", "origin_run_id": RUN_ID}, 202)
HOOK: dict[str, Any] = {
    "id": RUN_ID,
    "name": "pager",
    "url": "https://pager.example/in",
    "events": ["run.failed"],
    "workflow_id": None,
    "created_at": RUN["created_at"],
    "updated_at": RUN["created_at"],
    "created_by": "ada",
    "disabled_at": None,
    "disabled_reason": None,
    "failing_since": None,
    "rotated_at": None,
}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    found.install(monkeypatch)
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    apart(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Start:
    return answering(monkeypatch)


def test_a_wait_goes_on_while_the_run_is_paused_or_waits(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"id": "ask", "status": "waiting"}
    waits = {**RUN, "status": "waiting", "steps": [asked, {"id": "go", "status": "completed"}]}
    api(answer({**RUN, "status": "paused"}), answer(waits), answer({**RUN, "status": "completed"}))
    assert main.run(["runs", "wait", RUN_ID]) == 0
    assert f"run {RUN_ID} is waiting, 1 of 2 steps done, to be decided ask" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 5), ("cancelled", 5)])
def test_watching_tells_each_change_and_ends_as_the_run_did(
    api: Start, status: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": "http-status", "detail": "it answered\x1b 500"}
    times = {"started_at": "2030-01-01T00:00:00Z", "finished_at": "2030-01-01T00:00:01.5Z"}
    step = told("step", 2, id="a", status="failed", attempt=2, error=error, **times)
    over = run_told(3, status, None if status == "completed" else error) + told("end", 4, status=status)
    answers = api(stream(run_told(1, "running") + step + over))
    assert main.run(["runs", "watch", RUN_ID]) == code
    captured = capsys.readouterr()
    assert captured.out.splitlines()[:2] == [
        f"run {RUN_ID} is running",
        "step a is failed at try 2 after 1.5 s: it answered� 500",
    ]
    assert (f"run {RUN_ID} is {status}" in captured.err) is (code != 0)
    assert len(answers.requests) == 1


def test_watching_gives_programs_a_line_for_each_event(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    api(stream(run_told(1, "completed") + told("end", 2, status="completed")))
    assert main.run(["runs", "watch", RUN_ID, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["event"], each["id"], each["data"]["status"]) for each in found] == [
        ("run", "1", "completed"),
        ("end", "2", "completed"),
    ]


def test_watching_from_a_later_place_still_ends_as_the_run_did(api: Start) -> None:
    answers = api(httpx.Response(204), answer({**RUN, "status": "failed"}))
    assert main.run(["runs", "watch", RUN_ID, "--after", "9"]) == 5
    assert answers.requests[0].headers["Last-Event-ID"] == "9"


def test_watching_in_vain_ends_with_4(api: Start, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    def silence() -> None:
        clock.now += 10
        raise httpx.ReadTimeout("late")

    api(stream(run_told(1, "running"), silence), answer({**RUN, "status": "running"}))
    assert main.run(["runs", "watch", RUN_ID, "--wait-seconds", "10"]) == 4
    assert "is running after 10 s of waiting; it goes on" in capsys.readouterr().err


def test_an_interrupt_ends_the_watching_and_not_the_run(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    answers = api(stream(run_told(1, "running"), interrupt))
    assert main.run(["runs", "watch", RUN_ID]) == 130
    assert f"mend:  wfm runs watch {RUN_ID}" in capsys.readouterr().err
    assert {each.method for each in answers.requests} == {"GET"}


def test_a_decision_is_sent_with_its_comment_and_data(api: Start) -> None:
    answers = api(answer({"run_id": RUN_ID, "step_id": "ask", "outcome": "approve", "status": "queued"}, 202))
    words = ["runs", "signal", RUN_ID, "ask", "approve"]
    assert main.run([*words, "--comment", "fine", "--set", "amount=5"]) == 0
    assert main.run(words) == 0
    assert answers.bodies == [{"outcome": "approve", "comment": "fine", "data": {"amount": 5}}, {"outcome": "approve"}]


def test_a_replay_has_the_input_of_its_run_with_what_is_set(api: Start) -> None:
    answers = api(answer({**RUN, "status": "failed", "input": {"name": "Ada", "n": 1}}), AGAIN)
    assert main.run(["runs", "replay", RUN_ID, "--set", "name=Bob", "--current"]) == 0
    assert json.loads(answers.requests[-1].content) == {"version": "current", "input": {"name": "Bob", "n": 1}}
    answers = api(AGAIN)
    assert main.run(["runs", "replay", RUN_ID]) == 0
    assert answers.bodies == [{}]


@pytest.mark.parametrize("words", [["retry"], ["replay"]])
def test_a_run_that_is_done_again_can_be_waited_for(api: Start, words: list[str]) -> None:
    answers = api(AGAIN, answer({**RUN, "status": "failed"}))
    assert main.run(["runs", *words, RUN_ID, "--wait", "--idempotency-key", "once"]) == 5
    assert [each.headers.get("Idempotency-Key") for each in answers.requests] == ["once", None]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["webhooks", "create", "--set", "name=pager", "--event", "run.failed"], []),
        (["webhooks", "rotate-secret", "pager"], [page(HOOK)]),
    ],
)
def test_the_secret_of_a_webhook_goes_where_it_is_asked_for(
    api: Start, folder: Path, words: list[str], found: list[Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = answer(HOOK | {"secret": "whsec_hidden"}, 201)
    api(*found, secret)
    assert main.run([*words, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["secret"] == "whsec_hidden"
    assert "whsec_hidden" not in captured.err
    api(*found, secret)
    file = folder / "pager.secret"
    assert main.run([*words, "--json", "--to", str(file)]) == 0
    captured = capsys.readouterr()
    assert "whsec_hidden" not in captured.out + captured.err
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("whsec_hidden\n", 0o600)
    answers = api(*found, secret)
    assert main.run([*words, "--to", str(file)]) == 2
    assert {each.method for each in answers.requests} <= {"GET"}


def test_no_file_is_left_of_a_secret_that_was_refused(api: Start, folder: Path) -> None:
    api(problem(409, "webhooks-off"))
    assert main.run(["webhooks", "create", "--set", "name=p", "--to", str(folder / "secret")]) == 1
    assert not (folder / "secret").exists()


def test_a_webhook_of_which_one_field_is_changed_keeps_the_others(api: Start) -> None:
    answers = api(page(HOOK), answer(HOOK), answer(HOOK))
    assert main.run(["webhooks", "update", "pager", "--event", "run.completed"]) == 0
    assert json.loads(answers.requests[-1].content) == {
        "name": "pager",
        "url": "https://pager.example/in",
        "events": ["run.completed"],
        "workflow_id": None,
    }


@pytest.mark.parametrize(("encoding", "payload"), [("utf-8", "a\x1bb"), ("base64", "YRti")])
def test_the_payload_of_a_dead_letter_is_shown_safely_or_written_as_it_is(
    api: Start, folder: Path, encoding: str, payload: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api(answer({"encoding": encoding, "payload": payload, "kept": "beginning"}))
    assert main.run(["dead-letters", "payload", RUN_ID]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    assert "not all of it was kept: beginning" in captured.err
    assert main.run(["dead-letters", "payload", RUN_ID, "--to", str(folder / "letter")]) == 0
    assert (folder / "letter").read_bytes() == b"a\x1bb"


def test_a_kind_of_agents_that_is_not_there_is_told_with_those_that_are(
    api: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = {"type": "object", "required": ["url"]}
    api(answer({"items": [{"kind": "http", "package": None, "settings_schema": schema}]}))
    assert main.run(["agents", "kinds"]) == 0
    assert "url" not in capsys.readouterr().out
    assert main.run(["agents", "kinds", "http", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings_schema"] == schema
    assert main.run(["agents", "kinds", "htp"]) == 3
    assert "mend:  there are: http" in capsys.readouterr().err

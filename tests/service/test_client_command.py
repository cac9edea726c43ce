"""The command ``wfm`` as it is typed, against prepared answers: usage, output, exit codes, who asks, what is kept."""

import json
import stat
from pathlib import Path

import httpx
import pytest
import typer.main

from tests.service.client_support import AGENT, RUN, Answer, Clock, Start, answer, answering, apart, page, problem
from wfm.cli import main
from wfm.cli.access import Access, Given, resolve
from wfm.cli.exits import CliError
from wfm.cli.profiles import Profile, load, save
from wfm.cli.show import plain

pytestmark = pytest.mark.ring("unit")

RUN_ID = RUN["id"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    apart(tmp_path, monkeypatch)
    Clock().install(monkeypatch)
    return tmp_path


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Start:
    return answering(monkeypatch)


def _commands() -> list[list[str]]:
    found = []
    for name, command in typer.main.get_command(main.app).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        found += [[name, inner] for inner in below] if below else [[name]]
    return found


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_command_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"wfm {' '.join(words)}" in shown
    assert "--json" in shown


def test_all_promised_commands_are_there() -> None:
    promised = {
        "agents": {"list", "get", "create", "update", "delete", "kinds"},
        "workflows": {
            "list",
            "get",
            "create",
            "update",
            "delete",
            "apply",
            "validate",
            "plan",
            "limits",
            "execute",
            "execute-many",
        },
        "runs": {"list", "get", "wait", "watch", "logs", "cancel", "pause", "resume", "signal", "retry", "replay"},
        "schedules": {"list", "get", "create", "update", "delete", "next", "preview", "pause", "resume"},
        "webhooks": {"list", "get", "create", "update", "delete", "enable", "disable"},
        "dead-letters": {"list", "get", "payload", "requeue", "discard"},
        "keys": {"list", "create", "revoke"},
        "audit": {"list"},
    }
    there = _commands()
    assert {(name, inner) for name, all_of in promised.items() for inner in all_of} <= {tuple(words) for words in there}
    assert {"login", "logout", "whoami", "health", "profiles"} <= {words[0] for words in there}


def test_no_option_takes_a_secret_itself() -> None:
    for words in _commands():
        command = typer.main.get_command(main.app)
        for word in words:
            command = command.commands[word]  # type: ignore[attr-defined]
        names = {name for each in command.params for name in each.opts}
        assert not names & {"--password", "--api-key", "--token", "--key", "--secret"}, words


def test_a_list_is_json_yaml_or_a_table(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    api(page(AGENT))
    assert main.run(["agents", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["settings"] == {"seconds": 1}
    assert main.run(["agents", "list", "-o", "yaml"]) == 0
    assert "- created_at: '2030-01-01T00:00:00Z'" in capsys.readouterr().out
    assert main.run(["agents", "list"]) == 0
    table = capsys.readouterr().out
    assert table.split()[:4] == ["name", "kind", "id", "updated"]
    assert "\x1b" not in table


def test_an_unknown_format_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["agents", "list", "-o", "xml"]) == 2
    assert "must be table, json or yaml" in capsys.readouterr().err


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["fly"]) == 2
    assert "No such command 'fly'" in capsys.readouterr().err


def test_more_than_the_limit_is_told(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    api(page(*({**AGENT, "name": name} for name in "abc"), size=3))
    assert main.run(["agents", "list", "-n", "2", "--json"]) == 0
    captured = capsys.readouterr()
    assert [each["name"] for each in json.loads(captured.out)] == ["a", "b"]
    assert "the first 2; --all shows all" in captured.err


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (problem(403, "forbidden"), 1),
        (problem(401, "unauthenticated"), 1),
        (problem(404, "not-found"), 3),
        (problem(503, "unavailable"), 4),
        (httpx.ConnectError("refused"), 4),
        (httpx.ReadTimeout("late"), 4),
        (httpx.Response(200, text="hello"), 4),
    ],
)
def test_the_exit_code_tells_what_happened(
    api: Start, given: Answer, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    api(given)
    assert main.run(["runs", "get", RUN_ID]) == code
    assert capsys.readouterr().err.startswith("error: ")


def test_what_is_called_alike_is_proposed(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    api(page({**AGENT, "name": "mailer"}))
    assert main.run(["agents", "get", "mailr"]) == 3
    assert capsys.readouterr().err.splitlines() == ["error: there is no agent called 'mailr'", "mend:  is it mailer?"]


def test_a_wrong_field_is_told_with_its_line(api: Start, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "agent.yaml"
    file.write_text("name: a\nkind: http\nsettings:\n  url: nowhere\n")
    api(
        problem(422, "validation", errors=[{"field": "settings.url", "message": "is no address"}], correlation_id="r-1")
    )
    assert main.run(["agents", "create", "-f", str(file)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[1] == f"  {file}:4: settings.url: is no address"
    assert said[2] == "trace: 422 validation, correlation id r-1"


def test_an_update_without_a_file_changes_only_what_is_set(api: Start) -> None:
    answers = api(page(AGENT), answer(AGENT))
    assert main.run(["agents", "update", "wait", "--set", "settings.seconds=5"]) == 0
    assert json.loads(answers.requests[-1].content) == {"name": "wait", "kind": "delay", "settings": {"seconds": 5}}


WORKFLOW = {
    "id": RUN["workflow_id"],
    "name": "hello",
    "description": "",
    "version": 1,
    "created_at": "2026-03-29T01:00:00Z",
    "updated_at": "2026-03-29T01:00:00Z",
}
NO_LIMITS = {"max_running": None, "max_starts": None, "per_seconds": None}


def test_limits_without_options_are_shown(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    answers = api(page(WORKFLOW), answer(NO_LIMITS | {"max_running": 3}))
    assert main.run(["workflows", "limits", "hello", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["max_running"] == 3
    assert [each.method for each in answers.requests] == ["GET", "GET"]


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--max-running", "5"], {"max_running": 5}),
        (["--max-starts", "100", "--per-seconds", "60"], {"max_starts": 100, "per_seconds": 60}),
        (["--none"], {}),
    ],
)
def test_limits_are_set_to_what_the_options_say(options: list[str], body: dict[str, int], api: Start) -> None:
    answers = api(page(WORKFLOW), answer(NO_LIMITS | body))
    assert main.run(["workflows", "limits", "hello", *options]) == 0
    assert answers.requests[-1].method == "PUT"
    assert json.loads(answers.requests[-1].content) == body


def test_limits_cannot_be_set_and_taken_away_at_once(api: Start) -> None:
    answers = api()
    assert main.run(["workflows", "limits", "hello", "--none", "--max-running", "5"]) == 2
    assert answers.requests == []


def test_nothing_is_deleted_when_nobody_can_be_asked(
    api: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    answers = api(page(AGENT))
    assert main.run(["agents", "delete", "wait"]) == 2
    assert "mend:  add --yes" in capsys.readouterr().err
    assert {each.method for each in answers.requests} == {"GET"}


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 5), ("cancelled", 5)])
def test_waiting_ends_as_the_run_did(api: Start, status: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    api(answer({**RUN, "status": "running"}), answer({**RUN, "status": status}))
    assert main.run(["runs", "wait", RUN_ID, "--json"]) == code
    captured = capsys.readouterr()
    assert json.loads(captured.out)["status"] == status
    assert f"run {RUN_ID} is running, 0 of 0 steps done" in captured.err


def test_waiting_in_vain_ends_with_4_and_says_how_to_go_on(api: Start, capsys: pytest.CaptureFixture[str]) -> None:
    api(answer({**RUN, "status": "running"}))
    assert main.run(["runs", "wait", RUN_ID, "--wait-seconds", "20"]) == 4
    assert f"mend:  wfm runs wait {RUN_ID}" in capsys.readouterr().err


def test_an_interrupt_leaves_the_run_alone_and_says_so(
    api: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    answers = api(answer({**RUN, "status": "running"}))
    monkeypatch.setattr("wfm.client.time.sleep", interrupt)
    assert main.run(["runs", "wait", RUN_ID]) == 130
    said = capsys.readouterr().err
    assert f"interrupted; run {RUN_ID} goes on" in said
    assert f"mend:  wfm runs wait {RUN_ID}" in said
    assert {each.method for each in answers.requests} == {"GET"}


def test_what_is_not_valid_is_not_applied(api: Start, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder / "flows.yaml"
    file.write_text("name: good\nsteps: [{id: a, agent: wait}]\n---\nname: bad\nsteps: []\n")
    wrong = {"valid": False, "problems": [{"field": "steps", "message": "is empty"}]}
    answers = api(answer({"valid": True, "problems": []}), answer(wrong))
    assert main.run(["workflows", "apply", "-f", str(file)]) == 1
    assert f"{file}:5: steps: is empty" in capsys.readouterr().err
    assert {each.url.path for each in answers.requests} == {"/api/v1/workflows/validate"}


def test_a_name_cannot_move_the_terminal() -> None:
    assert plain("a\x1b[2Jb\u202ec\nd") == "a�[2Jb�c\nd"


def test_options_come_before_variables_and_these_before_the_profile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder / "config.yaml", {"default": Profile(url="http://profile", api_key="of-profile")})
    assert resolve(Given()).secrets == {"api_key": "of-profile"}
    monkeypatch.setenv("WFM_TOKEN", "of-variable")
    assert resolve(Given()).secrets == {"token": "of-variable"}
    (folder / "secret").write_text("of-option\n")
    assert resolve(Given(api_key_file=folder / "secret")).secrets == {"api_key": "of-option"}
    assert resolve(Given(username="bob", password_file=folder / "secret")).secrets == {
        "username": "bob",
        "password": "of-option",
    }


def test_the_secret_of_one_server_is_not_told_to_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder / "config.yaml", {"default": Profile(url="http://mine", ca_file="/ca", api_key="k")})
    assert resolve(Given(url="http://other")).secrets == {}
    monkeypatch.setenv("WFM_URL", "http://other")
    assert (resolve(Given()).secrets, resolve(Given()).ca_file) == ({}, None)


def test_the_file_with_profiles_is_its_owners(folder: Path) -> None:
    path = folder / "deep" / "config.yaml"
    save(path, {"default": Profile(url="http://mine", api_key="k")})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path) == {"default": Profile(url="http://mine", api_key="k")}
    path.chmod(0o644)
    with pytest.raises(CliError, match="others may read it"):
        load(path)


@pytest.mark.parametrize("text", ["[", "1", "profiles: {a: {colour: red}}", "profiles: {a: {url: 5}}"])
def test_a_file_with_profiles_that_cannot_be_used_is_refused(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)
    with pytest.raises(CliError, match=r"config\.yaml"):
        load(folder / "config.yaml")


def test_an_unknown_profile_is_told_with_the_known_ones(folder: Path) -> None:
    save(folder / "config.yaml", {"prod": Profile(url="http://mine")})
    with pytest.raises(CliError, match="there are: prod"):
        resolve(Given(profile="prd"))


def test_secrets_that_would_go_in_the_open_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    def warned(url: str, *, insecure: bool = False) -> str:
        Access(url, None, insecure, 1, {"api_key": "k"}, "default").client().close()
        return capsys.readouterr().err

    assert "is not encrypted" in warned("http://workflow.example")
    assert warned("http://127.0.0.1:8000") == ""
    assert warned("https://workflow.example") == ""
    assert "NOT verified" in warned("https://workflow.example", insecure=True)


def test_logging_in_keeps_the_address_and_no_secret(api: Start, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WFM_API_KEY", "hidden")
    api(answer({"subject": "key:1", "kind": "api_key", "role": "viewer", "scopes": None, "expires_at": None}))
    assert main.run(["login", "--url", "http://localhost:8000"]) == 0
    assert load(folder / "config.yaml") == {"default": Profile(url="http://localhost:8000")}
    assert main.run(["login", "--store", "--profile", "other", "--url", "http://localhost:8000"]) == 0
    assert load(folder / "config.yaml")["other"].api_key == "hidden"


def test_profiles_are_listed_without_their_secrets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder / "config.yaml", {"default": Profile(url="http://mine", api_key="hidden")})
    assert main.run(["profiles", "--json"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown)[0]["secret"] == "API key"
    assert "hidden" not in shown

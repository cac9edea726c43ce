"""The commands as they are typed: usage, exit codes, one line of reason and one of mend."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops import cli
from ops.errors import OperatorError
from ops.records import KEPT, CommandLog
from ops.rings import RINGS, find
from ops.testing import Outcome, closing_lines

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).resolve().parents[2]
VERBS = sorted(
    str(command.name or getattr(command.callback, "__name__", "")) for command in cli.app.registered_commands
)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(cli.signal, "signal", lambda *_arguments: None)


def _explained(captured: pytest.CaptureFixture[str]) -> tuple[str, str]:
    reason, mend = captured.readouterr().err.splitlines()
    return reason.removeprefix("error: "), mend.removeprefix("mend:  ")


def test_all_promised_verbs_are_there() -> None:
    promised = {"dev", "status", "logs", "migrate", "health", "stop", "verify", "destroy", "test", "env", "setup"}
    promised |= {"prod", "push", "rollback", "releases", "backup", "restore-drill", "bench"}
    assert promised <= set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    shown = "wfm" if verb == "wfm" else f"deploy-api.sh {verb}"
    assert shown in capsys.readouterr().out


def test_the_front_door_hands_over_to_the_command_of_the_api(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["wfm", "agents", "list", "-o", "xml"]) == 2
    assert "must be table, json or yaml" in capsys.readouterr().err


def test_a_wrong_verb_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fly"]) == 2
    assert "No such command 'fly'" in capsys.readouterr().err


def test_an_unknown_stack_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up", "nowhere"]) == 1
    reason, mend = _explained(capsys)
    assert "Pulumi.nowhere.yaml does not exist" in reason
    assert mend


def test_destroying_asks_and_without_anybody_there_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["destroy", "dev"]) == 1
    assert _explained(capsys)[1] == "add --yes"


def test_a_password_is_not_written_into_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["password"]) == 1
    assert _explained(capsys)[1] == "add --show"


def test_an_unknown_ring_is_named_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["test", "--ring", "moon"]) == 1
    reason, mend = _explained(capsys)
    assert reason == "there is no ring moon"
    assert "unit" in mend


def test_env_as_json_is_what_the_shell_gets(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env", "--json"]) == 0
    variables = json.loads(capsys.readouterr().out)
    assert variables["PULUMI_BACKEND_URL"].startswith("file://")
    assert set(variables) >= {"PATH", "PULUMI_HOME", "PULUMI_PYTHON_CMD", "VIRTUAL_ENV"}


def _make_env_raise(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(_command: str) -> None:
        raise error

    monkeypatch.setattr("ops.cli_machine.context_of", fail)


def test_an_interrupt_ends_with_130_and_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_env_raise(monkeypatch, KeyboardInterrupt())
    assert cli.main(["env"]) == 130
    assert "can be run again" in capsys.readouterr().err


def test_a_full_disk_anywhere_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _make_env_raise(monkeypatch, OSError(28, "No space left on device", "/some/file"))
    assert cli.main(["env"]) == 1
    assert _explained(capsys)[0] == "the disk is full (/some/file)"


def test_failures_of_other_packages_bring_their_own_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from airgap.errors import AirgapError

    _make_env_raise(monkeypatch, AirgapError("no Go compiler", "install Go 1.26"))
    assert cli.main(["env"]) == 1
    assert _explained(capsys) == ("no Go compiler", "install Go 1.26")


def test_the_unexpected_is_short_here_and_long_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("something never seen")

    monkeypatch.setattr("ops.environment.pulumi_environment", fail)
    assert cli.main(["env"]) == 70
    reason, mend = _explained(capsys)
    assert reason == "unexpected RuntimeError: something never seen"
    log = Path(mend.rsplit(" ", 1)[-1])
    assert log.parent == tmp_path / "home" / "logs"
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_the_command_runs_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import ops.cli; "
         "sys.exit(ops.cli.main(['--help']))"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_old_logs_make_room_for_new_ones(tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        (tmp_path / f"20200101-0000{number:02d}-up.log").touch()
    log = CommandLog(tmp_path, "up")
    log.write("first")
    assert len(list(tmp_path.glob("*.log"))) == KEPT
    assert "first" in log.path.read_text()


def test_an_operators_error_is_always_one_line() -> None:
    error = OperatorError("first\nsecond", "third\n fourth")
    assert (error.reason, error.mend) == ("first second", "third fourth")


def test_long_rings_are_run_only_when_named() -> None:
    assert [ring.name for ring in find([])] == ["lint", "unit", "airgap", "images", "service", "stack", "cluster"]
    assert [ring.name for ring in find(["faults", "lint"])] == ["lint", "faults"]


def test_the_closing_lines_say_what_was_run_and_what_was_not() -> None:
    lint, unit, airgap = RINGS[:3]
    lines = closing_lines([Outcome(lint, 2.0), Outcome(unit, 65.0, "it has no tests")], [lint, unit, airgap])
    assert lines == [
        "✓ lint             2.0 s",
        "✗ unit        1 min 05 s  it has no tests",
        "- airgap   not run",
        "2 of 3 rings run in 1 min 07 s: FAILED: unit",
    ]

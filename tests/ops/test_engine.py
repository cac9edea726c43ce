"""Running the Pulumi CLI, played here by a script that records how it was called."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.engine import Engine, without_outputs
from ops.errors import OperatorError
from ops.events import Changes, EventReader
from ops.home import Home
from ops.stack_config import drop_salt

pytestmark = pytest.mark.ring("unit")

FAKE = """#!{python}
import json, os, signal, sys, time
arguments = sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(arguments) + "\\n")
play = json.load(open({play!r}))
verb = " ".join(a for a in arguments[:2] if not a.startswith("-"))
act = next((play[name] for name in (verb, arguments[0]) if name in play), {{}})
if "--event-log" in arguments:
    with open(arguments[arguments.index("--event-log") + 1], "w") as log:
        for event in act.get("events", []):
            log.write(json.dumps(event) + "\\n")
if act.get("hang"):
    signal.signal(signal.SIGINT, lambda *_: sys.exit(255))
    print("hanging", file=open({calls!r}, "a"))
    while True:
        time.sleep(0.05)
if act.get("salt"):
    open(act["salt"], "a").write("encryptionsalt: v1:abc\\n")
print(act.get("stdout", "[]"))
print(act.get("stderr", ""), file=sys.stderr)
sys.exit(act.get("code", 0))
"""


class Play:
    """A home with a scripted CLI in it."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root / "home").make()
        self.project = root / "project"
        self.project.mkdir()
        self.config = self.project / "Pulumi.dev.yaml"
        self.config.write_text("# by hand\nconfig:\n  workflow-platform:target: docker\n")
        self.calls_file, self.play_file = root / "calls", root / "play.json"
        cli = self.home.pulumi / "bin" / "pulumi"
        cli.parent.mkdir()
        cli.write_text(FAKE.format(python=sys.executable, calls=str(self.calls_file), play=str(self.play_file)))
        cli.chmod(0o755)
        self.log: list[str] = []
        self.does({})

    def does(self, play: dict[str, Any]) -> None:
        self.play_file.write_text(json.dumps(play))

    def engine(self, seconds: float = 30) -> Engine:
        environ = {"PATH": "/usr/bin:/bin", "WORKFLOW_VENV": "/nowhere", "PULUMI_CONFIG_PASSPHRASE": "do-not-show-me"}
        return Engine(self.home, self.project, environ, self.log.append, seconds)

    @property
    def calls(self) -> list[list[str]]:
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [json.loads(line) for line in lines if line.startswith("[")]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


def _event(kind: str, operation: str, name: str) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::workflow-platform::docker:index/container:Container::{name}"
    return {kind: {"metadata": {"op": operation, "urn": urn, "type": "docker:index/container:Container"}}}


def test_an_operation_reports_its_steps_and_returns_its_changes(play: Play) -> None:
    events = [
        _event("resourcePreEvent", "create", "kafka"),
        _event("resOutputsEvent", "create", "kafka"),
        _event("resourcePreEvent", "same", "postgres"),
        {"summaryEvent": {"resourceChanges": {"create": 1, "same": 4}}},
    ]
    play.does({"up": {"events": events}})
    said: list[str] = []
    changes = play.engine().up("dev", said.append)
    assert said == ["creating kafka", "created kafka"]
    assert (changes.counts, changes.total, changes.drift) == ({"create": 1, "same": 4}, 1, {"kafka": "create"})
    assert str(changes) == "1 create, 4 unchanged"


def test_a_failed_operation_is_told_by_its_first_error(play: Play) -> None:
    error = {
        "severity": "error",
        "urn": "urn:pulumi:dev::workflow-platform::docker:index/container:Container::kafka",
        "message": "<{%reset%}>creating failed:\nno such image<{%reset%}>\n",
    }
    play.does({"up": {"code": 255, "events": [{"diagnosticEvent": error}], "stderr": "error: update failed"}})
    with pytest.raises(OperatorError) as failed:
        play.engine().up("dev")
    assert failed.value.reason == "up of stack dev failed: kafka: creating failed: no such image"
    assert failed.value.mend


def test_what_a_policy_forbids_is_told_before_anything_else(play: Play) -> None:
    urn = "urn:pulumi:dev::workflow-platform::docker:index/container:Container::kafka"
    finding = {"policyName": "container-hardening", "resourceUrn": urn, "message": "<{%fg 1%}>privileged:\nit is\n"}
    events = [
        {"policyEvent": {**finding, "enforcementLevel": "advisory", "policyName": "log-rotation"}},
        {"policyEvent": {**finding, "enforcementLevel": "mandatory"}},
        {"diagnosticEvent": {"severity": "error", "message": "update failed", "urn": ""}},
    ]
    play.does({"preview": {"code": 255, "events": events}})
    with pytest.raises(OperatorError) as failed:
        play.engine().preview("dev", policy_pack=Path("policies"))
    told = "preview of stack dev failed: policy container-hardening: kafka: privileged: it is"
    assert failed.value.reason == told
    assert "policy explain" in failed.value.mend
    assert play.calls[-1][play.calls[-1].index("--policy-pack") + 1] == "policies"


def test_a_program_that_raised_is_told_by_its_exception(play: Play) -> None:
    text = (
        "Program failed with an unhandled exception:\nTraceback (most recent call last):\n  File x\nStackError: refused"
    )
    event = {"diagnosticEvent": {"severity": "error", "message": text, "urn": ""}}
    play.does({"preview": {"code": 1, "events": [event]}})
    with pytest.raises(OperatorError, match="preview of stack dev failed: StackError: refused"):
        play.engine().preview("dev")


def test_no_secret_is_an_argument(play: Play) -> None:
    play.does({"stack output": {"stdout": '{"adminPassword": "do-not-show-me"}'}})
    engine = play.engine()
    engine.ensure("dev")
    engine.up("dev")
    assert engine.outputs("dev", secrets=True) == {"adminPassword": "do-not-show-me"}
    assert "do-not-show-me" not in json.dumps(play.calls)
    assert "do-not-show-me" not in "\n".join(play.log)


def test_a_failed_read_of_secret_outputs_logs_none_of_them(play: Play) -> None:
    play.does({"stack output": {"stdout": '{"adminPassword": "do-not-show-me"}', "code": 1}})
    with pytest.raises(OperatorError):
        play.engine().outputs("dev", secrets=True)
    assert "do-not-show-me" not in "\n".join(play.log)


def test_a_destroy_that_keeps_something_imports_the_state_without_the_outputs(play: Play) -> None:
    play.does({"stack export": {"stdout": json.dumps({"version": 3, "deployment": {"resources": []}})}})
    play.engine().destroy("dev", keep=("**::secret", "**::authority"))
    words = next(call for call in play.calls if call[0] == "destroy")
    assert words.count("--exclude") == 2
    imported = next(call for call in play.calls if call[:2] == ["stack", "import"])
    assert not Path(imported[imported.index("--file") + 1]).exists(), "the copy of the state is still there"


def test_only_the_stack_itself_loses_its_outputs() -> None:
    root = {"type": "pulumi:pulumi:Stack", "outputs": {"urls": {}}}
    drawn = {"type": "pulumi-python:dynamic:Resource", "outputs": {"value": "sealed"}}
    document = {"version": 3, "deployment": {"manifest": {}, "resources": [root, drawn]}}
    found = without_outputs(document)
    assert found == {"version": 3, "deployment": {"manifest": {}, "resources": [{**root, "outputs": {}}, drawn]}}
    assert root["outputs"], "the given document was changed"


def test_the_committed_config_is_left_as_it_was(play: Play) -> None:
    before = play.config.read_text()
    play.does({"stack init": {"salt": str(play.config)}, "up": {"salt": str(play.config)}})
    engine = play.engine()
    engine.ensure("dev")
    assert play.config.read_text() == before
    engine.up("dev")
    assert play.config.read_text() == before


def test_a_config_with_encrypted_values_keeps_its_salt(tmp_path: Path) -> None:
    config = tmp_path / "Pulumi.dev.yaml"
    config.write_text("encryptionsalt: v1:abc\nconfig:\n  workflow-platform:jwtSecret:\n    secure: v1:x\n")
    assert not drop_salt(config)
    assert "encryptionsalt" in config.read_text()


def test_a_stack_without_description_is_refused(play: Play) -> None:
    with pytest.raises(OperatorError, match=r"Pulumi\.prod\.yaml does not exist") as refused:
        play.engine().ensure("prod")
    assert "dev" in refused.value.mend


def test_a_stack_that_is_there_is_not_made_again(play: Play) -> None:
    play.does({"stack ls": {"stdout": '[{"name": "organization/workflow-platform/dev"}]'}})
    play.engine().ensure("dev")
    assert [call[:2] for call in play.calls] == [["stack", "ls"]]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Interrupts raise, as for a person at a terminal; whoever started the tests in the background has them ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_lets_pulumi_wind_up(play: Play) -> None:
    play.does({"up": {"hang": True}})
    engine = play.engine()

    def interrupt_when_hanging() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if play.calls_file.exists() and "hanging" in play.calls_file.read_text():
                os.kill(os.getpid(), signal.SIGINT)
                return
            threading.Event().wait(0.05)

    thread = threading.Thread(target=interrupt_when_hanging)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        engine.up("dev")
    thread.join(timeout=20)


def test_an_operation_that_does_not_end_is_ended(play: Play) -> None:
    play.does({"up": {"hang": True}})
    with pytest.raises(OperatorError, match="pulumi up did not end within 1 s"):
        play.engine(seconds=1).up("dev")


def test_without_the_cli_the_mend_is_the_set_up(play: Play) -> None:
    (play.home.pulumi / "bin" / "pulumi").unlink()
    with pytest.raises(OperatorError, match="CLI is not installed") as refused:
        play.engine().export("dev")
    assert "setup" in refused.value.mend


def test_a_wrong_passphrase_is_named_as_that(play: Play) -> None:
    play.does({"stack output": {"code": 1, "stderr": "error: getting secrets manager: incorrect passphrase"}})
    with pytest.raises(OperatorError, match="passphrase does not open"):
        play.engine().outputs("dev")


def _lock(play: Play, pid: int, host: str) -> None:
    folder = play.home.state / ".pulumi" / "locks" / "organization" / "workflow-platform" / "dev"
    folder.mkdir(parents=True)
    content = {"pid": pid, "username": "me", "hostname": host, "timestamp": "2026-11-22T08:00:00Z"}
    (folder / "one.json").write_text(json.dumps(content))


def test_the_lock_of_a_dead_process_is_released(play: Play) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(timeout=30)
    _lock(play, dead.pid, socket.gethostname())
    assert play.engine().release_dead_lock("dev")
    assert [call[:2] for call in play.calls] == [["cancel", "--yes"]]


def test_the_lock_of_another_machine_is_respected(play: Play) -> None:
    _lock(play, 1, "another-machine")
    with pytest.raises(OperatorError, match="Pulumi process 1 on another-machine since") as refused:
        play.engine().release_dead_lock("dev")
    assert "pulumi cancel" in refused.value.mend
    assert play.calls == []


def test_half_written_events_wait_for_their_end(tmp_path: Path) -> None:
    path, said = tmp_path / "events", list[str]()
    reader = EventReader(path, said.append)
    reader.poll()
    whole = json.dumps(_event("resourcePreEvent", "update", "api")) + "\n"
    path.write_text(whole[:30])
    reader.poll()
    assert said == []
    path.write_text(whole)
    reader.poll()
    assert said == ["updating api"]


def test_no_changes_are_said_in_words() -> None:
    assert str(Changes({"same": 12}, 1.0)) == "no changes, 12 unchanged"

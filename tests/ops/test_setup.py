"""Steps of the set-up: done once, resumable, refused in one line."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from ops.console import Progress
from ops.docker_client import EngineAbsentError, connect
from ops.errors import OperatorError
from ops.locks import exclusive
from ops.setup import docker_engine
from ops.setup.command import run
from ops.setup.disk import check_disk
from ops.setup.passphrase import make_passphrase, passphrase_ready
from ops.setup.ports import check_ports
from ops.setup.step import Step, run_steps

pytestmark = pytest.mark.ring("unit")


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(Console(file=(tmp_path / "shown").open("w")))


def _quiet(_line: str) -> None:
    pass


def _is_one_line(error: OperatorError) -> None:
    assert error.reason
    assert error.mend
    assert "\n" not in error.reason + error.mend


def _step(name: str, log: list[str], done: set[str], run: Callable[[], None] = lambda: None) -> Step:
    def act(_report: Callable[[str], None]) -> None:
        log.append(name)
        run()
        done.add(name)

    return Step(name, lambda: name in done, act)


def test_a_step_is_done_once(progress: Progress) -> None:
    log: list[str] = []
    done: set[str] = set()
    steps = [_step("first", log, done), _step("second", log, done)]
    assert run_steps(steps, progress) == ["first", "second"]
    assert run_steps(steps, progress) == []
    assert log == ["first", "second"]


def test_an_interrupted_set_up_goes_on_where_it_was(progress: Progress) -> None:
    log: list[str] = []
    done: set[str] = set()
    interrupted = [True]

    def interrupt_once() -> None:
        if interrupted.pop() if interrupted else False:
            raise KeyboardInterrupt

    steps = [_step("first", log, done), _step("second", log, done, interrupt_once), _step("third", log, done)]
    with pytest.raises(KeyboardInterrupt):
        run_steps(steps, progress)
    assert done == {"first"}
    assert run_steps(steps, progress) == ["second", "third"]
    assert log == ["first", "second", "second", "third"]


def test_a_lock_names_its_holder_and_is_freed_when_the_holder_dies(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from ops.locks import exclusive\n"
        f"with exclusive(Path({str(tmp_path / 'lock')!r}), 'building', print):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(OperatorError, match=rf"building \(process {holder.pid}\) is at work") as refused,
            exclusive(tmp_path / "lock", "building", _quiet),
        ):
            pass
        _is_one_line(refused.value)
    finally:
        holder.kill()
        holder.wait(timeout=10)
    with exclusive(tmp_path / "lock", "building", _quiet, wait_seconds=5):
        assert f"process {os.getpid()}" in (tmp_path / "lock").read_text()


def test_a_full_disk_is_refused_with_the_figures(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(OperatorError, match="are needed") as refused:
        check_disk([tmp_path / "not" / "there" / "yet"], needed=free + 10**15)
    _is_one_line(refused.value)
    check_disk([tmp_path], needed=1)


def test_a_taken_port_is_named_with_its_key_and_its_holder() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OperatorError) as refused:
            check_ports({"api.publishedPort": port}, set(), "dev")
        _is_one_line(refused.value)
        assert f"port {port} (api.publishedPort of stack dev) is taken by" in refused.value.reason
        assert f"(process {os.getpid()})" in refused.value.reason
        assert "Pulumi.dev.yaml" in refused.value.mend
        check_ports({"api.publishedPort": port}, {port}, "dev")
    check_ports({"api.publishedPort": port}, set(), "dev")


def test_the_passphrase_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    assert not passphrase_ready(path, {})
    make_passphrase(path, tmp_path / "state")
    first = path.read_text()
    assert len(first) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert passphrase_ready(path, {})
    make_passphrase(path, tmp_path / "state")
    assert path.read_text() == first


def test_a_lost_passphrase_is_not_replaced_under_states_that_need_it(tmp_path: Path) -> None:
    stack = tmp_path / "state" / ".pulumi" / "stacks" / "workflow-platform" / "dev.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    with pytest.raises(OperatorError, match="can't be opened without it") as refused:
        make_passphrase(tmp_path / "passphrase", tmp_path / "state")
    _is_one_line(refused.value)
    assert not (tmp_path / "passphrase").exists()


def test_a_given_passphrase_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="PULUMI_CONFIG_PASSPHRASE_FILE names"):
        passphrase_ready(tmp_path / "own", {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "other")})
    assert passphrase_ready(tmp_path / "own", {"PULUMI_CONFIG_PASSPHRASE": "word"})


def test_an_absent_engine_is_told_from_a_dead_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineAbsentError, match="No such file"):
        connect()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/dead.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/dead.sock")
    with pytest.raises(EngineAbsentError, match="refused") as refused:
        connect()
    _is_one_line(refused.value)


def test_no_permission_on_the_engine_says_which_group_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with pytest.raises(OperatorError, match="no permission") as refused:
        docker_engine.answers()
    _is_one_line(refused.value)
    assert "group docker" in refused.value.mend


def test_only_root_is_asked_to_install_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.home import Home

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(OperatorError, match="only root") as refused:
        docker_engine.ensure(Home(tmp_path), _quiet)
    _is_one_line(refused.value)


def test_an_engine_that_was_chosen_by_address_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.home import Home

    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    with pytest.raises(OperatorError, match="DOCKER_HOST=tcp"):
        docker_engine.ensure(Home(tmp_path), _quiet)


def test_a_missing_tool_is_named_with_the_mend() -> None:
    with pytest.raises(OperatorError, match="no-such-tool could not be started") as refused:
        run(["/nowhere/no-such-tool"], _quiet, 5, "install no-such-tool")
    assert refused.value.mend == "install no-such-tool"


def test_a_command_reports_its_lines_and_explains_its_failure() -> None:
    lines: list[str] = []
    assert run(["/bin/sh", "-c", "echo one; echo two"], lines.append, 30, "-") == "one\ntwo"
    assert lines == ["one", "two"]
    with pytest.raises(OperatorError, match="E: the telling line"):
        run(["/bin/sh", "-c", "echo first; echo 'E: the telling line'; echo last; exit 3"], _quiet, 30, "-")


def test_a_command_that_does_not_end_is_ended() -> None:
    with pytest.raises(OperatorError, match="did not end within 0 s"):
        run(["/bin/sh", "-c", "read line < /dev/zero"], _quiet, 0.3, "-")

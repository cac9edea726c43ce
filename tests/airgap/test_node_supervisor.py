"""The supervisor of the node's parts, with toy processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airgap.node.processes import Identity, end, wait_until
from airgap.node.supervisor import LOG_BYTES, Part, Plan, read_state, state_processes, supervisor_of

pytestmark = pytest.mark.ring("airgap")

SLEEP = "/bin/sleep"
Start = Callable[..., "subprocess.Popen[bytes]"]


def part(name: str, *argv: str, answers_at: str = "") -> Part:
    return Part(name, list(argv) or [SLEEP, "600"], {"PATH": os.environ["PATH"]}, answers_at)


def process_of(folder: Path, name: str) -> Identity | None:
    known = read_state(folder).get("parts", {}).get(name, {}).get("process")
    return Identity(**known) if known else None


def runs(folder: Path, name: str) -> bool:
    process = process_of(folder, name)
    return process is not None and process.alive()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervisor over some parts; at the end it and its parts are gone, also when a test failed."""
    begun: list[subprocess.Popen[bytes]] = []

    def begin(*parts: Part) -> subprocess.Popen[bytes]:
        plan = tmp_path / "plan.json"
        plan.write_text(Plan(tmp_path, tmp_path, parts).text())
        begun.append(subprocess.Popen([sys.executable, "-m", "airgap.node.supervisor", str(plan)]))
        return begun[-1]

    yield begin
    for process in begun:
        process.terminate()
        process.wait(30)
    end(state_processes(tmp_path), 1)


def test_a_killed_part_comes_back_within_five_seconds(tmp_path: Path, start: Start) -> None:
    start(part("sleeper"))
    assert wait_until(lambda: runs(tmp_path, "sleeper"), 20)
    killed = process_of(tmp_path, "sleeper")
    assert killed is not None
    killed.send(signal.SIGKILL)
    assert wait_until(lambda: runs(tmp_path, "sleeper") and process_of(tmp_path, "sleeper") != killed, 5)


def test_a_part_that_ends_at_once_is_tried_again_ever_more_seldom(tmp_path: Path, start: Start) -> None:
    start(part("failing", "/bin/false"))
    assert wait_until(lambda: read_state(tmp_path).get("parts", {}).get("failing", {}).get("restarts", 0) >= 3, 20)
    assert read_state(tmp_path)["parts"]["failing"]["restarts"] < 10
    assert read_state(tmp_path)["parts"]["failing"]["last_exit"] == "code 1"


def test_a_part_starts_only_when_the_one_before_it_answers(tmp_path: Path, start: Start) -> None:
    socket_path = tmp_path / "answer"
    start(part("first", answers_at=f"unix:{socket_path}"), part("second"))
    assert wait_until(lambda: runs(tmp_path, "first"), 20)
    assert "second" not in read_state(tmp_path)["parts"]
    listen = (
        "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)"
    )
    listener = subprocess.Popen([sys.executable, "-c", listen, str(socket_path)])
    try:
        assert wait_until(lambda: runs(tmp_path, "second"), 20)
    finally:
        listener.kill()
        listener.wait()


def test_asked_to_end_it_ends_its_parts_too(tmp_path: Path, start: Start) -> None:
    supervisor = start(part("one"), part("two"))
    assert wait_until(lambda: runs(tmp_path, "two"), 20)
    processes = state_processes(tmp_path)
    supervisor.terminate()
    assert supervisor.wait(30) == 0
    assert [process for process in processes if process.alive()] == []


def test_a_second_supervisor_of_the_same_folder_refuses(tmp_path: Path, start: Start) -> None:
    start(part("sleeper"))
    assert wait_until(lambda: runs(tmp_path, "sleeper"), 20)
    assert start(part("sleeper")).wait(20) == 1


def test_after_the_supervisor_was_killed_the_next_one_starts_its_parts_anew(tmp_path: Path, start: Start) -> None:
    first = start(part("sleeper"))
    assert wait_until(lambda: runs(tmp_path, "sleeper"), 20)
    orphan = process_of(tmp_path, "sleeper")
    first.kill()
    first.wait(10)
    assert supervisor_of(tmp_path) is None
    assert orphan is not None
    assert orphan.alive()
    start(part("sleeper"))
    assert wait_until(lambda: not orphan.alive() and runs(tmp_path, "sleeper"), 20)


def test_a_log_is_kept_small(tmp_path: Path, start: Start) -> None:
    start(part("talker", "/bin/sh", "-c", f"head -c {LOG_BYTES + 1} /dev/zero; exec sleep 600"))
    log = tmp_path / "talker.log"
    assert wait_until(lambda: (tmp_path / "talker.log.1").is_file() and log.stat().st_size == 0, 30)


def test_a_number_given_out_again_is_not_taken_for_the_old_process() -> None:
    mine = Identity.of(os.getpid())
    assert mine is not None
    assert mine.alive()
    assert not Identity(mine.pid, mine.began + 1, mine.boot).alive()
    assert not Identity(mine.pid, mine.began, "another boot").alive()

"""Runs the few programs that belong into one container, and tells them when their files have changed.

A workload is one container, and a Postgres member needs two programs beside one another: Patroni, which owns the
server, and pgBackRest's own server, through which the repository host reads the data folder. A program that dies is
started again in place; ending the container instead would take a healthy Postgres down with a dead helper. A Patroni
that comes back finds its server still running and keeps the leader's lock, which outlives it by seconds. Only programs
that keep dying end the container, so that the orchestrator sees it.

Process number 1 is tini, which reaps; this file only starts, watches and stops. It knows nothing of Postgres.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 0.5
FILES_SECONDS = 5.0
RESTART_SECONDS = 2.0
RETRY_SECONDS = 10.0
DEATHS = 5
DEATHS_SECONDS = 120.0


@dataclass(frozen=True)
class Program:
    """A program, by its command; `once` for one that is done when it has succeeded."""

    name: str
    command: Sequence[str]
    once: bool = False
    reloads: bool = False
    """Whether SIGHUP makes it read its files again."""
    stop_seconds: float = 10.0


@dataclass
class _Running:
    program: Program
    process: "subprocess.Popen[bytes] | None" = None
    start_at: float = 0.0
    done: bool = False
    deaths: deque[float] = field(default_factory=deque)


def say(text: str) -> None:
    """One line for the container's log."""
    sys.stderr.write(f"supervise: {text}\n")
    sys.stderr.flush()


def fingerprint(files: Iterable[Path]) -> str:
    """Of the content of files, through symbolic links; a file that is missing counts as empty."""
    digest = hashlib.sha256()
    for path in files:
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


class Supervisor:
    """Keeps programs running until it is told to stop; the first one is the container's reason and is stopped first."""

    def __init__(self, programs: Sequence[Program], watched: Sequence[Path], clock: Callable[[], float]) -> None:
        self._all = [_Running(program) for program in programs]
        self._watched = watched
        self._seen = fingerprint(watched)
        self._looked = clock()
        self._clock = clock
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask `run` to stop everything and to return."""
        self._stop.set()

    def run(self) -> int:
        """Until it is stopped (0) or a program dies again and again (1)."""
        code = 0
        while not self._stop.is_set():
            try:
                for each in self._all:
                    self._look(each)
            except RuntimeError as error:
                say(str(error))
                code = 1
                break
            self._look_at_files()
            self._stop.wait(LOOK_SECONDS)
        for each in self._all:
            _end(each)
        return code

    def _look(self, each: _Running) -> None:
        now = self._clock()
        if each.process is None:
            if not each.done and now >= each.start_at:
                # A group of its own, so that a signal to one program never reaches another.
                each.process = subprocess.Popen(list(each.program.command), start_new_session=True)
            return
        ended = each.process.poll()
        if ended is None:
            return
        each.process = None
        if each.program.once:
            each.done = ended == 0
            each.start_at = now + RETRY_SECONDS
            return
        each.deaths.append(now)
        while now - each.deaths[0] > DEATHS_SECONDS:
            each.deaths.popleft()
        if len(each.deaths) > DEATHS:
            raise RuntimeError(
                f"{each.program.name} ended {len(each.deaths)} times within {DEATHS_SECONDS:g} s; giving up"
            )
        say(f"{each.program.name} ended with code {ended}; starting it again")
        each.start_at = now + RESTART_SECONDS

    def _look_at_files(self) -> None:
        now = self._clock()
        if now - self._looked < FILES_SECONDS:
            return
        self._looked = now
        found = fingerprint(self._watched)
        if found == self._seen:
            return
        self._seen = found
        for each in self._all:
            if each.program.reloads and each.process is not None:
                say(f"files have changed; {each.program.name} reads them again")
                each.process.send_signal(signal.SIGHUP)


def _end(each: _Running) -> None:
    if each.process is None or each.process.poll() is not None:
        return
    each.process.terminate()
    try:
        each.process.wait(each.program.stop_seconds)
    except subprocess.TimeoutExpired:
        say(f"{each.program.name} did not stop within {each.program.stop_seconds:g} s and is killed")
        os.killpg(each.process.pid, signal.SIGKILL)
        each.process.wait()


def main(programs: Sequence[Program], watched: Sequence[Path]) -> int:
    """Runs the programs until SIGTERM or SIGINT; gives the exit code."""
    supervisor = Supervisor(programs, watched, time.monotonic)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda _number, _frame: supervisor.stop())
    return supervisor.run()

"""`python -m airgap.node.supervisor PLAN`: start the parts in order, restart one that ends, keep the logs small.

It needs nothing but Python's own library and writes what it knows to `state.json` beside its pid. Killed itself, it
leaves the parts running; the next supervisor ends those and starts them anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airgap.node.processes import Identity, end

LOG_BYTES = 20 * 1024**2
_FIRST_BACKOFF_SECONDS = 0.3
_LONGEST_BACKOFF_SECONDS = 20.0
_SETTLED_SECONDS = 60.0
_READY_SECONDS = 60.0
_STOP_SECONDS = 10.0
_TURN_SECONDS = 1.0
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}


@dataclass(frozen=True)
class Part:
    """One process: how it is started, and where it answers (`tcp:ADDRESS:PORT`, `unix:PATH`, or `` for at once)."""

    name: str
    argv: list[str]
    env: dict[str, str]
    answers_at: str = ""


@dataclass(frozen=True)
class Plan:
    """What one supervisor runs, and the folders that it writes to."""

    run: Path
    logs: Path
    parts: tuple[Part, ...]
    mark: str = ""
    """A hash over the files that the parts read at their start: another mark is another plan."""

    def text(self) -> str:
        """As it is kept in a file; two plans with the same text run the same."""
        parts = [asdict(part) for part in self.parts]
        return json.dumps({"run": str(self.run), "logs": str(self.logs), "parts": parts, "mark": self.mark})

    @classmethod
    def read(cls, path: Path) -> Plan:
        """The plan in a file."""
        document = json.loads(path.read_text())
        parts = tuple(Part(**part) for part in document["parts"])
        return cls(Path(document["run"]), Path(document["logs"]), parts, document["mark"])


@dataclass
class _Running:
    part: Part
    process: Identity | None = None
    since: float = 0.0
    restarts: int = 0
    backoff: float = _FIRST_BACKOFF_SECONDS
    due: float = 0.0
    last_exit: str = ""


@dataclass
class Supervisor:
    """Runs a plan until it is asked to end."""

    plan: Plan
    stopping: bool = False
    running: list[_Running] = field(default_factory=list)

    def supervise(self) -> None:
        """Start the parts and stay until SIGTERM or SIGINT; then end them in reverse order."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        end(state_processes(self.plan.run), _STOP_SECONDS)
        try:
            for part in self.plan.parts:
                if self.stopping:
                    break
                self.running.append(_Running(part))
                self._start(self.running[-1])
                self._wait_for(part)
            while not self.stopping:
                self._turn(_TURN_SECONDS)
                self._bound_logs()
        finally:
            for one in reversed(self.running):
                if one.process is not None:
                    end([one.process], _STOP_SECONDS)
            (self.plan.run / "state.json").unlink(missing_ok=True)

    def _wait_for(self, part: Part) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not self.stopping and not answers(part.answers_at) and time.monotonic() < deadline:
            self._turn(0.1)

    def _turn(self, seconds: float) -> None:
        waits = [one.due - time.monotonic() for one in self.running if one.process is None]
        arrived = signal.sigtimedwait(_SIGNALS, max(0.0, min([seconds, *waits])))
        if arrived is not None and arrived.si_signo != signal.SIGCHLD:
            self.stopping = True
            return
        self._bury()
        for one in self.running:
            if one.process is None and time.monotonic() >= one.due:
                self._start(one)

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for one in self.running:
                if one.process is not None and one.process.pid == pid:
                    self._ended(one, os.waitstatus_to_exitcode(status))

    def _ended(self, one: _Running, code: int) -> None:
        lasted = time.monotonic() - one.since
        one.backoff = _FIRST_BACKOFF_SECONDS if lasted > _SETTLED_SECONDS else one.backoff
        one.last_exit = f"code {code}" if code >= 0 else f"signal {-code}"
        _say(f"{one.part.name} ended with {one.last_exit} after {lasted:.0f} s; again in {one.backoff:.1f} s")
        one.process, one.due = None, time.monotonic() + one.backoff
        one.backoff = min(one.backoff * 2, _LONGEST_BACKOFF_SECONDS)
        one.restarts += 1
        self._write_state()

    def _start(self, one: _Running) -> None:
        log = str(self.plan.logs / f"{one.part.name}.log")
        actions: list[Any] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        one.since = time.monotonic()
        try:
            pid = os.posix_spawn(
                one.part.argv[0], one.part.argv, one.part.env, file_actions=actions, setsid=True, setsigmask=[]
            )
        except OSError as error:
            one.last_exit = str(error)
            one.restarts += 1
            one.due = time.monotonic() + one.backoff
            one.backoff = min(one.backoff * 2, _LONGEST_BACKOFF_SECONDS)
            _say(f"{one.part.name} does not start: {error}")
        else:
            # One that ended at once is still ours to bury.
            one.process = Identity.of(pid, even_ended=True)
        self._write_state()

    def _write_state(self) -> None:
        parts = {
            one.part.name: {
                "process": asdict(one.process) if one.process else None,
                "restarts": one.restarts,
                "last_exit": one.last_exit,
            }
            for one in self.running
        }
        text = json.dumps({"supervisor": asdict(_myself()), "parts": parts})
        temporary = self.plan.run / "state.json.new"
        temporary.write_text(text)
        temporary.replace(self.plan.run / "state.json")

    def _bound_logs(self) -> None:
        for log in self.plan.logs.glob("*.log"):
            if log.stat().st_size > LOG_BYTES:
                # Copied and cut in place: the part holds the file open, for appending.
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)


def answers(where: str) -> bool:
    """Whether something accepts connections there."""
    if not where:
        return True
    family, _, address = where.partition(":")
    with contextlib.suppress(OSError):
        if family == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(address)
                return True
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    return False


def read_state(run: Path) -> dict[str, Any]:
    """What the supervisor of this folder last wrote; empty when there is none."""
    try:
        state: dict[str, Any] = json.loads((run / "state.json").read_text())
    except (OSError, ValueError):
        return {}
    return state


def supervisor_of(run: Path) -> Identity | None:
    """The living supervisor of this folder."""
    state = read_state(run)
    known = Identity(**state["supervisor"]) if state else None
    return known if known is not None and known.alive() else None


def state_processes(run: Path) -> list[Identity]:
    """The living parts that this folder's state tells of, last started first."""
    parts = read_state(run).get("parts", {}).values()
    known = [Identity(**part["process"]) for part in parts if part["process"]]
    return [process for process in reversed(known) if process.alive()]


def main(arguments: list[str]) -> int:
    """Supervise the plan in the file that is named; 1 when another supervisor has the folder."""
    plan = Plan.read(Path(arguments[0]))
    # Held open until the process ends: the lock is the folder's one supervisor.
    with (plan.run / "supervisor.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another supervisor runs these parts")
            return 1
        Supervisor(plan).supervise()
    return 0


def _myself() -> Identity:
    mine = Identity.of(os.getpid())
    assert mine is not None  # noqa: S101
    return mine


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

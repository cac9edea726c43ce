"""Ways to ports of pods that nothing publishes."""

import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from ops.home import Home

OPENING_SECONDS = 20.0
LONGEST_LIFE = 1500
"""Seconds after which a way closes by itself, should nobody close it."""

_TOLD = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")


def kubectl() -> str:
    """The kubectl of this machine. Raises FileNotFoundError."""
    own = Home.of().root / "node" / "bin" / "kubectl"
    found = shutil.which("kubectl") or (str(own) if os.access(own, os.X_OK) else None)
    if found is None:
        raise FileNotFoundError("there is no kubectl on PATH; install one, it is how the checks look into pods")
    return found


@dataclass(frozen=True)
class _Way:
    process: subprocess.Popen[str]
    port: int


class PortForwards:
    """Ports of this machine, each leading to a port of one pod; opened when first asked for, opened again when lost."""

    def __init__(self, namespace: str, context: str | None = None) -> None:
        self._command = [kubectl(), f"--namespace={namespace}", *([f"--context={context}"] if context else [])]
        self._ways: dict[tuple[str, int], _Way] = {}

    def port(self, pod: str, number: int) -> int:
        """The port of 127.0.0.1 that leads to a pod's port. Raises AssertionError when no way can be opened."""
        way = self._ways.get((pod, number))
        if way is None or way.process.poll() is not None:
            way = self._ways[pod, number] = self._open(pod, number)
        return way.port

    def _open(self, pod: str, number: int) -> _Way:
        forward = [*self._command, "port-forward", f"pod/{pod}", f":{number}", "--address=127.0.0.1"]
        process = subprocess.Popen(
            ["timeout", str(LONGEST_LIFE), *forward],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines: SimpleQueue[str] = SimpleQueue()
        # It goes on telling of every connection; a pipe that nobody empties would stop it.
        threading.Thread(target=_drain, args=(process, lines), daemon=True).start()
        said = ""
        try:
            while (line := lines.get(timeout=OPENING_SECONDS)) != "":
                if found := _TOLD.search(line):
                    return _Way(process, int(found[1]))
                said = line.strip()
        except Empty:
            said = f"no answer within {OPENING_SECONDS:g} s"
        process.kill()
        process.wait()
        raise AssertionError(f"no way to port {number} of pod {pod}: {said}")

    def close(self) -> None:
        """Closes all ways."""
        for way in self._ways.values():
            way.process.terminate()
        for way in self._ways.values():
            way.process.wait(timeout=10)
        self._ways.clear()


def _drain(process: subprocess.Popen[str], lines: "SimpleQueue[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")


def put_on_path() -> None:
    """Makes kubectl found by name, which is how testinfra starts it."""
    folder = str(Path(kubectl()).parent)
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), folder])

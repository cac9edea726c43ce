"""Child processes of the language host: started, streamed from, and ended with it."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import IO, Literal

Part = tuple[Literal["stdout", "stderr"], bytes] | tuple[Literal["exitcode"], int]

_PATIENCE_SECONDS = 5.0
_CHUNK_BYTES = 64 * 1024


class Children:
    """The running children, so that all can be ended when the host is told to stop."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, command: list[str], folder: str | None, variables: dict[str, str]) -> int:
        """Run to the end with our own stdout and stderr, which the engine shows; the exit code."""
        child = subprocess.Popen(command, cwd=folder or None, env=variables, stdin=subprocess.DEVNULL)
        with self._kept(child):
            return child.wait()

    def stream(
        self,
        command: list[str],
        folder: str | None,
        variables: dict[str, str],
        at_hangup: Callable[[Callable[[], None]], object],
    ) -> Iterator[Part]:
        """Run and pass on what it prints as it comes, then its exit code.

        `at_hangup` is given what to call when nobody listens any more: then the child is ended.
        """
        child = subprocess.Popen(
            command, cwd=folder or None, env=variables,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        at_hangup(lambda: self.end(child))
        parts: queue.SimpleQueue[Part | None] = queue.SimpleQueue()
        assert child.stdout is not None  # noqa: S101 - told to the type checker
        assert child.stderr is not None  # noqa: S101
        threading.Thread(target=_pump, args=(child.stdout, "stdout", parts), daemon=True).start()
        threading.Thread(target=_pump, args=(child.stderr, "stderr", parts), daemon=True).start()
        with self._kept(child):
            open_ends = 2
            while open_ends:
                part = parts.get()
                if part is None:
                    open_ends -= 1
                else:
                    yield part
            yield ("exitcode", child.wait())

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """End one child, politely first."""
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def end_all(self) -> None:
        """End every child that still runs."""
        with self._lock:
            running = list(self._running)
        for child in running:
            self.end(child)

    @contextlib.contextmanager
    def _kept(self, child: subprocess.Popen[bytes]) -> Iterator[None]:
        with self._lock:
            self._running.add(child)
        try:
            yield
        finally:
            self.end(child)
            with self._lock:
                self._running.discard(child)


def _pump(source: IO[bytes], name: Literal["stdout", "stderr"], parts: queue.SimpleQueue[Part | None]) -> None:
    with source:
        while chunk := source.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
            parts.put((name, chunk))
    parts.put(None)

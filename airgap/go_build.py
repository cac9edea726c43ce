"""Programs built from their Go modules: one static build with signs of life, a bound, and a mark of what was built."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from airgap.errors import AirgapError

_NEWS_SECONDS = 20.0


@dataclass(frozen=True)
class GoModule:
    """A module of ours whose complete go.sum is in the tree; `what` names to people what is built from it."""

    folder: Path
    what: str
    needed_bytes: int
    build_seconds: float = 3600

    def check(self, target: Path) -> None:
        """Raises AirgapError when there is no Go, or too little room for a build into the folder `target`."""
        go()
        free = shutil.disk_usage(target).free
        if free < self.needed_bytes:
            raise AirgapError(
                f"building {self.what} needs {self.needed_bytes / 1024**3:.0f} GB of disk, "
                f"{free / 1024**3:.1f} GB are free",
                "free some space, e.g. with `go clean -cache`",
            )

    def build(self, target: Path, packages: Iterable[str], linker_flags: str, report: Callable[[str], None]) -> None:
        """Build programs: `target` is a file for one package, an existing folder for several.

        Raises AirgapError when the build fails or is not done in time.
        """
        arguments = ["-mod=readonly", "-trimpath", "-ldflags", linker_flags, "-o", str(target), *packages]
        self._run_with_news([go(), "build", *arguments], report)

    def content_hash(self, *others: str) -> str:
        """A hash over everything that decides what is built: the module's files, and `others` such as flags."""
        digest = hashlib.sha256("\0".join(others).encode())
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
            name = path.relative_to(self.folder).as_posix()
            digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    def _run_with_news(self, command: list[str], report: Callable[[str], None]) -> None:
        started = time.monotonic()
        with tempfile.TemporaryFile(mode="w+") as log:
            child = subprocess.Popen(
                command, cwd=self.folder, env=variables(), stdout=log, stderr=subprocess.STDOUT, text=True
            )
            try:
                while True:
                    try:
                        code = child.wait(_NEWS_SECONDS)
                        break
                    except subprocess.TimeoutExpired:
                        elapsed = time.monotonic() - started
                        if elapsed > self.build_seconds:
                            raise AirgapError(
                                f"the build is not done after {elapsed:.0f} s", "see what else keeps the machine busy"
                            ) from None
                        report(f"still building {self.what} ({elapsed:.0f} s)")
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
            log.seek(0)
            lines = [line for line in log.read().splitlines() if line.strip() and "go: downloading" not in line[:15]]
        if code != 0:
            last = lines[-1] if lines else f"exit code {code}"
            raise AirgapError(
                f"{self.what} does not build: {last}", "check that the Go module proxy is reachable (go env GOPROXY)"
            )


def go() -> str:
    """The path of the Go command. Raises AirgapError when there is none."""
    found = shutil.which("go")
    if found is None:
        raise AirgapError("this is built from Go modules, and there is no `go` on PATH", "install Go 1.26 or newer")
    return found


def variables() -> dict[str, str]:
    """The environment of a build: settings of the machine's owner must not change what is built."""
    return {**os.environ, "GOFLAGS": "", "GOWORK": "off", "CGO_ENABLED": "0"}


def write_mark(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)

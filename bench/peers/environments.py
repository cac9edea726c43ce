"""What the peers need and we do not: environments of their own from hash-pinned locks, and Temporal's server."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.measuring import say
from ops.home import Home

TEMPORAL_VERSION = "v1.32.1"
"""Of the server; the next one needs a later Go."""

_TEMPORAL_PROGRAMS = ("go.temporal.io/server/cmd/server", "go.temporal.io/server/cmd/tools/sql")
_INSTALL_SECONDS = 600
_BUILD_SECONDS = 3600


class NotThereError(RuntimeError):
    """A peer can't be had on this machine; the message says why and what would help."""


def folder() -> Path:
    """Where all of it is kept for the next time."""
    found = Home.of().root / "peers"
    found.mkdir(parents=True, exist_ok=True, mode=0o700)
    return found


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, made when it is not there. Raises NotThereError."""
    lock = Path(__file__).with_name(f"{peer}.lock")
    mark = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    venv = folder() / f"{peer}-{mark}"
    if not (venv / "complete").exists():
        say(f"installing what {lock.name} names")
        python = str(venv / "bin" / "python")
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
        what = f"the packages of {lock.name}"
        _run([sys.executable, "-m", "venv", "--clear", str(venv)], dict(os.environ), _INSTALL_SECONDS, what)
        _run([*install, "-r", str(lock)], dict(os.environ), _INSTALL_SECONDS, what)
        (venv / "complete").touch()
    return venv / "bin" / "python"


def temporal_server() -> Path:
    """The folder with Temporal's programs, built from their Go module when they are not there. Raises NotThereError."""
    found = folder() / f"temporal-{TEMPORAL_VERSION}"
    if given := os.environ.get("TEMPORAL_BIN"):
        found = Path(given)
    if all((found / program.rpartition("/")[2]).exists() for program in _TEMPORAL_PROGRAMS):
        return found
    if shutil.which("go") is None:
        raise NotThereError(
            "Temporal's server is built with Go, which is not there; install it, set TEMPORAL_BIN to a folder with "
            "`server` and `sql`, or leave it out with --without temporal"
        )
    say("building Temporal's server from its module, which takes some minutes")
    for program in _TEMPORAL_PROGRAMS:
        environment = {**os.environ, "GOBIN": str(found), "GOFLAGS": ""}
        _run(["go", "install", f"{program}@{TEMPORAL_VERSION}"], environment, _BUILD_SECONDS, program)
    return found


def _run(words: list[str], environment: dict[str, str], seconds: float, what: str) -> None:
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise NotThereError(f"{what} was not had within {seconds:g} s") from None
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise NotThereError(f"{what} could not be had: {' / '.join(last)}; leave it out with --without")

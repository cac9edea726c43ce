"""Makes the project's virtual environment from the hash-pinned locks; runs before anything is installed.

Called by deploy-api.sh with any Python >= 3.11, so only the standard library may be imported here. A venv cannot be
renamed into place (its scripts hold absolute paths), so it is built where it stays: a stamp is written last, and an
environment without its stamp is thrown away and made again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

MINIMUM_FREE_BYTES = 1_500_000_000
LOCK_WAIT_SECONDS = 600
COMMAND_SECONDS = 900
STAMP = ".complete"
LOCKS = ("requirements/bootstrap.lock", "requirements/dev.lock")


class BootstrapError(Exception):
    """The environment could not be made: `reason` says why and `mend` what helps, each in one line."""

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend


def fingerprint(root: Path) -> str:
    """What the environment is made from: first its ground (place, Python, installer), then the locked packages.

    With the ground unchanged, new locks are installed into what is there; a moved or other-Python one is made afresh,
    because its scripts name the old place.
    """
    ground = f"{root}\n{sys.version_info[:2]}\n".encode() + (root / LOCKS[0]).read_bytes()
    return " ".join(hashlib.sha256(part).hexdigest() for part in (ground, (root / LOCKS[1]).read_bytes()))


def read_stamp(venv: Path) -> str:
    """The fingerprint that a finished environment was made from; empty for an unfinished one."""
    try:
        return (venv / STAMP).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def is_complete(venv: Path, wanted: str) -> bool:
    """Whether the environment was finished from exactly these inputs."""
    return read_stamp(venv) == wanted and (venv / "bin" / "python").exists()


def uv_settings(pip_config: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The uv variables that mean what pip is configured to do: its index, extra places, certificates.

    They travel in the environment, never as arguments, because an index address may hold a password. What the caller
    already set for uv stays.
    """
    wanted = {
        "UV_DEFAULT_INDEX": pip_config.get("index-url", ""),
        "UV_INDEX": " ".join(pip_config.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(
            p for p in pip_config.get("find-links", "").split() if "://" in p or Path(p).is_dir()
        ),
        "UV_INSECURE_HOST": " ".join(pip_config.get("trusted-host", "").split()),
        "UV_NO_INDEX": "1" if pip_config.get("no-index", "").lower() in {"1", "true", "yes", "on"} else "",
        "SSL_CERT_FILE": pip_config.get("cert", ""),
        "UV_SYSTEM_CERTS": "1",
    }
    return {name: value for name, value in wanted.items() if value and name not in environ}


def explain(output: str) -> BootstrapError:
    """The one-line reason and mend behind a failed installer's output."""
    text = output.lower()
    if "no space left on device" in text or "os error 28" in text:
        return BootstrapError("the disk is full", "free at least 6 GB and run the command again")
    if "hash" in text and ("mismatch" in text or "do not match" in text):
        return BootstrapError(
            "a downloaded package is not the one that the lock names (its hash differs)",
            "check the package index that pip is configured to use (pip config list)",
        )
    unreachable = (
        "connection", "name resolution", "dns error", "timed out", "error sending request", "no matching distribution",
        "could not find a version", "failed to fetch", "no solution found", "network is unreachable", "certificate",
        "not found in the package registry", "tcp connect",
    )  # fmt: skip
    if any(sign in text for sign in unreachable):
        return BootstrapError(
            "no package registry gave the Python packages that the lock names",
            "check the network, or point pip at a registry you can reach (pip config set global.index-url <address>)",
        )
    last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "it said nothing")
    return BootstrapError(f"installing the Python packages failed: {last[:200]}", "run the command again")


class Bootstrap:
    """Makes one environment; every slow step says what it does and how long it took."""

    def __init__(self, root: Path, venv: Path) -> None:
        self.root = root
        self.venv = venv
        self.log = root / ".deploy" / "bootstrap.log"

    def ensure(self) -> None:
        """Makes or brings up to date the environment; returns at once when it already is."""
        wanted = fingerprint(self.root)
        if is_complete(self.venv, wanted):
            return
        self.log.parent.mkdir(exist_ok=True)
        with self._alone():
            if not is_complete(self.venv, wanted):
                self._make(wanted)

    def _make(self, wanted: str) -> None:
        if self.venv.is_symlink():
            raise BootstrapError(
                f"{self.venv} is a link to another folder, whose content would be replaced",
                "remove the link, or name the folder itself: WORKFLOW_VENV",
            )
        free = shutil.disk_usage(self.root).free
        if free < MINIMUM_FREE_BYTES:
            raise BootstrapError(
                f"only {free / 1e9:.1f} GB are free at {self.root}", "free at least 6 GB and run the command again"
            )
        started = time.monotonic()
        same_ground = read_stamp(self.venv).partition(" ")[0] == wanted.partition(" ")[0]
        finished_before = same_ground and (self.venv / "bin" / "uv").exists()
        (self.venv / STAMP).unlink(missing_ok=True)
        if not finished_before:
            self._step("making the Python environment", self._create)
            self._step("installing the package installer", self._install_uv)
        self._step("installing the locked packages", self._sync)
        site = next((self.venv / "lib").glob("python3.*/site-packages"))
        self._step("compiling the packages", lambda: self._compile(site))
        (site / "workflow-platform.pth").write_text(f"{self.root}\n", encoding="utf-8")
        (self.venv / STAMP).write_text(f"{wanted}\n", encoding="utf-8")
        print(f"==> Python environment ready after {time.monotonic() - started:.0f} s", file=sys.stderr)  # noqa: T201

    def _create(self) -> None:
        try:
            import ensurepip  # noqa: F401
        except ImportError:
            self._install_venv_module()
        # A process of its own, because a freshly installed ensurepip is not seen by this one.
        self._run([sys.executable, "-I", "-m", "venv", "--clear", str(self.venv)])

    def _install_venv_module(self) -> None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        mend = f"install it (Debian: apt-get install {package}) and run the command again"
        missing = BootstrapError(f"{sys.executable} has no venv module", mend)
        if os.geteuid() != 0 or not shutil.which("apt-get") or not sys.executable.startswith("/usr/bin/"):
            raise missing
        try:
            self._run(["apt-get", "-qq", "update"])
            self._run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", package])
        except BootstrapError as error:
            raise missing from error

    def _install_uv(self) -> None:
        pip = [str(self.venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        lock = str(self.root / LOCKS[0])
        patience = {"PIP_RETRIES": os.environ.get("PIP_RETRIES", "2")}
        self._run([*pip, "install", "--timeout", "30", "--require-hashes", "-r", lock], patience)

    def _sync(self) -> None:
        uv = str(self.venv / "bin" / "uv")
        python = str(self.venv / "bin" / "python")
        settings = uv_settings(self._pip_config(), os.environ)
        self._run([uv, "pip", "sync", "--require-hashes", "--python", python, str(self.root / LOCKS[1])], settings)

    def _compile(self, site: Path) -> None:
        """Halves the start of every command, also where PYTHONDONTWRITEBYTECODE keeps Python from doing it by itself.

        What does not compile is left to be read from source. The Kubernetes SDK has thousands of modules of which a
        program imports few, so those are left as well.
        """
        work = "compileall.compile_dir(sys.argv[1], quiet=2, workers=0, rx=re.compile('pulumi_kubernetes'))"
        self._run([str(self.venv / "bin" / "python"), "-c", f"import compileall, re, sys; {work}", str(site)])

    def _pip_config(self) -> dict[str, str]:
        """What pip is told by files and environment; the environment wins, as it does for pip."""
        listing = subprocess.run(
            [str(self.venv / "bin" / "python"), "-m", "pip", "config", "list"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        found: dict[str, str] = {}
        lines = sorted(listing.stdout.splitlines(), key=lambda line: line.startswith(":env:"))
        for line in lines:
            key, _, value = line.partition("=")
            scope, _, name = key.rpartition(".")
            if scope in {"global", "install", ":env:"}:
                found[name] = value.strip("'\"").replace("\\n", " ")
        return found

    def _step(self, title: str, work: Callable[[], None]) -> None:
        started = time.monotonic()
        print(f"--> {title} ...", file=sys.stderr, flush=True)  # noqa: T201
        work()
        print(f"    {title}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)  # noqa: T201

    def _run(self, command: Sequence[str], extra: Mapping[str, str] | None = None) -> None:
        """Runs one bounded command, its output kept in the log; a failure is explained in one line."""
        try:
            done = subprocess.run(
                command, env={**os.environ, **(extra or {})}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, timeout=COMMAND_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise BootstrapError(
                f"{Path(command[0]).name} did not finish within {COMMAND_SECONDS} s",
                "check the network and run it again",
            ) from None
        with self.log.open("a", encoding="utf-8") as log:
            log.write(done.stdout)
        if done.returncode:
            raise explain(done.stdout)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process makes the environment; another waits for it, with a bound."""
        with (self.log.parent / "bootstrap.lock").open("a") as handle:
            deadline = time.monotonic() + LOCK_WAIT_SECONDS
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise BootstrapError(
                            "another process has been making the Python environment for ten minutes",
                            f"see {self.log}, end that process and run the command again",
                        ) from None
                    time.sleep(0.2)
            yield


def main(arguments: Sequence[str]) -> int:
    """Ensures the environment; 0 when it is there, 1 with a reason and a mend, 130 when interrupted."""
    try:
        Bootstrap(Path(arguments[0]), Path(arguments[1])).ensure()
    except BootstrapError as error:
        reason, mend = error.reason, error.mend
    except OSError as error:
        reason = (
            f"the Python environment could not be made: {error.strerror or error} ({error.filename or arguments[1]})"
        )
        mend = "free disk space or mend the folder's permissions, then run the command again"
    except KeyboardInterrupt:
        print("interrupted; the next run starts the Python environment afresh", file=sys.stderr)  # noqa: T201
        return 130
    else:
        return 0
    print(f"error: {reason}\nmend:  {mend}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A Docker engine that answers: the running one, or Debian's, installed and started as root."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from ops.console import Report
from ops.docker_client import EngineAbsentError, connect
from ops.errors import OperatorError
from ops.home import Home
from ops.setup.command import run

PACKAGES = ("docker.io", "iptables", "ca-certificates")
APT_SECONDS = 900.0
ANSWER_SECONDS = 60.0
PID_FILE = Path("/var/run/docker.pid")
BY_HAND = "install and start Docker 20.10 or newer, then run the command again"


def answers() -> bool:
    """Whether an engine answers this user. Raises OperatorError when one refuses."""
    try:
        connect(timeout=10).close()
    except EngineAbsentError:
        return False
    return True


def ensure(home: Home, report: Report) -> None:
    """Starts the installed engine, or installs Debian's first. Raises OperatorError that says what to do by hand."""
    if os.environ.get("DOCKER_HOST"):
        raise OperatorError(
            f"no Docker engine answers at DOCKER_HOST={os.environ['DOCKER_HOST']}",
            "start that engine, or unset DOCKER_HOST to use this machine's own",
        )
    if os.geteuid() != 0:
        mend = "as root: ./deploy-api.sh setup (installs and starts it); or by hand: systemctl start docker"
        raise OperatorError("no Docker engine answers, and only root can install or start one", mend)
    if not _daemon():
        _install(report)
    if not answers():
        _start(home, report)


def _daemon() -> str | None:
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")


def _install(report: Report) -> None:
    if not shutil.which("apt-get"):
        raise OperatorError("no Docker engine is installed, and this is not a Debian that could install one", BY_HAND)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3"]
    report("reading the Debian package lists")
    run([*apt, "-q", "update"], report, APT_SECONDS, "check that the Debian mirrors in /etc/apt answer", quiet)
    report(f"installing {', '.join(PACKAGES)}")
    command = [*apt, "-q", "install", "-y", "--no-install-recommends", *PACKAGES]
    run(command, report, APT_SECONDS, "mend apt (apt-get install -f), or " + BY_HAND, quiet)
    if not _daemon():
        raise OperatorError("docker.io was installed but brought no dockerd", BY_HAND)


def _start(home: Home, report: Report) -> None:
    """Through systemd where that runs; else as a process of its own that outlives this one."""
    log = home.logs / "dockerd.log"
    if Path("/run/systemd/system").is_dir():
        report("starting the service docker")
        run(["systemctl", "start", "docker"], report, 120, "see journalctl -u docker")
        _wait(None, log, report)
        return
    report("starting dockerd")
    _clear_stale_pid()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [_daemon() or "dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    _wait(process, log, report)


def _clear_stale_pid() -> None:
    """dockerd takes any living process with the number in its old pid file for itself and refuses to start."""
    with suppress(OSError, ValueError):
        pid = int(PID_FILE.read_text())
        command = Path(f"/proc/{pid}/comm")
        if not command.exists() or command.read_text().strip() != "dockerd":
            PID_FILE.unlink()


def _wait(process: "subprocess.Popen[bytes] | None", log: Path, report: Report) -> None:
    """Returns when the engine answers. A daemon that we started and that does not answer in time is ended again."""
    deadline = time.monotonic() + ANSWER_SECONDS
    answered = False
    try:
        while not (answered := answers()) and time.monotonic() < deadline:
            if process is not None and process.poll() is not None:
                break
            report("waiting for the engine to answer")
            time.sleep(0.5)
    finally:
        if not answered and process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
    if answered:
        return
    if process is not None and process.returncode is not None:
        raise OperatorError(f"dockerd ended with code {process.returncode}: {_last_error(log)}", f"see {log}")
    raise OperatorError(f"the Docker engine did not answer within {ANSWER_SECONDS:.0f} s", f"see {log}")


def _last_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-40:]
    telling = [line for line in lines if "level=fatal" in line or "failed" in line.lower()]
    return (telling or lines or ["it said nothing"])[-1][:300]

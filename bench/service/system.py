"""The service as it is measured: Postgres with its data on the disk, Kafka, API, relay and executor on this machine."""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from docker.models.containers import Container

from tests.service import servers  # type: ignore[import-untyped]  # not type-checked

ROOT = Path(__file__).resolve().parents[2]
ADMIN = "admin"
START_SECONDS = 60.0
_STOP_SECONDS = 20.0


@dataclass(frozen=True)
class System:
    """What is running, and how it is reached."""

    url: str
    token: str
    database_url: str
    processes: Mapping[str, subprocess.Popen[bytes]]
    database_pid: int

    def client(self) -> httpx.Client:
        """A caller that may do everything."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60, trust_env=False)

    def memory(self) -> dict[str, int]:
        """What each process has in memory now, in bytes."""
        return {name: _resident(process.pid) for name, process in self.processes.items()}

    def cpu(self) -> dict[str, float]:
        """How many seconds of a processor each process has used so far, and all processes of Postgres together."""
        found = {name: _used(process.pid) for name, process in self.processes.items()}
        return found | {"postgres": _used_by_all(self.database_pid)}


@contextmanager
def system(executors: int = 1) -> Iterator[System]:
    """Start everything, and take it down again. Raises RuntimeError with the log of a program that does not start."""
    # Asked before it is up, a broker's client complains with each try.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(servers.postgres(in_memory=False))
        broker = stack.enter_context(servers.kafka())
        password = secrets.token_urlsafe(24)
        port = servers.free_port()
        database_url = database.url("workflow_db")
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL_FILE": _file(folder / "url", database_url),
            "JWT_SECRET_FILE": _file(folder / "jwt", secrets.token_hex(32)),
            "BOOTSTRAP_ADMIN_PASSWORD_FILE": _file(folder / "admin", password),
            "KAFKA_BROKERS": broker.broker,
            "API_HOST": "127.0.0.1",
            "API_PORT": str(port),
            "RATE_LIMIT_REQUESTS": "0",
            "MAX_PAGE_SIZE": "1000",
            "EXECUTOR_CONCURRENCY": "64",
            "LOG_LEVEL": "WARNING",
        }
        subprocess.run([sys.executable, "-m", "service", "migrate"], cwd=ROOT, env=environment, check=True, timeout=120)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("api", "relay", *(f"executor-{number}" for number in range(1, executors + 1))):
            own = {"WORKER_HTTP_PORT": str(servers.free_port()), "EXECUTOR_ID": name}
            processes[name] = stack.enter_context(_process(name, environment | own, folder))
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, processes, folder)
        answer = httpx.post(
            f"{url}/api/v1/auth/login", json={"username": ADMIN, "password": password}, timeout=30, trust_env=False
        )
        yield System(
            url, answer.raise_for_status().json()["access_token"], database_url, processes, _pid(database.container)
        )


def _file(path: Path, content: str) -> str:
    path.touch(mode=0o600)
    path.write_text(content)
    return str(path)


@contextmanager
def _process(name: str, environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", name.partition("-")[0]],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=stream,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_SECONDS)


def _wait_until_ready(url: str, processes: Mapping[str, subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for name, process in processes.items():
            if process.poll() is not None:
                log = (folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} ended with {process.returncode}: {log}")
        try:
            if httpx.get(f"{url}/health/ready", timeout=5, trust_env=False).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the API was not ready within {START_SECONDS:g} s")


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _used(pid: int) -> float:
    return sum(map(int, _fields(pid)[11:13])) / os.sysconf("SC_CLK_TCK")


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _pid(container: Container) -> int:
    container.reload()
    return int(container.attrs["State"]["Pid"])


def _used_by_all(pid: int) -> float:
    """Of a process, of what it has started, and of what of that has ended since."""
    ticks = 0
    children: dict[int, list[int]] = {}
    used: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # Some end while they are looked at.
        with suppress(OSError):
            fields = _fields(int(folder.name))
            children.setdefault(int(fields[1]), []).append(int(folder.name))
            used[int(folder.name)] = sum(map(int, fields[11:15]))
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        ticks += used.get(each, 0)
        waiting += children.get(each, [])
    return ticks / os.sysconf("SC_CLK_TCK")

"""The service's programs as real processes that a test may kill, freeze and start again."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from service.platform.settings import Settings
from tests.service.servers import eventually

ROOT = Path(__file__).resolve().parents[3]


def environment_of(settings: Settings, **given: str) -> dict[str, str]:
    """The variables that a process needs to have these settings, and the ``given`` ones."""
    assert settings.jwt_secret is not None
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "KAFKA_BROKERS": ",".join(settings.kafka_brokers),
        "KAFKA_EXECUTION_TOPIC": settings.kafka_execution_topic,
        "KAFKA_CANCELLATION_TOPIC": settings.kafka_cancellation_topic,
        "API_HOST": "127.0.0.1",
        "RATE_LIMIT_REQUESTS": "0",
        "LOG_LEVEL": "WARNING",
        **given,
    }


@dataclass
class Program:
    """One program (``api``, ``relay``, ``executor``); its output is kept in a file over all its lives."""

    name: str
    environment: dict[str, str]
    output: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Begin a life; the one before must have ended."""
        assert self.process is None, f"{self.name} runs already"
        with self.output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", self.name],
                cwd=ROOT,
                env=self.environment,
                stdout=stream,
                stderr=stream,
            )

    def kill(self) -> None:
        """End it as a machine's death would: it can do nothing any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """Let it stand still, with all its connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on; it does not know that time has passed."""
        self._signal(signal.SIGCONT)

    def told(self) -> str:
        """All that it has written."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    async def answers(self) -> None:
        """Returns when its health page answers 200."""

        async def healthy() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} has ended: {self.told()[-3000:]}"
            try:
                async with httpx.AsyncClient(timeout=5) as client:
                    return (await client.get(f"http://127.0.0.1:{self.port}/health")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(healthy, f"{self.name} to answer", seconds=60)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None, f"{self.name} does not run"
        self.process.send_signal(number)


@asynccontextmanager
async def programs(*found: Program) -> AsyncIterator[None]:
    """Start the programs for the block; whatever of them lives at its end is killed."""
    try:
        for each in found:
            each.start()
        await asyncio.gather(*(each.answers() for each in found))
        yield
    finally:
        for each in found:
            with contextlib.suppress(AssertionError, ProcessLookupError):
                each.thaw()
            each.kill()


def api(settings: Settings, folder: Path, port: int, **given: str) -> Program:
    """The API on this port."""
    return Program("api", environment_of(settings, API_PORT=str(port), **given), folder / "api.log", port)


def relay(settings: Settings, folder: Path, port: int, **given: str) -> Program:
    """A relay whose health page is on this port."""
    return Program("relay", environment_of(settings, WORKER_HTTP_PORT=str(port), **given), folder / "relay.log", port)


def executor(settings: Settings, folder: Path, port: int, executor_id: str, **given: str) -> Program:
    """An executor of this id whose health page is on this port."""
    environment = environment_of(settings, WORKER_HTTP_PORT=str(port), EXECUTOR_ID=executor_id, **given)
    return Program("executor", environment, folder / f"{executor_id}.log", port)

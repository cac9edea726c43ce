"""Real Postgres and Kafka for the tests: containers of the project's own images, gone when the block ends."""

import asyncio
import contextlib
import io
import secrets
import socket
import tarfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import docker
import docker.errors
from docker.models.containers import Container

from images.build import build
from service.platform.kafka import KafkaUnavailableError, check_kafka
from service.platform.settings import Settings
from tests.left_containers import run_label

START_SECONDS = 120.0
_OWNER = 10001
_USER = "workflow_user"


def wait_until(met: Callable[[], bool], what: str, *, seconds: float = START_SECONDS, every: float = 0.1) -> None:
    """Ask again and again until the condition is met; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(every)


async def eventually(met: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 20.0) -> None:
    """The same for conditions that must be awaited."""
    deadline = time.monotonic() + seconds
    while not await met():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        await asyncio.sleep(0.05)


def free_port() -> int:
    """A port on the loopback interface that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Server:
    """A server in a container of its own."""

    container: Container

    def answers(self) -> bool:
        """Whether it does its work now."""
        raise NotImplementedError

    def kill(self) -> None:
        """End all its processes by kill -9; what it has written stays, unless that is in memory."""
        self.container.kill("SIGKILL")
        self.container.wait(timeout=30)

    def start_again(self) -> None:
        """Begin another life, and return when it answers. Its port is the same if it was not left to the engine."""
        self.container.start()
        self.wait()

    def wait(self) -> None:
        """Returns when it answers; fails when it has stopped."""

        def lives_and_answers() -> bool:
            _still_running(self.container)
            return self.answers()

        wait_until(lives_and_answers, "the server to answer", every=0.2)


@dataclass(frozen=True)
class PostgresServer(Server):
    """A server and its one user, who may create databases."""

    port: int
    password: str

    def answers(self) -> bool:
        """Whether a query is answered."""
        try:
            asyncio.run(self.execute("SELECT 1"))
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def url(self, database: str) -> str:
        """The address of one of its databases in the documented form."""
        return f"postgresql://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    async def execute(self, statement: str, *, database: str = "workflow_db") -> None:
        """One statement outside of any transaction."""
        connection = await asyncpg.connect(self.url(database), timeout=10)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@dataclass(frozen=True)
class KafkaServer(Server):
    """A broker, reachable from this machine."""

    broker: str

    def answers(self) -> bool:
        """Whether it tells what topics it has."""
        settings = Settings.model_validate({"database_url": "postgresql://u@h/d", "kafka_brokers": self.broker})
        try:
            asyncio.run(check_kafka(settings, seconds=2))
        except KafkaUnavailableError:
            return False
        return True


@contextmanager
def _container(image: str, **options: Any) -> Iterator[Container]:
    client = docker.from_env(timeout=60)
    try:
        reference = build([image], lambda _line: None, client)[image].reference
        container = client.containers.create(
            reference,
            name=f"workflow-test-{image}-{secrets.token_hex(4)}",
            labels={"workflow.test": image, **run_label()},
            **options,
        )
        try:
            yield container
        finally:
            with contextlib.suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
    finally:
        client.close()


def put_secret(container: Container, name: str, content: str) -> None:
    """A file /config/secrets/<name> that only the container's user can read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("secrets")
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, _OWNER, _OWNER
        archive.addfile(folder)
        entry = tarfile.TarInfo(f"secrets/{name}")
        entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o400, _OWNER, _OWNER
        archive.addfile(entry, io.BytesIO(content.encode()))
    assert container.put_archive("/config", buffer.getvalue())


def _published(container: Container, port: str) -> int:
    container.reload()
    return int(container.attrs["NetworkSettings"]["Ports"][port][0]["HostPort"])


def _still_running(container: Container) -> None:
    container.reload()
    assert container.status == "running", f"it has stopped: {container.logs(tail=30).decode(errors='replace')}"


@contextmanager
def postgres(*, in_memory: bool = True) -> Iterator[PostgresServer]:
    """A Postgres server; its data lie in memory, or on the disk in a volume that goes with it.

    With the latter it may be killed and started again: data and port are the same then.
    """
    data = "/var/lib/postgresql/data"
    password = secrets.token_urlsafe(24)
    with _container(
        "postgres",
        environment={
            "POSTGRES_DB": "workflow_db",
            "POSTGRES_USER": _USER,
            "POSTGRES_PASSWORD_FILE": "/config/secrets/app",
        },
        ports={"5432/tcp": ("127.0.0.1", None if in_memory else free_port())},
        tmpfs={data: f"uid={_OWNER},gid={_OWNER},mode=0700"} if in_memory else {},
    ) as container:
        put_secret(container, "app", password)
        container.start()
        server = PostgresServer(container, _published(container, "5432/tcp"), password)
        server.wait()
        code, output = container.exec_run(["psql", "-U", "postgres", "-c", f"ALTER ROLE {_USER} CREATEDB"])
        assert code == 0, output
        yield server


@contextmanager
def kafka() -> Iterator[KafkaServer]:
    """A Kafka broker that tells its clients the port at which this machine reaches it."""
    port = free_port()
    with _container(
        "kafka",
        environment={"KAFKA_EXTERNAL_PORT": str(port), "KAFKA_HEAP_OPTS": "-Xmx384m -Xms384m"},
        ports={"9092/tcp": ("127.0.0.1", port)},
    ) as container:
        container.start()
        server = KafkaServer(container, f"127.0.0.1:{port}")
        server.wait()
        yield server

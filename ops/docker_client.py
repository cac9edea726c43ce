"""The connection to the Docker engine, with its refusals put into words."""

import os
import socket
from pathlib import Path

import docker
from docker import DockerClient
from docker.errors import DockerException

from ops.errors import OperatorError

DEFAULT_HOST = "unix:///var/run/docker.sock"
OLDEST_API = (1, 41)


class EngineAbsentError(OperatorError):
    """No engine answers at the address; one may have to be installed or started."""


def engine_address() -> str:
    """Where the engine is looked for."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


def connect(timeout: float = 60) -> DockerClient:
    """A client of an engine that has answered. `timeout` bounds each later request, in seconds.

    Raises EngineAbsentError when nothing answers, OperatorError when the engine refuses this user or is too old.
    """
    address = engine_address()
    if address.startswith("unix://"):
        _knock(address)
    try:
        client = docker.from_env(timeout=int(timeout))
        client.ping()
        version = str(client.version()["ApiVersion"])
    except DockerException as error:
        raise EngineAbsentError(
            f"no Docker engine answers at {address}: {error}", "start it (systemctl start docker) or set DOCKER_HOST"
        ) from error
    if tuple(int(number) for number in version.split(".")) < OLDEST_API:
        raise OperatorError(
            f"the Docker engine speaks API {version}, which is too old", "install Docker 20.10 or newer"
        )
    return client


def _knock(address: str) -> None:
    """Tells apart a socket that is missing, one nobody listens on, and one that this user may not use."""
    path = Path(address.removeprefix("unix://"))
    try:
        with socket.socket(socket.AF_UNIX) as knock:
            knock.settimeout(5)
            knock.connect(str(path))
    except PermissionError:
        raise OperatorError(
            f"this user has no permission to use the Docker engine at {path}",
            "add the user to the group docker (sudo usermod -aG docker $USER), log in again, or run as root",
        ) from None
    except OSError as error:
        raise EngineAbsentError(
            f"no Docker engine answers at {path}: {error.strerror or error}",
            "start it (systemctl start docker), or run `./deploy-api.sh setup` as root",
        ) from None

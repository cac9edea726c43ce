"""The Docker engine: how it is reached, and its errors in words for people."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from airgap.provider.operation import ResourceError

DEFAULT_HOST = "unix:///var/run/docker.sock"
_PING_SECONDS = 5.0


@dataclass
class Settings:
    """The provider's inputs, as far as this plugin carries them out."""

    host: str = ""
    context: str = ""
    cert_path: str = ""
    registries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    check_daemon: bool = True

    def address(self) -> str:
        """The engine's address in the docker command's order: provider input, then DOCKER_HOST, then the default."""
        return self.host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST


class Engine:
    """Connections to one Docker engine, one for each thread; nothing is opened before it is needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._local = threading.local()

    def ping(self) -> None:
        """Raises ResourceError when a local engine does not answer; remote ones are found out at first use."""
        address = self.settings.address()
        if self.settings.context or not address.startswith("unix://"):
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_PING_SECONDS)
                connection.connect(address.removeprefix("unix://"))
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                answered = b"200" in connection.recv(64)
        except OSError as error:
            raise ResourceError(unreachable(address, error.strerror or str(error))) from None
        if not answered:
            raise ResourceError(unreachable(address, "it answered, but not with success"))

    @property
    def api(self) -> Any:
        """The Docker SDK's low-level client of this thread."""
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._connect()
            self._local.client = client
        return client

    def _connect(self) -> Any:
        import docker
        from docker.tls import TLSConfig

        if self.settings.context:
            context = docker.ContextAPI.get_context(self.settings.context)
            if context is None:
                raise ResourceError(f"there is no docker context {self.settings.context!r}")
            return docker.APIClient(base_url=context.Host, tls=context.TLSConfig, version="auto", timeout=120)
        address = self.settings.address()
        folder = (
            self.settings.cert_path
            or (os.environ.get("DOCKER_TLS_VERIFY") and os.environ.get("DOCKER_CERT_PATH"))
            or ""
        )
        tls: Any = False
        if folder and not address.startswith("unix://"):
            pair = (f"{folder}/cert.pem", f"{folder}/key.pem")
            tls = TLSConfig(client_cert=pair, ca_cert=f"{folder}/ca.pem", verify=True)
        return docker.APIClient(
            base_url=address, tls=tls, version="auto", timeout=120, use_ssh_client=address.startswith("ssh://")
        )


def unreachable(address: str, why: str) -> str:
    """The one line that says that the engine is away."""
    return f"the Docker engine at {address} does not answer ({why}); start it, or set docker:host / DOCKER_HOST"


def is_missing(error: Exception) -> bool:
    """Whether the engine says that the thing is not there (any more)."""
    return getattr(getattr(error, "response", None), "status_code", None) == 404


def explanation(error: Exception) -> str:
    """The engine's own words for what went wrong."""
    return str(getattr(error, "explanation", None) or error).strip()


@contextmanager
def plain_errors(address: str) -> Iterator[None]:
    """Turn what the SDK raises into ResourceError: the engine's words, or that it is away."""
    try:
        yield
    except ResourceError:
        raise
    except Exception as error:
        import requests
        from docker.errors import APIError, DockerException

        if isinstance(error, APIError):
            raise ResourceError(explanation(error)) from error
        if isinstance(error, requests.exceptions.ConnectionError):
            raise ResourceError(unreachable(address, "no connection")) from error
        if isinstance(error, requests.exceptions.Timeout):
            raise ResourceError(unreachable(address, "no answer in time")) from error
        if isinstance(error, DockerException):
            raise ResourceError(unreachable(address, str(error).splitlines()[0])) from error
        raise

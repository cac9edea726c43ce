"""What is sent and shown to an API server to be let in: the TLS context, and the headers of a request."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from airgap.provider.operation import ResourceError

from .kubeconfig import Access

_COMMAND_SECONDS = 60.0
_FILE_SECONDS = 60.0
_EARLY_SECONDS = 30.0


class Credentials:
    """The credentials of one access; tokens that run out are fetched anew. Safe for use by many threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._lock = threading.Lock()
        self._token = access.token
        self._pair = (access.certificate, access.key)
        self._expires = 0.0
        if access.command:
            self._run_command()

    def tls(self) -> ssl.SSLContext:
        """The TLS context; private keys are on disk only while the context is made, readable by nobody else."""
        access = self._access
        context = ssl.create_default_context(cadata=access.authority or None)
        if access.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = self._pair
        if certificate and key:
            with tempfile.TemporaryDirectory(prefix="pulumi-kubernetes-") as folder:
                file = Path(folder, "pair.pem")
                file.touch(mode=0o600)
                file.write_text(f"{certificate}\n{key}\n")
                try:
                    context.load_cert_chain(file)
                except ssl.SSLError:
                    raise ResourceError(f"the client certificate and key in {access.source} are not a pair") from None
        return context

    def headers(self) -> dict[str, str]:
        """The authorization of one request."""
        if self._access.username:
            pair = f"{self._access.username}:{self._access.password}"
            return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        token = self._current_token()
        return {"authorization": f"Bearer {token}"} if token else {}

    def _current_token(self) -> str:
        with self._lock:
            if self._expires and time.time() < self._expires - _EARLY_SECONDS:
                return self._token
            if self._access.command and self._expires:
                self._run_command()
            elif self._access.token_file:
                self._token = _read(self._access.token_file)
                self._expires = time.time() + _FILE_SECONDS + _EARLY_SECONDS
            return self._token

    def _run_command(self) -> None:
        """Run the program that prints a credential; what it prints is never shown."""
        wanted = self._access.command
        version = str(wanted.get("apiVersion") or "client.authentication.k8s.io/v1")
        extra = {str(item["name"]): str(item["value"]) for item in wanted.get("env") or []}
        asked = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
        command = [str(wanted.get("command")), *map(str, wanted.get("args") or [])]
        try:
            done = subprocess.run(
                command, env={**os.environ, **extra, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
                capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ResourceError(f"the credential command {command[0]} of {self._access.source}: {error}") from None
        status = _status(done.stdout)
        if done.returncode != 0 or not status:
            said = done.stderr.strip().splitlines()[-1:] or ["it printed no credential"]
            raise ResourceError(f"the credential command {command[0]} of {self._access.source} failed: {said[0]}")
        self._token = str(status.get("token") or "")
        if status.get("clientCertificateData"):
            self._pair = (str(status["clientCertificateData"]), str(status.get("clientKeyData") or ""))
        expires = str(status.get("expirationTimestamp") or "")
        self._expires = datetime.fromisoformat(expires).timestamp() if expires else 0.0


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ResourceError(f"the token file {path} cannot be read ({error.strerror})") from None


def _status(text: str) -> dict[str, Any]:
    try:
        return json.loads(text).get("status") or {}
    except (ValueError, AttributeError):
        return {}

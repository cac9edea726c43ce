"""The node's API server, asked directly: what the commands look at, without a client library."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from typing import Any

from airgap.errors import AirgapError
from airgap.node.layout import API_PORT, Node

_SECONDS = 10
_APPLY_SECONDS = 120


class Api:
    """One API server, as the administrator."""

    def __init__(self, node: Node, address: str) -> None:
        self._node = node
        self._address = address

    def get(self, path: str) -> Any:
        """The JSON (or the text) at a path; None unless the answer is 200."""
        try:
            context = ssl.create_default_context(cafile=str(self._node.pki / "ca.crt"))
            context.load_cert_chain(self._node.pki / "admin.crt", self._node.pki / "admin.key")
            connection = http.client.HTTPSConnection(self._address, API_PORT, timeout=_SECONDS, context=context)
        except OSError:
            return None
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status != 200:
            return None
        try:
            return json.loads(text)
        except ValueError:
            return text.decode(errors="replace")

    def apply(self, manifest: str) -> None:
        """Server-side apply of YAML documents. Raises AirgapError with the server's word."""
        command = [
            str(self._node.program("kubectl")),
            f"--kubeconfig={self._node.kubeconfig}",
            "apply",
            "--server-side",
        ]
        command += ["--force-conflicts", "--field-manager=workflow-node", "-f", "-"]
        mend = f"see {self._node.logs / 'apiserver.log'}, then ./deploy-api.sh cluster up again"
        try:
            done = subprocess.run(
                command, input=manifest, capture_output=True, text=True, timeout=_APPLY_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AirgapError(f"kubectl apply did not end: {error}", mend) from error
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise AirgapError(f"the cluster refused its add-ons: {last}", mend)


def condition(document: Any, kind: str) -> bool:
    """Whether an object's status says that this condition is true."""
    conditions = (document or {}).get("status", {}).get("conditions", [])
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)

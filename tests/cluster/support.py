"""How the tests speak to the live cluster: kubectl, and objects as plain documents."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airgap.node.layout import Node, machine_address
from airgap.node.processes import wait_until

SECONDS = 120


@dataclass(frozen=True)
class Cluster:
    """A cluster that works."""

    node: Node
    busybox: str
    """An image with a shell and small tools, by digest from the local registry."""

    @property
    def kubeconfig(self) -> Path:
        return self.node.kubeconfig

    @property
    def address(self) -> str:
        """Where the node's ports are reached from outside."""
        return machine_address()

    def kubectl(self, *arguments: str, text: str = "", check: bool = True, seconds: float = SECONDS) -> str:
        """kubectl's output; fails the test with its error unless `check` is off."""
        command = [str(self.node.program("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0 or not check, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout if done.returncode == 0 else done.stderr

    def apply(self, *documents: dict[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))

    def get(self, *arguments: str) -> dict[str, Any]:
        """One object or list."""
        document: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return document

    def ready(self, namespace: str, name: str) -> None:
        """Returns when a pod is ready; fails with what it is instead."""
        self.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", f"--timeout={SECONDS}s")


def kill_programs(pod_uid: str) -> int:
    """Ends every program of a pod at once, as `kill -9` on its node would; returns how many there were.

    From outside: inside a container its first process can't be killed.
    """
    killed = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = f"pod{pod_uid}" in (folder / "cgroup").read_text()
            if ours and (folder / "comm").read_text().strip() != "pause":
                os.kill(int(folder.name), signal.SIGKILL)
                killed += 1
    return killed


def pod(cluster: Cluster, name: str, command: list[str], **spec: Any) -> dict[str, Any]:
    """A pod that the profile `restricted` lets in."""
    container = {
        "name": "main",
        "image": cluster.busybox,
        "command": command,
        "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    container |= spec.pop("container", {})
    security = {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            "securityContext": security,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            **spec,
        },
    }


def within(namespace: str, document: dict[str, Any]) -> dict[str, Any]:
    """The same object in a namespace."""
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


def eventually(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """How long it took until the condition came true; fails the test when it did not in time."""
    began = time.monotonic()
    assert wait_until(condition, seconds), f"not within {seconds:.0f} s: {what}"
    return time.monotonic() - began

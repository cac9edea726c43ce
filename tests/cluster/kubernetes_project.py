"""Pulumi projects that put objects into the live cluster, each into a namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.airgap.project import Project, new_project

PREAMBLE = """
import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
suffix = config.require("suffix")
provider = k8s.Provider("k", kubeconfig=config.require("kubeconfig"), enable_patch_force=config.get_bool("force"))
opts = pulumi.ResourceOptions(provider=provider)
"""


REGISTRY = "localhost:5000"


def node_folder() -> Path:
    """Where the node of this machine keeps its files."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(os.environ.get("WORKFLOW_HOME") or Path(data, "workflow-platform")) / "node"


def kubectl_of_the_cluster() -> Kubectl:
    """Kubectl for the cluster that the fixture `cluster` has brought up, or that KUBECONFIG names."""
    return Kubectl(Path(os.environ.get("KUBECONFIG") or node_folder() / "kubeconfig"))


def busybox() -> str:
    """The reference of the node's own small image with a shell, as its registry has it."""
    name = "workflow-node/busybox"
    with urllib.request.urlopen(f"http://{REGISTRY}/v2/{name}/tags/list", timeout=10) as answer:
        tags = json.load(answer)["tags"]
    return f"{REGISTRY}/{name}:{tags[0]}"


@dataclass
class Kubectl:
    """Somebody else at the same cluster."""

    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        """Run kubectl; its output. It has to fail or not, as said."""
        done = subprocess.run(
            [_program(), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def get(self, kind: str, name: str, namespace: str = "default") -> Any:
        """An object."""
        return json.loads(self("get", kind, name, "--namespace", namespace, "--output", "json"))

    def names(self, kind: str, namespace: str = "default") -> list[str]:
        """The names of all objects of a kind."""
        found = self("get", kind, "--namespace", namespace, "--output", "name", "--ignore-not-found")
        return [line.partition("/")[2] for line in found.splitlines()]


def _program() -> str:
    return shutil.which("kubectl") or str(node_folder() / "bin" / "kubectl")


@contextmanager
def project_in(
    kubectl: Kubectl, folder: Path, home: Path, program: str, *, force: bool = True, **config: str
) -> Iterator[Project]:
    """A project with the program; what it has made is removed at the end, also when the test has failed."""
    made = new_project(folder, home, PREAMBLE + program)
    settings = {"kubeconfig": str(kubectl.kubeconfig), "force": str(force).lower(), **config}
    for key, value in settings.items():
        made.pulumi("config", "set", key, value)
    try:
        yield made
    finally:
        kubectl("delete", "namespace", made.suffix, "--ignore-not-found", "--timeout=90s")
        for kind in ("crd", "clusterrole", "storageclass", "priorityclass"):
            for name in kubectl.names(kind):
                if made.suffix in name:
                    kubectl("delete", kind, name, "--ignore-not-found", "--timeout=60s")


def set_program(project: Project, program: str) -> None:
    """Change the program."""
    (project.folder / "__main__.py").write_text(PREAMBLE + program)

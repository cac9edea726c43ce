"""The programs of the node: Kubernetes and its add-ons built from Go modules, the rest from Debian packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from airgap.errors import AirgapError
from airgap.go_build import GoModule, write_mark
from airgap.node.layout import Node

KUBERNETES = "1.34.4"
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
BUILT = ("kubernetes", "coredns", "metrics-server", "pause", "local-path-provisioner")
DEBIAN_PACKAGES = ("etcd-server", "containernetworking-plugins", "docker-registry", "busybox-static")
FROM_PATH = {"containerd": "containerd", "runc": "runc", "iptables": "iptables", "openssl": "openssl"}
"""Programs that the machine must have, with the Debian package that brings each; docker.io brings the first three."""

MODULE = GoModule(Path(__file__).parent / "sources", f"Kubernetes {KUBERNETES}", needed_bytes=8 * 1024**3)
_OURS = ("./kubernetes", "./coredns", "./metrics-server", "./pause")
# Not together with the others: it spells a package's path with another case, which one build refuses.
_ALONE = ("github.com/rancher/local-path-provisioner",)
_VERSION = "k8s.io/component-base/version"
_LINKER_FLAGS = " ".join(
    (
        "-s -w",
        f"-X {_VERSION}.gitVersion=v{KUBERNETES}",
        f"-X {_VERSION}.gitMajor={KUBERNETES.split('.')[0]}",
        f"-X {_VERSION}.gitMinor={KUBERNETES.split('.')[1]}",
    )
)
_MARK = ".built"
_APT_SECONDS = 600
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def built(node: Node) -> bool:
    """Whether the programs are there in the version of this tree."""
    mark = node.bin / _MARK
    return mark.is_file() and mark.read_text() == _mark() and all((node.bin / name).is_file() for name in BUILT)


def build(node: Node, report: Callable[[str], None]) -> None:
    """Build what `built` misses; an interrupted build leaves the old programs. Raises AirgapError."""
    if built(node):
        return
    MODULE.check(node.bin)
    started = time.monotonic()
    report(f"building {MODULE.what} and its add-ons from Go modules (about 9 minutes on 2 cores)")
    with tempfile.TemporaryDirectory(prefix=".build-", dir=node.bin) as folder:
        MODULE.build(Path(folder), _OURS, _LINKER_FLAGS, report)
        MODULE.build(Path(folder), _ALONE, _LINKER_FLAGS, report)
        for made in Path(folder).iterdir():
            made.replace(node.bin / made.name)
    for name in KUBERNETES_PROGRAMS:
        link = node.bin / name
        link.unlink(missing_ok=True)
        link.symlink_to("kubernetes")
    write_mark(node.bin / _MARK, _mark())
    report(f"{MODULE.what} is built ({time.monotonic() - started:.0f} s)")


def version_mark() -> str:
    """A hash over everything that decides what is built."""
    return MODULE.content_hash(_LINKER_FLAGS, *_OURS, *_ALONE)


def _mark() -> str:
    return f"{KUBERNETES} {version_mark()}\n"


def unpacked(node: Node) -> bool:
    """Whether the Debian packages' files are there."""
    mark = node.debian / _MARK
    return mark.is_file() and mark.read_text().split() == list(DEBIAN_PACKAGES)


def unpack(node: Node, report: Callable[[str], None]) -> None:
    """Fetch the Debian packages and unpack them into the node's folder.

    They are not installed: no service is started or enabled, and nothing is left in /etc. Raises AirgapError.
    """
    if unpacked(node):
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise AirgapError("the node's etcd and registry come from Debian packages, and this is no Debian", "use Debian")
    report(f"fetching {', '.join(DEBIAN_PACKAGES)}")
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=node.debian) as folder:
        download = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *DEBIAN_PACKAGES]
        try:
            _run(download, Path(folder))
        except AirgapError:
            report("reading the Debian package lists")
            _run(["apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", "update"], Path(folder))
            _run(download, Path(folder))
        for package in sorted(Path(folder).glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(node.debian)], Path(folder))
    write_mark(node.debian / _MARK, " ".join(DEBIAN_PACKAGES) + "\n")


def system_program(name: str) -> str:
    """The path of a program that the machine must have. Raises AirgapError that names the package."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")
    if found is None:
        raise AirgapError(f"the node needs {name}, which is not installed", f"apt-get install {FROM_PATH[name]}")
    return found


def check_system() -> None:
    """Raises AirgapError for the first of the machine's own programs that is missing."""
    for name in FROM_PATH:
        system_program(name)


def etcd(node: Node) -> Path:
    """Debian's etcd."""
    return node.debian / "usr/bin/etcd"


def registry(node: Node) -> Path:
    """Debian's image registry."""
    return node.debian / "usr/bin/docker-registry"


def network_plugins(node: Node) -> Path:
    """The folder of the container network plugins."""
    return node.debian / "usr/lib/cni"


def busybox(node: Node) -> Path:
    """A static shell with small tools."""
    return node.debian / "bin/busybox"


def _run(command: list[str], folder: Path) -> None:
    variables = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    mend = "check that the Debian mirrors in /etc/apt answer"
    try:
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, timeout=_APT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise AirgapError(f"{' '.join(command[:2])} was not done after {_APT_SECONDS} s", mend) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise AirgapError(f"{' '.join(command[:2])} failed: {last}", mend)

"""Where the node keeps its things, and the fixed names and numbers that its parts agree on."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from airgap.errors import AirgapError

NODE_NAME = "workflow-node"
CONTEXT = "workflow-node"
POD_RANGE = "10.244.0.0/22"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"
BRIDGE = "cni0"

API_PORT = 6443
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
REGISTRY_PORT = 5000
KUBELET_PORT = 10250
REGISTRY = f"localhost:{REGISTRY_PORT}"
LOCAL_PORTS = (ETCD_PORT, ETCD_PEER_PORT, REGISTRY_PORT, 10248, 10249, 10256, 10257, 10259)
"""Ports of the node's parts on 127.0.0.1; API_PORT and KUBELET_PORT are on the machine's own address."""


@dataclass(frozen=True)
class Node:
    """The folder `<home>/node`. Everything that the node writes is in it, but for what its programs have built in."""

    root: Path

    @classmethod
    def of(cls, home: Path) -> Node:
        """The node that belongs to a home folder."""
        return cls(home / "node")

    def make(self) -> Node:
        """Make the folders, readable by their owner only."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.bin, self.debian, self.pki, self.config, self.run, self.logs, self.volumes):
            folder.mkdir(exist_ok=True, mode=0o700)
        return self

    @property
    def bin(self) -> Path:
        """Programs that were built here."""
        return self.root / "bin"

    @property
    def debian(self) -> Path:
        """Debian packages, unpacked and not installed."""
        return self.root / "debian"

    @property
    def pki(self) -> Path:
        """Keys and certificates, 0600."""
        return self.root / "pki"

    @property
    def config(self) -> Path:
        """What is written anew for each start: the parts' settings."""
        return self.root / "config"

    @property
    def run(self) -> Path:
        """Pid files, sockets, runtime state."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """One file for each part, and the pods' logs in `pods`."""
        return self.root / "logs"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's way in, 0600."""
        return self.root / "kubeconfig"

    @property
    def etcd(self) -> Path:
        """The cluster's objects."""
        return self.root / "etcd"

    @property
    def volumes(self) -> Path:
        """The data of persistent volumes."""
        return self.root / "volumes"

    @property
    def kubelet(self) -> Path:
        """The kubelet's root: pods' directories."""
        return self.root / "kubelet"

    @property
    def containerd(self) -> Path:
        """Images and containers."""
        return self.root / "containerd"

    @property
    def containerd_socket(self) -> Path:
        """Where containerd answers."""
        return self.run / "containerd.sock"

    @property
    def registry(self) -> Path:
        """The images of the local registry."""
        return self.root / "registry"

    def program(self, name: str) -> Path:
        """One of our programs by its name."""
        return self.bin / name


def machine_address() -> str:
    """The address under which this machine talks to others. Raises AirgapError when it has none.

    Loopback is no address for a node: pods could not reach it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: it only asks the routing table. The address is one of those kept for documentation.
            probe.connect(("198.51.100.1", 9))
            address = str(probe.getsockname()[0])
        except OSError:
            address = ""
    if not address or address.startswith("127."):
        raise AirgapError(
            "this machine has no address besides loopback, and a node needs one that its pods can reach",
            "bring a network interface up, or add a dummy one with a default route",
        )
    return address

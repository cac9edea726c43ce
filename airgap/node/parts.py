"""The processes of the node in the order of their start, each with how to see that it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from airgap.node import programs
from airgap.node.layout import (
    API_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    KUBELET_PORT,
    NODE_NAME,
    POD_RANGE,
    REGISTRY_PORT,
    SERVICE_RANGE,
    Node,
)
from airgap.node.supervisor import Part

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# Loops that serve clouds or other nodes, and would only burn time on one machine.
_UNNEEDED_CONTROLLERS = (
    "cloud-node-lifecycle-controller",
    "node-ipam-controller",
    "node-route-controller",
    "service-lb-controller",
)


def parts(node: Node, address: str, environ: Mapping[str, str] = os.environ) -> tuple[Part, ...]:
    """Every process of a node with this address."""
    base = {"PATH": f"{node.bin}:{_SYSTEM_PATH}", "HOME": str(node.root)}
    # Only pulling images may have to go through a company's proxy; the parts talk to each other directly.
    pulling = {**base, **{name: environ[name] for name in _PROXIES if name in environ}}
    return (
        Part("etcd", _etcd(node), base, f"tcp:127.0.0.1:{ETCD_PORT}"),
        Part("registry", _registry(node), base, f"tcp:127.0.0.1:{REGISTRY_PORT}"),
        Part("containerd", _containerd(node), pulling, f"unix:{node.containerd_socket}"),
        Part("apiserver", _apiserver(node, address), base, f"tcp:{address}:{API_PORT}"),
        Part("controller-manager", _controller_manager(node), base, "tcp:127.0.0.1:10257"),
        Part("scheduler", _scheduler(node), base, "tcp:127.0.0.1:10259"),
        Part("kubelet", _kubelet(node, address), base, f"tcp:{address}:{KUBELET_PORT}"),
        Part("proxy", _proxy(node), base, "tcp:127.0.0.1:10256"),
    )


def _etcd(node: Node) -> list[str]:
    client, peer = f"https://127.0.0.1:{ETCD_PORT}", f"https://127.0.0.1:{ETCD_PEER_PORT}"
    server = {"cert-file": "etcd.crt", "key-file": "etcd.key", "trusted-ca-file": "etcd-ca.crt"}
    files = [flag for name, file in server.items() for flag in _pair(name, node.pki / file)]
    return [
        str(programs.etcd(node)), f"--name={NODE_NAME}", f"--data-dir={node.etcd}",
        f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster={NODE_NAME}={peer}",
        *files, "--client-cert-auth", "--peer-client-cert-auth",
        "--auto-compaction-mode=periodic", "--auto-compaction-retention=30m", "--snapshot-count=10000",
        "--logger=zap", "--log-level=warn",
    ]  # fmt: skip


def _pair(name: str, path: Path) -> tuple[str, str]:
    """Clients and peers are authenticated by the same files."""
    return f"--{name}={path}", f"--peer-{name}={path}"


def _registry(node: Node) -> list[str]:
    return [str(programs.registry(node)), "serve", str(node.config / "registry.json")]


def _containerd(node: Node) -> list[str]:
    return [programs.system_program("containerd"), "--config", str(node.config / "containerd.toml")]


def _apiserver(node: Node, address: str) -> list[str]:
    pki = node.pki
    return [
        str(node.program("kube-apiserver")), f"--bind-address={address}", f"--advertise-address={address}",
        f"--secure-port={API_PORT}", f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}", "--tls-min-version=VersionTLS12",
        f"--client-ca-file={pki / 'ca.crt'}", "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
        f"--etcd-servers=https://127.0.0.1:{ETCD_PORT}", f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}", f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
        f"--encryption-provider-config={node.config / 'encryption.json'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-accounts.pub'}",
        f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client", "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        "--profiling=false", f"--cert-dir={node.run}",
    ]  # fmt: skip


def _controller_manager(node: Node) -> list[str]:
    own = node.config / "controller-manager.kubeconfig"
    controllers = ",".join(["*", *(f"-{name}" for name in _UNNEEDED_CONTROLLERS)])
    return [
        str(node.program("kube-controller-manager")), *_client(own), "--bind-address=127.0.0.1", "--leader-elect=false",
        f"--root-ca-file={node.pki / 'ca.crt'}", f"--cluster-cidr={POD_RANGE}", "--allocate-node-cidrs=false",
        f"--service-account-private-key-file={node.pki / 'service-accounts.key'}",
        f"--cluster-signing-cert-file={node.pki / 'ca.crt'}", f"--cluster-signing-key-file={node.pki / 'ca.key'}",
        f"--requestheader-client-ca-file={node.pki / 'front-proxy-ca.crt'}", f"--client-ca-file={node.pki / 'ca.crt'}",
        f"--flex-volume-plugin-dir={node.kubelet / 'volume-plugins'}",
        "--use-service-account-credentials=true", f"--controllers={controllers}", "--profiling=false",
    ]  # fmt: skip


def _scheduler(node: Node) -> list[str]:
    own = node.config / "scheduler.kubeconfig"
    return [
        str(node.program("kube-scheduler")), *_client(own), "--bind-address=127.0.0.1", "--leader-elect=false",
        f"--requestheader-client-ca-file={node.pki / 'front-proxy-ca.crt'}", f"--client-ca-file={node.pki / 'ca.crt'}",
        "--profiling=false",
    ]  # fmt: skip


def _client(kubeconfig: Path) -> list[str]:
    return [
        f"--{name}={kubeconfig}" for name in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    ]


def _kubelet(node: Node, address: str) -> list[str]:
    return [
        str(node.program("kubelet")), f"--config={node.config / 'kubelet.json'}", f"--root-dir={node.kubelet}",
        f"--kubeconfig={node.config / 'kubelet.kubeconfig'}", f"--hostname-override={NODE_NAME}",
        f"--node-ip={address}", f"--cert-dir={node.run}",
    ]  # fmt: skip


def _proxy(node: Node) -> list[str]:
    return [
        str(node.program("kube-proxy")), f"--config={node.config / 'proxy.json'}", f"--hostname-override={NODE_NAME}",
    ]  # fmt: skip

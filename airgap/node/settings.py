"""The settings files of the node's parts, written anew before each start. Each function is pure: facts in, text out."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airgap.go_build import write_mark
from airgap.node import programs
from airgap.node.layout import (
    API_PORT,
    BRIDGE,
    CLUSTER_DOMAIN,
    CONTEXT,
    DNS_SERVICE_ADDRESS,
    POD_RANGE,
    REGISTRY,
    REGISTRY_PORT,
    Node,
)

_UNUSED_PLUGINS = [f"io.containerd.snapshotter.v1.{name}" for name in ("aufs", "btrfs", "devmapper", "zfs")]
KUBECONFIGS = ("controller-manager", "scheduler", "proxy", "kubelet")


def write(node: Node, address: str, pause: str, resolver: Path) -> None:
    """Write all of them: `pause` is the reference of the image that holds a pod's namespaces, `resolver` a file."""
    for name in KUBECONFIGS:
        _private(node.config / f"{name}.kubeconfig", kubeconfig(node.pki, name, address))
    _private(node.kubeconfig, kubeconfig(node.pki, "admin", address))
    _private(node.config / "encryption.json", encryption((node.pki / "encryption.key").read_text()))
    plain = {
        "containerd.toml": containerd(node, pause),
        "registry.json": registry(node),
        "kubelet.json": kubelet(node, address, resolver),
        "proxy.json": proxy(node),
        "cni/10-workflow.conflist": network(node),
        f"registries/{REGISTRY}/hosts.toml": registry_host(),
    }
    for name, text in plain.items():
        path = node.config / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mark(path, text)


def kubeconfig(pki: Path, user: str, address: str) -> str:
    """A client configuration with its certificates in it, so that the one file is enough."""

    def inline(name: str) -> str:
        return b64encode((pki / name).read_bytes()).decode()

    server = {"server": f"https://{address}:{API_PORT}", "certificate-authority-data": inline("ca.crt")}
    identity = {"client-certificate-data": inline(f"{user}.crt"), "client-key-data": inline(f"{user}.key")}
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": server}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
            "current-context": CONTEXT,
        }
    )


def encryption(key: str) -> str:
    """Secrets are stored sealed with this key (32 bytes, base64)."""
    sealed = {"secretbox": {"keys": [{"name": "first", "secret": key.strip()}]}}
    return _json(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["secrets"], "providers": [sealed, {"identity": {}}]}],
        }
    )


def containerd(node: Node, pause: str) -> str:
    """An instance of its own beside the Docker engine's."""
    cri = "io.containerd.grpc.v1.cri"
    return f"""version = 2
root = "{node.containerd}"
state = "{node.run / "containerd"}"
oom_score = 0
disabled_plugins = [{", ".join(f'"{plugin}"' for plugin in _UNUSED_PLUGINS)}]
[grpc]
  address = "{node.containerd_socket}"
[plugins."{cri}"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE no score below our own can be given.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  enable_unprivileged_ports = true
  [plugins."{cri}".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."{cri}".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."{cri}".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."{cri}".cni]
    bin_dir = "{programs.network_plugins(node)}"
    conf_dir = "{node.config / "cni"}"
  [plugins."{cri}".registry]
    config_path = "{node.config / "registries"}"
"""


def registry_host() -> str:
    """containerd's way to the local registry, by address: `localhost` may mean the IPv6 one first."""
    return f"""server = "http://127.0.0.1:{REGISTRY_PORT}"
[host."http://127.0.0.1:{REGISTRY_PORT}"]
  capabilities = ["pull", "resolve"]
"""


def registry(node: Node) -> str:
    """The local registry: on this machine only, deleting allowed."""
    purging = {"enabled": True, "age": "24h", "interval": "24h", "dryrun": False}
    storage = {
        "filesystem": {"rootdirectory": str(node.registry)},
        "delete": {"enabled": True},
        "maintenance": {"uploadpurging": purging},
    }
    return _json(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": storage,
            "http": {"addr": f"127.0.0.1:{REGISTRY_PORT}"},
        }
    )


def network(node: Node) -> str:
    """Pods on one bridge. `firewall` lets their traffic pass where Docker has set the forward chain to drop."""
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(node.root / "addresses"),
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    firewall = {"type": "firewall", "backend": "iptables"}
    return _json({"cniVersion": "0.4.0", "name": "workflow", "plugins": [bridge, ports, firewall]})


def kubelet(node: Node, address: str, resolver: Path) -> str:
    """Nothing is evicted and no image is deleted before the disk is really full: the machine is shared."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": address,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(node.pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(node.pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(node.pki / "kubelet.key"),
            "tlsMinVersion": "VersionTLS12",
            "readOnlyPort": 0,
            "healthzBindAddress": "127.0.0.1",
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
            "clusterDomain": CLUSTER_DOMAIN,
            "clusterDNS": [DNS_SERVICE_ADDRESS],
            "resolvConf": str(resolver),
            "podLogsDir": str(node.logs / "pods"),
            "containerLogMaxSize": "10Mi",
            "containerLogMaxFiles": 3,
            "volumePluginDir": str(node.kubelet / "volume-plugins"),
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "evictionHard": {"memory.available": "200Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
            "kubeReserved": {"memory": "1Gi"},
            "enforceNodeAllocatable": ["pods"],
            "serializeImagePulls": False,
            "maxParallelImagePulls": 3,
        }
    )


def proxy(node: Node) -> str:
    """Service addresses by iptables. Connection tracking is left as the machine has it: its settings are not ours."""
    untouched = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(node.config / "proxy.kubeconfig")},
            "mode": "iptables",
            "clusterCIDR": POD_RANGE,
            "conntrack": untouched,
            # On loopback too: there a published port is the same address on every machine.
            "iptables": {"localhostNodePorts": True, "minSyncPeriod": "1s", "syncPeriod": "30s"},
            "nodePortAddresses": [],
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "oomScoreAdj": 0,
        }
    )


def resolver_text(machine: str) -> str:
    """A resolv.conf for pods: the machine's without servers on loopback, which pods cannot reach."""
    kept = [line for line in machine.splitlines() if not line.strip().startswith("nameserver 127.")]
    return "\n".join(line for line in kept if not line.strip().startswith("nameserver ::1")) + "\n"


def _private(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.chmod(0o600)
    temporary.write_text(text)
    temporary.replace(path)


def _json(document: Mapping[str, Any]) -> str:
    # JSON is YAML as well, and every one of these programs reads YAML.
    return json.dumps(document, indent=1) + "\n"

"""Whether this machine can carry the node, looked at before anything is started."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
from pathlib import Path

from airgap.errors import AirgapError
from airgap.node import programs
from airgap.node.layout import API_PORT, BRIDGE, KUBELET_PORT, LOCAL_PORTS, POD_RANGE, SERVICE_RANGE

_BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_NEEDED_BYTES = 1024**3


def check(address: str) -> None:
    """Raises AirgapError, with the mend, for the first thing that a node could not run with or that it would break."""
    if os.geteuid() != 0:
        raise AirgapError("a node needs root: it makes namespaces, mounts and packet filter rules", "run it as root")
    programs.check_system()
    for host, ports in (("127.0.0.1", LOCAL_PORTS), (address, (API_PORT, KUBELET_PORT))):
        for port in ports:
            _check_port(host, port)
    listed = subprocess.run(["ip", "-4", "route", "show"], capture_output=True, text=True, timeout=30, check=False)
    for taken in (POD_RANGE, SERVICE_RANGE):
        if clash := overlapping_route(listed.stdout, taken):
            raise AirgapError(
                f"the node's range {taken} is used on this machine already: {clash}",
                "take that network away, e.g. with `docker network rm`",
            )
    available = _available_bytes(Path("/proc/meminfo").read_text())
    if available < _NEEDED_BYTES:
        raise AirgapError(f"the node needs 1 GB of memory, {available / 1024**3:.1f} GB are available", "free memory")
    _prepare_kernel(address)


def overlapping_route(routes: str, taken: str) -> str:
    """The first route, of those that `ip route` lists, that leads into the range by another way than our bridge."""
    wanted = ipaddress.ip_network(taken)
    for line in routes.splitlines():
        words = line.split()
        if not words or words[0] == "default" or {BRIDGE, "lo"} & set(words):
            continue
        try:
            target = ipaddress.ip_network(words[0], strict=False)
        except ValueError:
            continue
        if target.overlaps(wanted):
            return line.strip()
    return ""


def _check_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AirgapError(
                f"the node needs {host}:{port}, and that port is taken ({error.strerror})",
                f"see who has it with `ss -ltnp sport = :{port}` and end that",
            ) from error


def _available_bytes(meminfo: str) -> int:
    line = next(line for line in meminfo.splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def release_service_range() -> None:
    """Undo what `check` did to the routes."""
    subprocess.run(["ip", "route", "delete", SERVICE_RANGE, "dev", "lo"], capture_output=True, timeout=30, check=False)


def _prepare_kernel(address: str) -> None:
    """Pods reach services through the packet filter, also on one bridge, and the outside by forwarding."""
    if not _BRIDGE_FILTER.exists():
        raise AirgapError("the kernel filters no bridged packets (no br_netfilter)", "modprobe br_netfilter")
    for switch in (_BRIDGE_FILTER, _FORWARDING):
        if switch.read_text().strip() != "1":
            switch.write_text("1")
    # A service's address without its rules, as at each start, must lead nowhere. By the default route it would leave
    # the machine, and whoever answers there, as a company's proxy does, would be taken for the service.
    command = ["ip", "route", "replace", SERVICE_RANGE, "dev", "lo", "src", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        reason = f"the services' range {SERVICE_RANGE} could not be kept on the machine: {done.stderr.strip()}"
        raise AirgapError(reason, "see `ip route`")

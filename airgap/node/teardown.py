"""Taking the node down: nothing of it is left in the kernel, in memory, or outside its folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from airgap.errors import AirgapError
from airgap.node import firewall, machine, programs
from airgap.node.layout import BRIDGE, SERVICE_RANGE, Node
from airgap.node.processes import Identity, end, wait_until
from airgap.node.supervisor import answers, state_processes, supervisor_of

_SUPERVISOR_SECONDS = 100
_POD_SECONDS = 15
_SHIM = "containerd-shim-runc-v2"
_PROGRAMS = {*programs.KUBERNETES_PROGRAMS, "etcd", "docker-registry", "containerd", _SHIM}
_CGROUPS = Path("/sys/fs/cgroup")
_KUBELET_OUTSIDE = Path("/var/lib/kubelet")
_LOG_LINKS = Path("/var/log/containers")
_NETWORK_RESULTS = Path("/var/lib/cni/results")
_DATA = (
    "etcd",
    "volumes",
    "containerd",
    "kubelet",
    "registry",
    "pki",
    "config",
    "run",
    "logs",
    "kubeconfig",
)


def down(node: Node, purge: bool, report: Callable[[str], None]) -> list[str]:
    """End everything, unmount, clean the kernel's tables; with `purge` delete the data too. Returns what was there.

    What was built or fetched stays, so that the next start need not make it again. Raises AirgapError when something
    does not let itself be taken away.
    """
    found = []
    if supervisor := supervisor_of(node.run):
        report("ending the node's parts")
        found.append("supervisor")
        # It ends its parts itself, one after the other; what it leaves is ended below.
        end([supervisor], _SUPERVISOR_SECONDS)
    end(parts_left(node), 10)
    if pods := pod_processes():
        report(f"ending {len(pods)} processes of pods")
        found.append(f"{len(pods)} processes of pods")
        end(pods, _POD_SECONDS)
    if any(name == _SHIM for _, name in _of_node(node)):
        _let_go_of_containers(node, report)
    end([process for process, _ in _of_node(node)], 5)
    report("unmounting, and cleaning the network")
    _unmount(node.root)
    _unmount(_KUBELET_OUTSIDE)
    _remove_cgroups()
    _remove_bridge()
    machine.release_service_range()
    firewall.clean()
    _remove_outside(node)
    if purge:
        for name in _DATA:
            path = node.root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        found.append("data")
    if remains := left(node):
        raise AirgapError(f"of the node is left: {', '.join(remains)}", "run ./deploy-api.sh cluster down again")
    return found


def left(node: Node) -> list[str]:
    """What a node leaves while it runs, or left when it was killed: empty after `down`."""
    remains = [f"process {name} ({process.pid})" for process, name in _of_node(node)]
    remains += [f"pod process {process.pid}" for process in pod_processes()]
    remains += [f"mount {path}" for path in [*_mounts_under(node.root), *_mounts_under(_KUBELET_OUTSIDE)]]
    remains += [f"cgroup {path}" for path in _cgroups()]
    if Path("/sys/class/net", BRIDGE).exists():
        remains.append(f"interface {BRIDGE}")
    for family in ("iptables", "ip6tables"):
        with suppress(OSError):
            saved = subprocess.run([f"{family}-save"], capture_output=True, text=True, timeout=30, check=False).stdout
            remains += [f"{family} chain {chain}" for chain in firewall.left(saved)]
    listed = subprocess.run(["ip", "route"], capture_output=True, text=True, timeout=30, check=False).stdout
    remains += [f"route {line}" for line in listed.splitlines() if line.startswith(SERVICE_RANGE)]
    remains += [str(path) for path in (_KUBELET_OUTSIDE, _LOG_LINKS) if path.exists()]
    return remains


def parts_left(node: Node) -> list[Identity]:
    """Living parts, with or without a supervisor that knows them. The shims are not among them: they carry the pods."""
    return [*state_processes(node.run), *(process for process, name in _of_node(node) if name != _SHIM)]


def pod_processes() -> list[Identity]:
    """The living processes of all pods on this machine."""
    pids: set[int] = set()
    for group in _cgroups():
        for members in group.rglob("cgroup.procs"):
            with suppress(OSError):
                pids |= {int(line) for line in members.read_text().split()}
    return [process for process in map(Identity.of, sorted(pids)) if process is not None]


def _of_node(node: Node) -> Iterator[tuple[Identity, str]]:
    """Processes of the node by what they are and by its folder in their arguments, known to a state or not."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            name = Path(argv[0]).name
            supervising = "airgap.node.supervisor" in argv
            if (name in _PROGRAMS or supervising) and any(f"{node.root}/" in word for word in argv):
                process = Identity.of(int(entry.name))
                if process is not None and process.pid != os.getpid():
                    yield process, "supervisor" if supervising else name


def _let_go_of_containers(node: Node, report: Callable[[str], None]) -> None:
    """containerd ends its shims as it should; killed, they would leave sockets and mounts."""
    report("letting containerd put its containers away")
    log = node.logs / "containerd.log"
    command = [programs.system_program("containerd"), "--config", str(node.config / "containerd.toml")]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        if not wait_until(lambda: answers(f"unix:{node.containerd_socket}"), 20):
            return
        client = [str(Path(command[0]).with_name("ctr")), "-a", str(node.containerd_socket), "-n", "k8s.io", "tasks"]
        with suppress(OSError, subprocess.TimeoutExpired):
            listed = subprocess.run([*client, "ls", "-q"], capture_output=True, text=True, timeout=20, check=False)
            for at in range(0, len(tasks := listed.stdout.split()), 20):
                subprocess.run(
                    [*client, "rm", "-f", *tasks[at : at + 20]], capture_output=True, timeout=60, check=False
                )
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _mounts_under(root: Path) -> list[Path]:
    """Mount points below a folder, the innermost first."""
    places = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = line.split()[4].encode().decode("unicode_escape")
        if place.startswith(f"{root}/"):
            places.append(Path(place))
    return sorted(places, key=lambda path: len(path.parts), reverse=True)


def _unmount(root: Path) -> None:
    for place in _mounts_under(root):
        # Lazily at the second try: a process that is about to end may still hold it.
        for option in ([], ["-l"]):
            done = subprocess.run(["umount", *option, str(place)], capture_output=True, timeout=30, check=False)
            if done.returncode == 0:
                break


def _cgroups() -> list[Path]:
    hierarchies = [_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir())] if _CGROUPS.is_dir() else []
    return [path / "kubepods" for path in hierarchies if (path / "kubepods").is_dir()]


def _remove_cgroups() -> None:
    deadline = time.monotonic() + 10
    while (groups := _cgroups()) and time.monotonic() < deadline:
        for group in groups:
            for folder in _innermost_first(group):
                with suppress(OSError):
                    folder.rmdir()
        wait_until(lambda: not _cgroups(), 0.2)


def _innermost_first(folder: Path) -> Iterable[Path]:
    return sorted((path for path in [folder, *folder.rglob("*")] if path.is_dir()), key=lambda p: -len(p.parts))


def _remove_bridge() -> None:
    if not Path("/sys/class/net", BRIDGE).exists():
        return
    for port in list(Path("/sys/class/net", BRIDGE, "brif").iterdir()):
        subprocess.run(["ip", "link", "delete", port.name], capture_output=True, timeout=30, check=False)
    subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, timeout=30, check=False)


def _remove_outside(node: Node) -> None:
    """What Kubernetes and the network plugins write at places that are built into them."""
    shutil.rmtree(_KUBELET_OUTSIDE, ignore_errors=True)
    if _LOG_LINKS.is_dir():
        for link in _LOG_LINKS.iterdir():
            if link.is_symlink() and str(link.readlink()).startswith(str(node.logs)):
                link.unlink()
    for pattern in ("workflow-*", "cni-loopback-*"):
        for result in _NETWORK_RESULTS.glob(pattern) if _NETWORK_RESULTS.is_dir() else ():
            result.unlink(missing_ok=True)
    for folder in (_LOG_LINKS, _NETWORK_RESULTS, _NETWORK_RESULTS.parent):
        with suppress(OSError):
            folder.rmdir()
    # Their pods are gone, so the addresses are free again.
    shutil.rmtree(node.root / "addresses", ignore_errors=True)

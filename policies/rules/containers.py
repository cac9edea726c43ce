"""What a container may do to the machine that it runs on."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.deployment import Deployment
from policies.view.mounts import machine_folders
from policies.view.pods import Container, Pod
from policies.view.selectors import namespace_of
from policies.view.targets import on_docker, on_kubernetes, place
from policies.view.values import Value

ITEM = "container-hardening"

SYSTEM_FOLDERS = ("/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/bin", "/sys", "/usr",
                  "/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet", "/var/run")  # fmt: skip

ENGINE_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock")


@rule(ITEM, on=Container, wanted="no privileged mode", mend="leave `privileged` out")
def containers_are_not_privileged(container: Container) -> Iterator[Fault]:
    """A privileged container is root of the machine: whoever gets into it has all other programs too."""
    if container.privileged.flag():
        yield Fault(container.privileged, "the container is privileged")


@rule(ITEM, on=Container, wanted="no added capabilities", mend="leave the list of added capabilities out")
def containers_get_no_rights_of_root(container: Container) -> Iterator[Fault]:
    """Each added capability is a part of root's rights that an intruder gets with the program."""
    if container.capabilities_added.items():
        yield Fault(container.capabilities_added, "the container is given rights of root")


@rule(ITEM, on=Container, wanted="all capabilities dropped", mend="drop ALL")
def containers_drop_all_rights_of_root(container: Container) -> Iterator[Fault]:
    """The engine gives fourteen capabilities unasked; a program without need of them has none to lose."""
    if "ALL" not in {each.upper() for each in container.capabilities_dropped.texts()}:
        yield Fault(container.capabilities_dropped, "not all capabilities are dropped")


@rule(
    ITEM, on=Container, wanted="a read-only root file system", mend="set it, and mount what must be written",
    environments=["prod"],
)  # fmt: skip
def containers_cannot_change_their_own_files(container: Container) -> Iterator[Fault]:
    """What can't write its own programs can't be changed into something else for good."""
    if not container.read_only_root.flag():
        yield Fault(container.read_only_root, "the container can write its own root file system")


@rule(ITEM, on=Pod, wanted="no folder or socket of the engine", mend="remove the mount")
def programs_do_not_reach_the_container_engine(pod: Pod) -> Iterator[Fault]:
    """Whoever can speak to the engine's socket can start any container, as root of the machine."""
    for mount in machine_folders(pod):
        path = mount.path.text()
        if path is not None and any(
            socket == path or socket.startswith(path.rstrip("/") + "/") for socket in ENGINE_SOCKETS
        ):
            yield Fault(mount.path, "the container engine's socket is mounted")


@rule(ITEM, on=Pod, wanted="folders of the machine's system are mounted read-only, if at all", mend="read-only mounts")
def programs_do_not_write_into_the_machines_system(pod: Pod) -> Iterator[Fault]:
    """Who can write the machine's programs or settings can become its root at the next start of one of them."""
    for mount in machine_folders(pod):
        path = (mount.path.text() or "").rstrip("/") or "/"
        of_system = path == "/" or any(path == each or path.startswith(each + "/") for each in SYSTEM_FOLDERS)
        if of_system and not all(each.flag() for each in mount.read_only):
            yield Fault(mount.path, "a folder of the machine's system can be written")


@rule(ITEM, on=Pod, wanted="a network of its own", mend="leave host networking out; publish the port")
def programs_do_not_share_the_machines_network(pod: Pod) -> Iterator[Fault]:
    """With the machine's network a program reaches whatever listens on loopback only, and no network policy holds."""
    shared = pod.spec["hostNetwork"] if pod.target == "kubernetes" else pod.spec["networkMode"]
    if shared.text() in ("true", "host"):
        yield Fault(shared, "the machine's network is shared")


@rule(ITEM, on=Pod, wanted="processes and memory of its own", mend="leave the host's PID and IPC namespaces out")
def programs_do_not_see_the_machines_processes(pod: Pod) -> Iterator[Fault]:
    """Who sees the machine's processes and shared memory can read other programs' secrets, or end them."""
    names = ("hostPID", "hostIPC") if pod.target == "kubernetes" else ("pidMode", "ipcMode")
    for name in names:
        if pod.spec[name].text() in ("true", "host"):
            yield Fault(pod.spec[name], "the machine's processes or memory are shared")


@rule(ITEM, on=Container, wanted="no devices of the machine", mend="leave `devices` out", where=on_docker)
def containers_get_no_devices(container: Container) -> Iterator[Fault]:
    """A device is used past the file system's rights: a disk's device is all of its data."""
    if container.spec["devices"].items():
        yield Fault(container.spec["devices"], "devices of the machine are handed in")


@rule(
    ITEM, on=Container, wanted="runAsNonRoot: true", mend="set it in the security context of the pod or the container",
    where=on_kubernetes,
)  # fmt: skip
def containers_are_refused_as_root(container: Container) -> Iterator[Fault]:
    """With this the node refuses to start the program as root, whatever its image says tomorrow."""
    own = container.security["runAsNonRoot"]
    told = own if own.is_given else container.pod.spec.at("securityContext", "runAsNonRoot")
    if not told.flag():
        yield Fault(told, "the container may be started as root")


@rule(
    ITEM, on=Container, wanted="no way to more rights than it began with",
    mend="allowPrivilegeEscalation: false, or the security option no-new-privileges:true",
)  # fmt: skip
def containers_cannot_gain_rights(container: Container) -> Iterator[Fault]:
    """Programs with the set-uid bit give root's rights to whoever starts them; this takes the bit its effect."""
    if container.target == "kubernetes":
        told = container.security["allowPrivilegeEscalation"]
        bounded = told.flag() is False
    else:
        told = container.spec["securityOpts"]
        words = {each.replace("=", ":") for each in told.texts()}
        bounded = bool(words & {"no-new-privileges", "no-new-privileges:true"})
    if not bounded:
        yield Fault(told, "the program can gain rights that it was not started with")


@rule(
    ITEM, on=Container, wanted="the engine's filter of system calls, or a narrower one",
    mend="seccompProfile.type: RuntimeDefault; with Docker no security option `unconfined`",
)  # fmt: skip
def containers_have_their_system_calls_filtered(container: Container) -> Iterator[Fault]:
    """The filter keeps programs from the rarely used system calls in which the kernel's holes are found."""
    if container.target == "kubernetes":
        own = container.security.at("seccompProfile", "type")
        told = own if own.is_given else container.pod.spec.at("securityContext", "seccompProfile", "type")
        if told.text() not in ("RuntimeDefault", "Localhost"):
            yield Fault(told, "system calls are not filtered")
        return
    told = container.spec["securityOpts"]
    if any(each.replace("=", ":").endswith((":unconfined", ":disable")) for each in told.texts()):
        yield Fault(told, "a filter that the engine sets by itself is switched off")


@rule(
    ITEM, on=Deployment, wanted="no token, or one asked for by a program with an account of its own",
    mend="automountServiceAccountToken: false, in the pod or its ServiceAccount",
)  # fmt: skip
def tokens_of_the_cluster_are_not_mounted_unasked(deployment: Deployment) -> Iterator[Fault]:
    """The cluster gives every pod a key to its API unless it is told not to; few programs ever use theirs."""
    for pod in deployment.pods:
        if pod.target != "kubernetes":
            continue
        told, account = pod.spec["automountServiceAccountToken"], pod.spec["serviceAccountName"].text() or "default"
        if told.is_absent:
            told = _account_says(deployment, pod, account)
        where = place(pod.resource, "automountServiceAccountToken")
        if told.is_absent:
            yield Fault(where, "a token of the cluster's API is mounted unasked")
        elif told.flag() and account == "default":
            yield Fault(where, "the token that is mounted is of the account that all programs share")


def _account_says(deployment: Deployment, pod: Pod, account: str) -> Value:
    for each in deployment.of("ServiceAccount"):
        if each.object_name.text() == account and namespace_of(each) == namespace_of(pod.resource):
            return each.inputs["automountServiceAccountToken"]
    return Value(None)

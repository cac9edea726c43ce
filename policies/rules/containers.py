"""What a container may do to the machine that it runs on."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.pods import Container, Pod

ITEM = "container-hardening"

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
    if pod.target == "kubernetes":
        mounts = [volume.at("hostPath", "path") for volume in pod.spec["volumes"].items()]
    else:
        mounts = [volume["hostPath"] for volume in pod.spec["volumes"].items()]
    for mount in mounts:
        path = mount.text()
        if path is not None and any(
            socket == path or socket.startswith(path.rstrip("/") + "/") for socket in ENGINE_SOCKETS
        ):
            yield Fault(mount, "the container engine's socket is mounted")

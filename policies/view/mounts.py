"""What a pod mounts: folders of the machine, volumes that stay, and room that passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policies.view.pods import Container, Pod
from policies.view.values import Value


@dataclass(frozen=True)
class MachineFolder:
    """A folder of the machine: its path, and of each container that has it whether it may only read."""

    path: Value
    read_only: tuple[Value, ...]


def machine_folders(pod: Pod) -> Iterator[MachineFolder]:
    """The machine's folders that a pod mounts. Raises NotKnownError when its volumes can't be known."""
    if pod.target == "docker":
        for volume in pod.spec["volumes"].items():
            if volume["hostPath"].is_given:
                yield MachineFolder(volume["hostPath"], (volume["readOnly"],))
        for mount in pod.spec["mounts"].items():
            if mount["type"].text() == "bind":
                yield MachineFolder(mount["source"], (mount["readOnly"],))
        return
    for volume in pod.spec["volumes"].items():
        if not volume["hostPath"].is_given:
            continue
        name = volume["name"].text()
        mounts = [each for container in pod.containers for each in container.spec["volumeMounts"].items()]
        read_only = tuple(each["readOnly"] for each in mounts if each["name"].text() == name)
        yield MachineFolder(volume.at("hostPath", "path"), read_only)


def kept_paths(container: Container) -> list[str]:
    """Where a container mounts volumes that outlive it and that it may write: named ones, and claims.

    Raises NotKnownError.
    """
    pod = container.pod
    if pod.target == "docker":
        own = [
            each["containerPath"].text()
            for each in pod.spec["volumes"].items()
            if each["volumeName"].is_given and not each["readOnly"].flag()
        ]
        own += [
            each["target"].text()
            for each in pod.spec["mounts"].items()
            if each["type"].text() == "volume" and each["source"].is_given and not each["readOnly"].flag()
        ]
    else:
        kept = {each["name"].text() for each in pod.spec["volumes"].items() if each["persistentVolumeClaim"].is_given}
        claims = pod.resource.inputs.at("spec", "volumeClaimTemplates")
        kept |= {each.at("metadata", "name").text() for each in claims.items()}
        own = [
            each["mountPath"].text()
            for each in container.spec["volumeMounts"].items()
            if each["name"].text() in kept and not each["readOnly"].flag()
        ]
    return [path for path in own if path]


def lies_in(path: str, folders: list[str]) -> bool:
    """Whether a path is one of the folders, or in one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)

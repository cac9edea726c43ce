"""The files and folders of a pod: config, secrets, scratch and data."""

import base64
import hashlib
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from infra.targets.kubernetes.objects import Objects
from infra.workload import CONFIG_FOLDER, Workload

FILES_VOLUME = "files"
SCRATCH_MEBIBYTES = 64
PRIVATE_TO_GROUP = 0o440
"""Readable by root and the program's group, which is as private as a projected file can be."""

HASH_LETTERS = 16


def files(objects: Objects) -> list[pulumi.Resource]:
    """Registers what holds the content of its files."""
    workload = objects.workload
    made: list[pulumi.Resource] = []
    if workload.config_files:
        made.append(
            core.ConfigMap(
                f"{workload.part}-config",
                metadata=objects.metadata(f"{workload.part}-config"),
                data={_key(path): content for path, content in workload.config_files.items()},
                opts=objects.opts,
            )
        )
    if workload.secret_files:
        made.append(
            core.Secret(
                f"{workload.part}-secrets",
                metadata=objects.metadata(f"{workload.part}-secrets"),
                # Not `string_data`: the cluster turns that into `data`, which every refresh would call a drift.
                data={_key(path): _encoded(text) for path, text in workload.secret_files.items()},
                opts=objects.opts,
            )
        )
    return made


def files_hash(workload: Workload) -> pulumi.Output[str]:
    """Changes when a file does that the program reads only at its start.

    It is made of secrets too, of which each has 256 random bits, so that it tells nothing of them.
    """
    watched = {**workload.config_files, **workload.secret_files}
    chosen = {name: content for name, content in sorted(watched.items()) if name not in workload.rereads}

    def digest(contents: Mapping[str, str]) -> str:
        made = hashlib.sha256()
        for name, content in sorted(contents.items()):
            made.update(f"{name}\0{len(content)}\0{content}".encode())
        return made.hexdigest()[:HASH_LETTERS]

    # Named arguments, and at least one of them: with none `all` gives a list.
    return pulumi.Output.unsecret(pulumi.Output.all(**{"": "", **chosen}).apply(digest))


def mounts(workload: Workload) -> list[core.VolumeMountArgs]:
    """Where the container sees its volumes."""
    made = [
        core.VolumeMountArgs(name=volume.name, mount_path=volume.path, read_only=volume.read_only or None)
        for volume in workload.volumes
    ]
    made += [core.VolumeMountArgs(name=_scratch_name(path), mount_path=path) for path in workload.scratch]
    if _has_files(workload):
        made.append(core.VolumeMountArgs(name=FILES_VOLUME, mount_path=CONFIG_FOLDER, read_only=True))
    return made


def volumes(workload: Workload) -> list[core.VolumeArgs]:
    """The volumes of the pod itself; those of `claims` come with its carrier."""
    made = [
        core.VolumeArgs(
            name=_scratch_name(path), empty_dir=core.EmptyDirVolumeSourceArgs(size_limit=f"{SCRATCH_MEBIBYTES}Mi")
        )
        for path in workload.scratch
    ]
    made += [
        core.VolumeArgs(
            name=volume.name,
            persistent_volume_claim=core.PersistentVolumeClaimVolumeSourceArgs(
                claim_name=f"{volume.name}-{volume.owner}-0"
            ),
        )
        for volume in workload.volumes
        if volume.owner
    ]
    made += [
        core.VolumeArgs(name=volume.name, empty_dir=core.EmptyDirVolumeSourceArgs(size_limit=f"{volume.size}Mi"))
        for volume in workload.volumes
        if volume.passing
    ]
    if _has_files(workload):
        made.append(core.VolumeArgs(name=FILES_VOLUME, projected=_projected(workload)))
    return made


def claims(workload: Workload, storage_class: str | None) -> Sequence[core.PersistentVolumeClaimArgs]:
    """The claims that each replica of a stateful workload makes for itself."""
    return [
        core.PersistentVolumeClaimArgs(
            metadata=meta.ObjectMetaArgs(name=volume.name),
            spec=core.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=storage_class,
                resources=core.VolumeResourceRequirementsArgs(requests={"storage": f"{volume.size}Mi"}),
            ),
        )
        for volume in workload.volumes
        if not volume.owner and not volume.passing
    ]


def _has_files(workload: Workload) -> bool:
    return bool(workload.config_files or workload.secret_files or workload.foreign_secrets)


def _projected(workload: Workload) -> core.ProjectedVolumeSourceArgs:
    sources = []
    if workload.config_files:
        items = [core.KeyToPathArgs(key=_key(path), path=path) for path in sorted(workload.config_files)]
        source = core.ConfigMapProjectionArgs(name=f"{workload.part}-config", items=items)
        sources.append(core.VolumeProjectionArgs(config_map=source))
    if workload.secret_files:
        items = [core.KeyToPathArgs(key=_key(path), path=f"secrets/{path}") for path in sorted(workload.secret_files)]
        secret = core.SecretProjectionArgs(name=f"{workload.part}-secrets", items=items)
        sources.append(core.VolumeProjectionArgs(secret=secret))
    for name, keys in sorted(workload.foreign_secrets.items()):
        items = [core.KeyToPathArgs(key=key, path=f"secrets/{file}") for key, file in sorted(keys.items())]
        sources.append(core.VolumeProjectionArgs(secret=core.SecretProjectionArgs(name=name, items=items)))
    return core.ProjectedVolumeSourceArgs(default_mode=PRIVATE_TO_GROUP, sources=sources)


def _key(path: str) -> str:
    """The key of a file in its ConfigMap or Secret, where slashes are not allowed."""
    return path.replace("/", "__")


def _encoded(text: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.secret(text).apply(lambda plain: base64.b64encode(plain.encode()).decode())


def _scratch_name(path: str) -> str:
    return "scratch-" + path.strip("/").replace("/", "-").replace("_", "-").lower()

"""Turns workloads into containers, volumes and a network on one Docker engine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pulumi
import pulumi_docker as docker

from infra.endpoints import Placed
from infra.workload import CONFIG_FOLDER, Kind, Workload
from stacks.model import Stack
from stacks.parts.common import HealthTiming

UPLOADED = "/uploaded"
"""Where files land in the container that fills a config volume."""

# The engine cannot upload into a container whose root is read-only, so a short job of the same user copies the files
# into a volume, which the program then mounts read-only. Its umask makes every file private to that user.
FILL_CONFIG = f"umask 077 && find {CONFIG_FOLDER} -mindepth 1 -delete && cp -R {UPLOADED}/. {CONFIG_FOLDER}/"

HEALTH_WAIT_SECONDS = 240

LabelArgs = TypeVar("LabelArgs")


class DockerTarget:
    """One stack on a Docker engine."""

    replicates = False

    def __init__(self, stack: Stack, image_reference: Callable[[str], str]) -> None:
        """`image_reference` gives the reference of an image that is built here, by its name."""
        self._stack = stack
        self._reference = image_reference
        self._images: dict[str, docker.RemoteImage] = {}
        self.network = docker.Network(
            "network",
            name=stack.docker.network,
            driver="bridge",
            labels=self._labels(docker.NetworkLabelArgs, "network"),
        )

    def place(self, workload: Workload, parent: pulumi.Resource, needs: Sequence[pulumi.Resource] = ()) -> Placed:
        """Registers all resources of a workload, the container after everything it needs.

        Raises ValueError for what one engine can't do: replicas, runs by the clock, and volumes that pass.
        """
        if workload.replicas > 1 or workload.kind is Kind.SCHEDULE:
            raise ValueError(f"{workload.part} needs a target that has replicas and schedules; Docker has neither")
        if any(volume.passing or volume.read_only for volume in workload.volumes):
            raise ValueError(f"{workload.part} has a volume that passes or is only read; nothing on Docker needs one")
        name = self._name(workload.container_name or workload.part)
        image = self._image(workload.image)
        mounts = [self._data(workload, volume.name, volume.path, parent) for volume in workload.volumes]
        # A label for each condition makes the container wait for it, and replaces the container when it changes.
        conditions: dict[str, pulumi.Input[str]] = {
            f"workflow.after.{name}": outcome for name, outcome in workload.after.items()
        }
        conditions |= {f"workflow.told.{name}": text for name, text in workload.told.items()}
        if workload.config_files or workload.secret_files:
            mount, filler = self._config_volume(workload, parent)
            mounts.append(mount)
            conditions["workflow.config"] = _success(workload.part, filler)
        if workload.host_view:
            mounts += [
                docker.ContainerVolumeArgs(host_path=f"/{folder}", container_path=f"/host/{folder}", read_only=True)
                for folder in ("proc", "sys")
            ]
        job = workload.kind is Kind.JOB
        health = workload.health
        container = docker.Container(
            workload.part,
            **self._hardened(workload),
            name=name,
            image=image.image_id,
            command=list(workload.command) or None,
            envs=[pulumi.Output.concat(key, "=", value) for key, value in sorted(workload.env.items())],
            labels=self._labels(docker.ContainerLabelArgs, workload.part, workload.kind, conditions),
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=self.network.name, aliases=[workload.part])],
            ports=[
                docker.ContainerPortArgs(
                    internal=port.number, external=port.published, ip=self._stack.docker.address, protocol="tcp"
                )
                for port in workload.ports
                if port.published
            ],
            volumes=mounts,
            healthcheck=_healthcheck(health.command, health.timing) if health else None,
            restart="no" if job else "unless-stopped",
            must_run=not job,
            attach=job,
            logs=job,
            wait=bool(health and health.gates_start),
            wait_timeout=HEALTH_WAIT_SECONDS,
            opts=pulumi.ResourceOptions(
                parent=parent,
                depends_on=[self.network, *needs],
                # Names and published ports are global on an engine: the old container must go first.
                delete_before_replace=True,
                custom_timeouts=pulumi.CustomTimeouts(create="5m", update="5m", delete="2m"),
            ),
        )
        return Placed(
            part=workload.part,
            resource=container,
            inventory=self._inventory(workload, name, container),
            finished=_success(workload.part, container) if job else None,
        )

    def _hardened(self, workload: Workload) -> dict[str, Any]:
        """What every container has, whatever it runs."""
        resources = workload.resources
        return {
            "user": f"{workload.uid}:{workload.uid}",
            "read_only": workload.read_only_root,
            "tmpfs": dict.fromkeys(workload.scratch, f"rw,noexec,nosuid,size=64m,uid={workload.uid},mode=1770"),
            "capabilities": docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            "security_opts": ["no-new-privileges:true"],
            "memory": resources.memory,
            "memory_swap": resources.memory,
            "cpus": f"{resources.cpus:g}",
            "network_mode": "bridge",
            "log_driver": "json-file",
            "log_opts": {
                "max-size": f"{self._stack.logging.max_size}m",
                "max-file": str(self._stack.logging.max_files),
            },
            "stop_signal": workload.stop_signal,
            "stop_timeout": workload.stop_seconds,
            "destroy_grace_seconds": workload.stop_seconds,
        }

    def _config_volume(
        self, workload: Workload, parent: pulumi.Resource
    ) -> tuple[docker.ContainerVolumeArgs, docker.Container]:
        part = f"{workload.part}-config"
        mount = self._data(workload, part, CONFIG_FOLDER, parent)
        contents = {
            **{f"{UPLOADED}/{path}": content for path, content in workload.config_files.items()},
            **{f"{UPLOADED}/secrets/{name}": content for name, content in workload.secret_files.items()},
        }
        filler = docker.Container(
            part,
            name=self._name(part),
            image=self._image(self._reference("base")).image_id,
            command=["sh", "-c", FILL_CONFIG],
            user=f"{workload.uid}:{workload.uid}",
            labels=self._labels(docker.ContainerLabelArgs, part, Kind.JOB),
            uploads=[
                docker.ContainerUploadArgs(file=file, content=content, permissions="0444")
                for file, content in sorted(contents.items())
            ],
            volumes=[mount],
            network_mode="none",
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            security_opts=["no-new-privileges:true"],
            memory=32,
            memory_swap=32,
            cpus="0.5",
            log_driver="json-file",
            log_opts={"max-size": "1m", "max-file": "1"},
            restart="no",
            must_run=False,
            attach=True,
            logs=True,
            opts=pulumi.ResourceOptions(parent=parent, delete_before_replace=True),
        )
        read_only = docker.ContainerVolumeArgs(
            volume_name=mount.volume_name, container_path=CONFIG_FOLDER, read_only=True
        )
        return read_only, filler

    def _data(self, workload: Workload, volume: str, path: str, parent: pulumi.Resource) -> docker.ContainerVolumeArgs:
        made = docker.Volume(
            volume,
            name=self._name(volume),
            labels=self._labels(docker.VolumeLabelArgs, workload.part),
            opts=pulumi.ResourceOptions(parent=parent),
        )
        return docker.ContainerVolumeArgs(volume_name=made.name, container_path=path)

    def _image(self, reference: str) -> docker.RemoteImage:
        if reference not in self._images:
            logical = reference.rsplit("/", 1)[-1].split("@")[0].split(":")[0]
            self._images[reference] = docker.RemoteImage(f"image-{logical}", name=reference, keep_locally=True)
        return self._images[reference]

    def _name(self, part: str) -> str:
        return f"{self._stack.docker.prefix}{part}"

    def _labels(
        self,
        label: Callable[..., LabelArgs],
        part: str,
        kind: str = "",
        more: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> list[LabelArgs]:
        values: dict[str, pulumi.Input[str]] = {"workflow.stack": self._stack.name, "workflow.part": part}
        if kind:
            values["workflow.kind"] = kind
        values |= more or {}
        return [label(label=key, value=value) for key, value in sorted(values.items())]

    def _inventory(
        self, workload: Workload, name: str, container: docker.Container
    ) -> pulumi.Output[dict[str, object]]:
        fixed = {
            "container": name,
            "image": workload.image,
            "kind": str(workload.kind),
            "uid": workload.uid,
            "ports": [port.number for port in workload.ports],
        }
        return container.id.apply(lambda _: fixed)


def _healthcheck(command: Sequence[str], timing: HealthTiming) -> docker.ContainerHealthcheckArgs:
    return docker.ContainerHealthcheckArgs(
        tests=["CMD", *command],
        interval=f"{timing.interval}s",
        timeout=f"{timing.timeout}s",
        start_period=f"{timing.start_period}s",
        retries=timing.retries,
    )


def _success(part: str, job: docker.Container) -> pulumi.Output[str]:
    """The id of a job's container once it has ended well."""

    def judge(ended: list[object]) -> str:
        identity, code = ended
        if code != 0:
            raise RuntimeError(
                f"the job for {part} ended with exit code {code}; `./deploy-api.sh logs {part}` tells why"
            )
        return str(identity)

    return pulumi.Output.all(job.id, job.exit_code).apply(judge)

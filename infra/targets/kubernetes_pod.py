"""The pod of a workload: hardened, bounded, probed, with its files in one volume."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from infra.workload import CONFIG_FOLDER, Check, HttpCheck, Kind, TcpCheck, Workload
from stacks.parts.common import HealthTiming, Resources

FILES_VOLUME = "files"
SCRATCH_MEBIBYTES = 64
PRIVATE_TO_GROUP = 0o440
"""Readable by root and the program's group, which is as private as a projected file can be."""

READINESS_PERIOD_SECONDS = 10
"""A replica gets no work before it is ready, so readiness is asked at least this often."""


def pod_template(
    workload: Workload,
    image: pulumi.Input[str],
    labels: Mapping[str, str],
    annotations: Mapping[str, pulumi.Input[str]],
    *,
    priority_class: pulumi.Input[str],
    spread: str,
    selector: Mapping[str, str],
    near: Mapping[str, str] | None,
    image_pull_secret: str | None,
) -> core.PodTemplateSpecArgs:
    """The template of every kind of workload."""
    ends = workload.kind in {Kind.JOB, Kind.SCHEDULE}
    return core.PodTemplateSpecArgs(
        metadata=meta.ObjectMetaArgs(labels=dict(labels), annotations=dict(annotations)),
        spec=core.PodSpecArgs(
            service_account_name=workload.part,
            automount_service_account_token=bool(workload.api_access),
            enable_service_links=False,
            priority_class_name=priority_class,
            restart_policy="Never" if ends else "Always",
            termination_grace_period_seconds=workload.stop_seconds + workload.drain_seconds,
            image_pull_secrets=[core.LocalObjectReferenceArgs(name=image_pull_secret)] if image_pull_secret else None,
            security_context=core.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=workload.uid,
                run_as_group=workload.uid,
                fs_group=workload.uid,
                fs_group_change_policy="OnRootMismatch",
                seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            affinity=_affinity(workload, selector, near, spread),
            topology_spread_constraints=None if ends or workload.kind is Kind.STATEFUL else [_spread(selector, spread)],
            containers=[_container(workload, image)],
            volumes=_volumes(workload),
        ),
    )


def _container(workload: Workload, image: pulumi.Input[str]) -> core.ContainerArgs:
    health = workload.health
    ready = health and health.readiness
    return core.ContainerArgs(
        name=workload.part,
        image=image,
        image_pull_policy="IfNotPresent",
        args=list(workload.command) or None,
        env=_env(workload) or None,
        ports=[core.ContainerPortArgs(container_port=port.number, protocol="TCP") for port in workload.ports] or None,
        resources=_resources(workload.resources),
        security_context=core.SecurityContextArgs(
            allow_privilege_escalation=False,
            privileged=False,
            read_only_root_filesystem=workload.read_only_root,
            capabilities=core.CapabilitiesArgs(drop=["ALL"]),
        ),
        startup_probe=_probe(health.startup.check, health.startup.timing) if health and health.startup else None,
        liveness_probe=_probe(health.probe or tuple(health.command), health.timing) if health else None,
        readiness_probe=_probe(ready.check, ready.timing)
        if ready
        else _probe(health.probe or tuple(health.command), _soon(health.timing))
        if health
        else None,
        lifecycle=core.LifecycleArgs(
            pre_stop=core.LifecycleHandlerArgs(sleep=core.SleepActionArgs(seconds=workload.drain_seconds))
        )
        if workload.drain_seconds
        else None,
        volume_mounts=_mounts(workload) or None,
        termination_message_policy="FallbackToLogsOnError",
    )


def _env(workload: Workload) -> list[core.EnvVarArgs]:
    given = [core.EnvVarArgs(name=key, value=value) for key, value in sorted(workload.env.items())]
    if not workload.identity:
        return given
    fields = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"}
    own = [
        core.EnvVarArgs(
            name=name,
            value_from=core.EnvVarSourceArgs(field_ref=core.ObjectFieldSelectorArgs(api_version="v1", field_path=path)),
        )
        for name, path in fields.items()
    ]
    return [*own, *given]


def _resources(resources: Resources) -> core.ResourceRequirementsArgs:
    memory = f"{resources.memory}Mi"
    return core.ResourceRequirementsArgs(
        limits={"cpu": cpu(resources.cpus), "memory": memory},
        requests={"cpu": cpu(resources.requested_cpus), "memory": memory},
    )


def cpu(cores: float) -> str:
    """Cores as the cluster's API writes them back, so that a comparison finds no difference."""
    thousandths = round(cores * 1000)
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"


def _probe(check: Check, timing: HealthTiming) -> core.ProbeArgs:
    made = core.ProbeArgs(
        initial_delay_seconds=timing.start_period,
        period_seconds=timing.interval,
        timeout_seconds=timing.timeout,
        failure_threshold=timing.retries,
        success_threshold=1,
    )
    if isinstance(check, HttpCheck):
        scheme = "HTTPS" if check.tls else "HTTP"
        made.http_get = core.HTTPGetActionArgs(path=check.path, port=check.port, scheme=scheme)
    elif isinstance(check, TcpCheck):
        made.tcp_socket = core.TCPSocketActionArgs(port=check.port)
    else:
        made.exec_ = core.ExecActionArgs(command=list(check))
    return made


def _soon(timing: HealthTiming) -> HealthTiming:
    """Readiness is asked from the start, else the delay of liveness would hold every start back."""
    return timing.model_copy(update={"start_period": 1, "interval": min(timing.interval, READINESS_PERIOD_SECONDS)})


def _mounts(workload: Workload) -> list[core.VolumeMountArgs]:
    mounts = [core.VolumeMountArgs(name=volume.name, mount_path=volume.path) for volume in workload.volumes]
    mounts += [core.VolumeMountArgs(name=_scratch_name(path), mount_path=path) for path in workload.scratch]
    if _has_files(workload):
        mounts.append(core.VolumeMountArgs(name=FILES_VOLUME, mount_path=CONFIG_FOLDER, read_only=True))
    return mounts


def _volumes(workload: Workload) -> list[core.VolumeArgs]:
    volumes = [
        core.VolumeArgs(
            name=_scratch_name(path), empty_dir=core.EmptyDirVolumeSourceArgs(size_limit=f"{SCRATCH_MEBIBYTES}Mi")
        )
        for path in workload.scratch
    ]
    volumes += [
        core.VolumeArgs(
            name=volume.name,
            persistent_volume_claim=core.PersistentVolumeClaimVolumeSourceArgs(
                claim_name=f"{volume.name}-{volume.owner}-0"
            ),
        )
        for volume in workload.volumes
        if volume.owner
    ]
    if _has_files(workload):
        volumes.append(core.VolumeArgs(name=FILES_VOLUME, projected=_files(workload)))
    return volumes


def _has_files(workload: Workload) -> bool:
    return bool(workload.config_files or workload.secret_files or workload.foreign_secrets)


def _files(workload: Workload) -> core.ProjectedVolumeSourceArgs:
    sources = []
    if workload.config_files:
        items = [core.KeyToPathArgs(key=file_key(path), path=path) for path in sorted(workload.config_files)]
        source = core.ConfigMapProjectionArgs(name=f"{workload.part}-config", items=items)
        sources.append(core.VolumeProjectionArgs(config_map=source))
    if workload.secret_files:
        items = [core.KeyToPathArgs(key=name, path=f"secrets/{name}") for name in sorted(workload.secret_files)]
        secret = core.SecretProjectionArgs(name=f"{workload.part}-secrets", items=items)
        sources.append(core.VolumeProjectionArgs(secret=secret))
    for name, files in sorted(workload.foreign_secrets.items()):
        items = [core.KeyToPathArgs(key=key, path=f"secrets/{file}") for key, file in sorted(files.items())]
        sources.append(core.VolumeProjectionArgs(secret=core.SecretProjectionArgs(name=name, items=items)))
    return core.ProjectedVolumeSourceArgs(default_mode=PRIVATE_TO_GROUP, sources=sources)


def file_key(path: str) -> str:
    """The key of a config file in its ConfigMap, where slashes are not allowed."""
    return path.replace("/", "__")


def _scratch_name(path: str) -> str:
    return "scratch-" + path.strip("/").replace("/", "-").replace("_", "-").lower()


def _affinity(
    workload: Workload, selector: Mapping[str, str], near: Mapping[str, str] | None, spread: str
) -> core.AffinityArgs | None:
    if near is not None:
        return core.AffinityArgs(
            pod_affinity=core.PodAffinityArgs(required_during_scheduling_ignored_during_execution=[_beside(near)])
        )
    if workload.kind is not Kind.STATEFUL or workload.replicas == 1:
        return None
    if spread == "required":
        apart = core.PodAntiAffinityArgs(required_during_scheduling_ignored_during_execution=[_beside(selector)])
    else:
        apart = core.PodAntiAffinityArgs(
            preferred_during_scheduling_ignored_during_execution=[
                core.WeightedPodAffinityTermArgs(weight=100, pod_affinity_term=_beside(selector))
            ]
        )
    return core.AffinityArgs(pod_anti_affinity=apart)


def _beside(selector: Mapping[str, str]) -> core.PodAffinityTermArgs:
    return core.PodAffinityTermArgs(
        topology_key="kubernetes.io/hostname", label_selector=meta.LabelSelectorArgs(match_labels=dict(selector))
    )


def _spread(selector: Mapping[str, str], spread: str) -> core.TopologySpreadConstraintArgs:
    return core.TopologySpreadConstraintArgs(
        max_skew=1,
        topology_key="kubernetes.io/hostname",
        when_unsatisfiable="DoNotSchedule" if spread == "required" else "ScheduleAnyway",
        label_selector=meta.LabelSelectorArgs(match_labels=dict(selector)),
    )


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
        if not volume.owner
    ]

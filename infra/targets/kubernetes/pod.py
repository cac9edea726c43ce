"""The pod of a workload: hardened, bounded, probed, with its files in one volume."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from infra.targets.kubernetes.files import mounts, volumes
from infra.targets.kubernetes.objects import Objects, selector_of
from infra.workload import Check, HttpCheck, Kind, TcpCheck, Workload
from stacks.parts.common import HealthTiming, Resources

MACHINE = "kubernetes.io/hostname"
"""The label by which nodes differ."""

EVERYWHERE = core.TolerationArgs(operator="Exists", effect="NoSchedule")
"""Runs on nodes that are kept for something else too, such as the control plane's; from one that is being emptied it
goes like everything else."""

READINESS_PERIOD_SECONDS = 10
"""A replica gets no work before it is ready, so readiness is asked at least this often."""


def pod_template(
    objects: Objects, annotations: Mapping[str, pulumi.Input[str]], priority_class: pulumi.Input[str]
) -> core.PodTemplateSpecArgs:
    """The template of every kind of workload."""
    workload, settings = objects.workload, objects.stack.kubernetes
    ends = workload.kind in {Kind.JOB, Kind.SCHEDULE}
    secret = settings.image_pull_secret
    return core.PodTemplateSpecArgs(
        metadata=meta.ObjectMetaArgs(labels=objects.labels, annotations=dict(annotations)),
        spec=core.PodSpecArgs(
            service_account_name=workload.part,
            automount_service_account_token=bool(workload.api_access),
            enable_service_links=False,
            priority_class_name=priority_class,
            restart_policy="Never" if ends else "Always",
            termination_grace_period_seconds=workload.stop_seconds + workload.drain_seconds,
            image_pull_secrets=[core.LocalObjectReferenceArgs(name=secret)] if secret else None,
            security_context=core.PodSecurityContextArgs(
                run_as_non_root=True,
                run_as_user=workload.uid,
                run_as_group=workload.uid,
                fs_group=workload.uid,
                fs_group_change_policy="OnRootMismatch",
                seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
            ),
            affinity=_affinity(objects),
            topology_spread_constraints=[_spread(objects)] if workload.kind is Kind.SERVICE else None,
            tolerations=[EVERYWHERE] if workload.kind is Kind.DAEMON else None,
            containers=[_container(workload)],
            volumes=volumes(workload),
        ),
    )


def _container(workload: Workload) -> core.ContainerArgs:
    health = workload.health
    ready = health and health.readiness
    return core.ContainerArgs(
        name=workload.part,
        image=workload.image,
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
        volume_mounts=mounts(workload) or None,
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


def _affinity(objects: Objects) -> core.AffinityArgs | None:
    workload, stack = objects.workload, objects.stack
    if workload.near:
        beside = _on_the_machine_of(selector_of(stack, workload.near))
        return core.AffinityArgs(
            pod_affinity=core.PodAffinityArgs(required_during_scheduling_ignored_during_execution=[beside])
        )
    if workload.kind is not Kind.STATEFUL or workload.replicas == 1:
        return None
    own = _on_the_machine_of(objects.selector)
    if stack.kubernetes.spread == "required":
        apart = core.PodAntiAffinityArgs(required_during_scheduling_ignored_during_execution=[own])
    else:
        preferred = core.WeightedPodAffinityTermArgs(weight=100, pod_affinity_term=own)
        apart = core.PodAntiAffinityArgs(preferred_during_scheduling_ignored_during_execution=[preferred])
    return core.AffinityArgs(pod_anti_affinity=apart)


def _on_the_machine_of(selector: Mapping[str, str]) -> core.PodAffinityTermArgs:
    return core.PodAffinityTermArgs(
        topology_key=MACHINE, label_selector=meta.LabelSelectorArgs(match_labels=dict(selector))
    )


def _spread(objects: Objects) -> core.TopologySpreadConstraintArgs:
    return core.TopologySpreadConstraintArgs(
        max_skew=1,
        topology_key=MACHINE,
        when_unsatisfiable="DoNotSchedule" if objects.stack.kubernetes.spread == "required" else "ScheduleAnyway",
        label_selector=objects.pods,
    )

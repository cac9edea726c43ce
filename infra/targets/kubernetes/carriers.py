"""What carries the pods of a workload: an object of another kind for each way of living."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.autoscaling import v2 as autoscaling
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.policy import v1 as disruption

from infra.targets.kubernetes.files import claims
from infra.targets.kubernetes.objects import Objects
from infra.workload import Kind, nodes_service

JOB_SECONDS = 600
SCHEDULE_SECONDS = 3 * JOB_SECONDS
JOB_TRIES = 3
KEPT_RUNS = 3
KEPT_REVISIONS = 5

Carrier = apps.Deployment | apps.DaemonSet | apps.StatefulSet | batch.Job | batch.CronJob


def carrier(objects: Objects, template: core.PodTemplateSpecArgs, after: Sequence[pulumi.Resource]) -> Carrier:
    """Registers the object that runs the pods, once everything it needs is there."""
    resource, spec = _KINDS[objects.workload.kind]
    made: Carrier = resource(
        objects.workload.part,
        # No fixed name: a job can't be changed, so whatever changes in it makes a new one beside the old.
        metadata=meta.ObjectMetaArgs(labels=objects.labels)
        if resource is batch.Job
        else objects.metadata(objects.carrier_name),
        spec=spec(objects, template),
        opts=pulumi.ResourceOptions.merge(objects.opts, pulumi.ResourceOptions(depends_on=list(after))),
    )
    return made


def _deployment(objects: Objects, template: core.PodTemplateSpecArgs) -> apps.DeploymentSpecArgs:
    return apps.DeploymentSpecArgs(
        # The autoscaler owns the number where there is one.
        replicas=None if objects.workload.autoscale else objects.workload.replicas,
        selector=objects.pods,
        strategy=apps.DeploymentStrategyArgs(
            type="RollingUpdate",
            rolling_update=apps.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
        ),
        revision_history_limit=KEPT_REVISIONS,
        progress_deadline_seconds=JOB_SECONDS,
        template=template,
    )


def _daemon_set(objects: Objects, template: core.PodTemplateSpecArgs) -> apps.DaemonSetSpecArgs:
    return apps.DaemonSetSpecArgs(
        selector=objects.pods,
        update_strategy=apps.DaemonSetUpdateStrategyArgs(type="RollingUpdate"),
        revision_history_limit=KEPT_REVISIONS,
        template=template,
    )


def _stateful_set(objects: Objects, template: core.PodTemplateSpecArgs) -> apps.StatefulSetSpecArgs:
    settings = objects.stack.kubernetes
    return apps.StatefulSetSpecArgs(
        replicas=objects.workload.replicas,
        service_name=nodes_service(objects.workload.part),
        selector=objects.pods,
        # Members of a quorum wait for one another, so they must be allowed to start together.
        pod_management_policy="Parallel",
        update_strategy=apps.StatefulSetUpdateStrategyArgs(type="RollingUpdate"),
        persistent_volume_claim_retention_policy=apps.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
            when_deleted="Retain" if settings.keep_data else "Delete", when_scaled="Retain"
        ),
        template=template,
        volume_claim_templates=list(claims(objects.workload, settings.storage_class)) or None,
    )


def _job(_objects: Objects, template: core.PodTemplateSpecArgs) -> batch.JobSpecArgs:
    return batch.JobSpecArgs(backoff_limit=JOB_TRIES, active_deadline_seconds=JOB_SECONDS, template=template)


def _cron_job(objects: Objects, template: core.PodTemplateSpecArgs) -> batch.CronJobSpecArgs:
    longest = objects.workload.longest_seconds or SCHEDULE_SECONDS
    job = batch.JobSpecArgs(backoff_limit=1, active_deadline_seconds=longest, template=template)
    return batch.CronJobSpecArgs(
        schedule=objects.workload.schedule or "",
        time_zone="Etc/UTC",
        concurrency_policy="Forbid",
        starting_deadline_seconds=JOB_SECONDS,
        successful_jobs_history_limit=KEPT_RUNS,
        failed_jobs_history_limit=KEPT_RUNS,
        job_template=batch.JobTemplateSpecArgs(metadata=meta.ObjectMetaArgs(labels=objects.labels), spec=job),
    )


_KINDS: Mapping[Kind, tuple[type[Any], Callable[[Objects, core.PodTemplateSpecArgs], object]]] = {
    Kind.SERVICE: (apps.Deployment, _deployment),
    Kind.DAEMON: (apps.DaemonSet, _daemon_set),
    Kind.STATEFUL: (apps.StatefulSet, _stateful_set),
    Kind.JOB: (batch.Job, _job),
    Kind.SCHEDULE: (batch.CronJob, _cron_job),
}


def budget(objects: Objects) -> None:
    """Lets whoever empties a node take one replica at a time; nothing where there is only one."""
    if objects.workload.replicas <= 1:
        return
    disruption.PodDisruptionBudget(
        f"{objects.workload.part}-budget",
        metadata=objects.metadata(),
        spec=disruption.PodDisruptionBudgetSpecArgs(max_unavailable=1, selector=objects.pods),
        opts=objects.opts,
    )


def autoscaler(objects: Objects) -> None:
    """Changes the number of replicas with their use of the processor, where the workload wants it."""
    scale = objects.workload.autoscale
    if scale is None:
        return
    autoscaling.HorizontalPodAutoscaler(
        f"{objects.workload.part}-autoscaler",
        metadata=objects.metadata(),
        spec=autoscaling.HorizontalPodAutoscalerSpecArgs(
            min_replicas=scale.least,
            max_replicas=scale.most,
            scale_target_ref=autoscaling.CrossVersionObjectReferenceArgs(
                api_version="apps/v1", kind="Deployment", name=objects.carrier_name
            ),
            metrics=[
                autoscaling.MetricSpecArgs(
                    type="Resource",
                    resource=autoscaling.ResourceMetricSourceArgs(
                        name="cpu",
                        target=autoscaling.MetricTargetArgs(type="Utilization", average_utilization=scale.cpu_percent),
                    ),
                )
            ],
        ),
        opts=objects.opts,
    )

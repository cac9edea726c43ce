"""Turns workloads into the objects of a Kubernetes namespace."""

import base64
import hashlib
from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.autoscaling import v2 as autoscaling
from pulumi_kubernetes.batch import v1 as batch
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.policy import v1 as disruption
from pulumi_kubernetes.rbac import v1 as rbac

from infra.endpoints import Placed
from infra.targets.kubernetes_namespace import Namespace
from infra.targets.kubernetes_pod import claims, file_key, pod_template
from infra.targets.kubernetes_reach import policies, services
from infra.workload import Kind, Workload, nodes_service
from stacks.model import Stack

HASH_ANNOTATION = "workflow.platform/files"
AFTER_ANNOTATION = "workflow.platform/after-"
JOB_SECONDS = 600
SCHEDULE_SECONDS = 3 * JOB_SECONDS
JOB_TRIES = 3
KEPT_RUNS = 3
HASH_LETTERS = 16


Running = apps.Deployment | apps.StatefulSet | batch.Job | batch.CronJob


class KubernetesTarget:
    """One stack in a namespace of one cluster."""

    replicates = True

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._provider = kubernetes.Provider(
            "cluster",
            context=stack.kubernetes.context,
            namespace=stack.namespace,
            enable_server_side_apply=True,
            # What somebody has changed by hand is theirs by the rules of server-side apply; here the description wins.
            enable_patch_force=True,
            # Files are changed in place and roll the pods by their hash; replacing the object would take it away first.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
        )
        self._rules = Namespace(
            stack, self._labels("namespace"), pulumi.ResourceOptions(providers={"kubernetes": self._provider})
        )
        self.namespace = stack.namespace

    def place(self, workload: Workload, parent: pulumi.Resource, needs: Sequence[pulumi.Resource] = ()) -> Placed:
        """Registers all objects of a workload, the program itself after everything it needs."""
        labels = self._labels(workload.part, workload.kind)
        selector = {"app.kubernetes.io/name": workload.part, "app.kubernetes.io/instance": self._stack.name}
        opts = pulumi.ResourceOptions(
            parent=parent, provider=self._provider, depends_on=[self._rules.namespace, self._rules.priority_class]
        )
        before: list[pulumi.Resource] = [
            *self._account(workload, labels, opts),
            *self._files(workload, labels, opts),
            *policies(workload, labels, selector, opts),
        ]
        services(workload, labels, selector, opts)
        annotations: dict[str, pulumi.Input[str]] = {HASH_ANNOTATION: files_hash(workload)}
        annotations |= {f"{AFTER_ANNOTATION}{name}": outcome for name, outcome in workload.after.items()}
        template = pod_template(
            workload,
            workload.image,
            labels,
            annotations,
            priority_class=self._rules.priority_class.metadata["name"],
            spread=self._stack.kubernetes.spread,
            selector=selector,
            near={"app.kubernetes.io/name": workload.near, "app.kubernetes.io/instance": self._stack.name}
            if workload.near
            else None,
            image_pull_secret=self._stack.kubernetes.image_pull_secret,
        )
        running = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[*before, *needs]))
        make = {
            Kind.SERVICE: self._deployment,
            Kind.STATEFUL: self._stateful_set,
            Kind.JOB: self._job,
            Kind.SCHEDULE: self._cron_job,
        }[workload.kind]
        resource = make(workload, labels, selector, template, running)
        if workload.replicas > 1:
            self._budget(workload, labels, selector, opts)
        if workload.autoscale:
            self._autoscaler(workload, labels, opts)
        return Placed(
            part=workload.part,
            resource=resource,
            inventory=self._inventory(workload, resource),
            finished=resource.metadata["uid"].apply(str) if workload.kind is Kind.JOB else None,
        )

    def custom(
        self, name: str, api_version: str, kind: str, spec: Mapping[str, object], parent: pulumi.Resource
    ) -> pulumi.Resource:
        """An object of a kind that the cluster itself does not know, such as an operator's."""
        return kubernetes.apiextensions.CustomResource(
            name,
            api_version=api_version,
            kind=kind,
            metadata=meta.ObjectMetaArgs(name=name, labels=self._labels(name)),
            spec=dict(spec),
            opts=pulumi.ResourceOptions(parent=parent, provider=self._provider, depends_on=[self._rules.namespace]),
        )

    def _deployment(
        self,
        workload: Workload,
        labels: Mapping[str, str],
        selector: Mapping[str, str],
        template: core.PodTemplateSpecArgs,
        opts: pulumi.ResourceOptions,
    ) -> Running:
        return apps.Deployment(
            workload.part,
            metadata=meta.ObjectMetaArgs(name=workload.part, labels=dict(labels)),
            spec=apps.DeploymentSpecArgs(
                # The autoscaler owns the number where there is one.
                replicas=None if workload.autoscale else workload.replicas,
                selector=meta.LabelSelectorArgs(match_labels=dict(selector)),
                strategy=apps.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
                ),
                revision_history_limit=5,
                progress_deadline_seconds=JOB_SECONDS,
                template=template,
            ),
            opts=opts,
        )

    def _stateful_set(
        self,
        workload: Workload,
        labels: Mapping[str, str],
        selector: Mapping[str, str],
        template: core.PodTemplateSpecArgs,
        opts: pulumi.ResourceOptions,
    ) -> Running:
        kept = "Retain" if self._stack.kubernetes.keep_data else "Delete"
        return apps.StatefulSet(
            workload.part,
            metadata=meta.ObjectMetaArgs(name=workload.part, labels=dict(labels)),
            spec=apps.StatefulSetSpecArgs(
                replicas=workload.replicas,
                service_name=nodes_service(workload.part),
                selector=meta.LabelSelectorArgs(match_labels=dict(selector)),
                # Members of a quorum wait for one another, so they must be allowed to start together.
                pod_management_policy="Parallel",
                update_strategy=apps.StatefulSetUpdateStrategyArgs(type="RollingUpdate"),
                persistent_volume_claim_retention_policy=apps.StatefulSetPersistentVolumeClaimRetentionPolicyArgs(
                    when_deleted=kept, when_scaled="Retain"
                ),
                template=template,
                volume_claim_templates=list(claims(workload, self._stack.kubernetes.storage_class)) or None,
            ),
            opts=opts,
        )

    def _job(
        self,
        workload: Workload,
        labels: Mapping[str, str],
        _selector: Mapping[str, str],
        template: core.PodTemplateSpecArgs,
        opts: pulumi.ResourceOptions,
    ) -> Running:
        # No fixed name: a job can't be changed, so whatever changes in it makes a new one beside the old.
        return batch.Job(
            workload.part,
            metadata=meta.ObjectMetaArgs(labels=dict(labels)),
            spec=batch.JobSpecArgs(backoff_limit=JOB_TRIES, active_deadline_seconds=JOB_SECONDS, template=template),
            opts=opts,
        )

    def _cron_job(
        self,
        workload: Workload,
        labels: Mapping[str, str],
        _selector: Mapping[str, str],
        template: core.PodTemplateSpecArgs,
        opts: pulumi.ResourceOptions,
    ) -> Running:
        job = batch.JobSpecArgs(
            backoff_limit=1, active_deadline_seconds=workload.longest_seconds or SCHEDULE_SECONDS, template=template
        )
        return batch.CronJob(
            workload.part,
            metadata=meta.ObjectMetaArgs(name=workload.part, labels=dict(labels)),
            spec=batch.CronJobSpecArgs(
                schedule=workload.schedule or "",
                time_zone="Etc/UTC",
                concurrency_policy="Forbid",
                starting_deadline_seconds=JOB_SECONDS,
                successful_jobs_history_limit=KEPT_RUNS,
                failed_jobs_history_limit=KEPT_RUNS,
                job_template=batch.JobTemplateSpecArgs(metadata=meta.ObjectMetaArgs(labels=dict(labels)), spec=job),
            ),
            opts=opts,
        )

    def _budget(
        self,
        workload: Workload,
        labels: Mapping[str, str],
        selector: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        disruption.PodDisruptionBudget(
            f"{workload.part}-budget",
            metadata=meta.ObjectMetaArgs(name=workload.part, labels=dict(labels)),
            spec=disruption.PodDisruptionBudgetSpecArgs(
                max_unavailable=1, selector=meta.LabelSelectorArgs(match_labels=dict(selector))
            ),
            opts=opts,
        )

    def _autoscaler(self, workload: Workload, labels: Mapping[str, str], opts: pulumi.ResourceOptions) -> None:
        scale = workload.autoscale
        if scale is None:
            return
        autoscaling.HorizontalPodAutoscaler(
            f"{workload.part}-autoscaler",
            metadata=meta.ObjectMetaArgs(name=workload.part, labels=dict(labels)),
            spec=autoscaling.HorizontalPodAutoscalerSpecArgs(
                min_replicas=scale.least,
                max_replicas=scale.most,
                scale_target_ref=autoscaling.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1", kind="Deployment", name=workload.part
                ),
                metrics=[
                    autoscaling.MetricSpecArgs(
                        type="Resource",
                        resource=autoscaling.ResourceMetricSourceArgs(
                            name="cpu",
                            target=autoscaling.MetricTargetArgs(
                                type="Utilization", average_utilization=scale.cpu_percent
                            ),
                        ),
                    )
                ],
            ),
            opts=opts,
        )

    def _account(
        self, workload: Workload, labels: Mapping[str, str], opts: pulumi.ResourceOptions
    ) -> list[pulumi.Resource]:
        named = meta.ObjectMetaArgs(name=workload.part, labels=dict(labels))
        account = core.ServiceAccount(
            f"{workload.part}-account", metadata=named, automount_service_account_token=False, opts=opts
        )
        if not workload.api_access:
            return [account]
        role = rbac.Role(
            f"{workload.part}-role",
            metadata=named,
            rules=[
                rbac.PolicyRuleArgs(
                    api_groups=[access.group],
                    resources=list(access.resources),
                    verbs=list(access.verbs),
                    resource_names=list(access.names) or None,
                )
                for access in workload.api_access
            ],
            opts=opts,
        )
        binding = rbac.RoleBinding(
            f"{workload.part}-binding",
            metadata=named,
            role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=workload.part),
            subjects=[rbac.SubjectArgs(kind="ServiceAccount", name=workload.part, namespace=self.namespace)],
            opts=opts,
        )
        return [account, role, binding]

    def _files(
        self, workload: Workload, labels: Mapping[str, str], opts: pulumi.ResourceOptions
    ) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        if workload.config_files:
            made.append(
                core.ConfigMap(
                    f"{workload.part}-config",
                    metadata=meta.ObjectMetaArgs(name=f"{workload.part}-config", labels=dict(labels)),
                    data={file_key(path): content for path, content in workload.config_files.items()},
                    opts=opts,
                )
            )
        if workload.secret_files:
            made.append(
                core.Secret(
                    f"{workload.part}-secrets",
                    metadata=meta.ObjectMetaArgs(name=f"{workload.part}-secrets", labels=dict(labels)),
                    # Not `string_data`: the cluster turns that into `data`, which every refresh would call a drift.
                    data={name: _encoded(text) for name, text in workload.secret_files.items()},
                    opts=opts,
                )
            )
        return made

    def _labels(self, part: str, kind: str = "") -> dict[str, str]:
        labels = {
            "app.kubernetes.io/name": part,
            "app.kubernetes.io/instance": self._stack.name,
            "app.kubernetes.io/part-of": "workflow-platform",
            "app.kubernetes.io/managed-by": "pulumi",
            "workflow.stack": self._stack.name,
            "workflow.part": part,
        }
        return {**labels, "workflow.kind": kind} if kind else labels

    def _inventory(self, workload: Workload, resource: Running) -> pulumi.Output[dict[str, object]]:
        fixed = {
            "namespace": self.namespace,
            "container": workload.part,
            "image": workload.image,
            "kind": str(workload.kind),
            "uid": workload.uid,
            "replicas": workload.replicas,
            "ports": [port.number for port in workload.ports],
        }
        name: pulumi.Output[str] = resource.metadata["name"]
        return name.apply(lambda known: {**fixed, "object": known})


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


def _encoded(text: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.secret(text).apply(lambda plain: base64.b64encode(plain.encode()).decode())

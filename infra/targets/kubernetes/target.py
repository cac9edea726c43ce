"""Turns workloads into the objects of a Kubernetes namespace."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta import v1 as meta

from infra.endpoints import Placed
from infra.targets.kubernetes.carriers import Carrier, autoscaler, budget, carrier
from infra.targets.kubernetes.files import files, files_hash
from infra.targets.kubernetes.namespace import Namespace
from infra.targets.kubernetes.objects import Objects, labels_of
from infra.targets.kubernetes.pod import pod_template
from infra.targets.kubernetes.reach import policies, services
from infra.targets.kubernetes.rights import account
from infra.workload import Kind, Workload
from stacks.model import Stack

HASH_ANNOTATION = "workflow.platform/files"
AFTER_ANNOTATION = "workflow.platform/after-"
TOLD_ANNOTATION = "workflow.platform/told-"


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
            stack, labels_of(stack, "namespace"), pulumi.ResourceOptions(providers={"kubernetes": self._provider})
        )

    def place(self, workload: Workload, parent: pulumi.Resource, needs: Sequence[pulumi.Resource] = ()) -> Placed:
        """Registers all objects of a workload, the program itself after everything it needs."""
        opts = pulumi.ResourceOptions(
            parent=parent, provider=self._provider, depends_on=[self._rules.namespace, self._rules.priority_class]
        )
        objects = Objects(workload, self._stack, opts)
        before: list[pulumi.Resource] = [*account(objects), *files(objects), *policies(objects)]
        services(objects)
        annotations: dict[str, pulumi.Input[str]] = {HASH_ANNOTATION: files_hash(workload)}
        annotations |= {f"{AFTER_ANNOTATION}{name}": outcome for name, outcome in workload.after.items()}
        annotations |= {f"{TOLD_ANNOTATION}{name}": text for name, text in workload.told.items()}
        template = pod_template(objects, annotations, self._rules.priority_class.metadata["name"])
        resource = carrier(objects, template, [*before, *needs])
        budget(objects)
        autoscaler(objects)
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
            metadata=meta.ObjectMetaArgs(name=name, labels=labels_of(self._stack, name)),
            spec=dict(spec),
            opts=pulumi.ResourceOptions(parent=parent, provider=self._provider, depends_on=[self._rules.namespace]),
        )

    def _inventory(self, workload: Workload, resource: Carrier) -> pulumi.Output[dict[str, object]]:
        fixed = {
            "namespace": self._stack.namespace,
            "container": workload.part,
            "image": workload.image,
            "kind": str(workload.kind),
            "uid": workload.uid,
            "replicas": workload.replicas,
            "ports": [port.number for port in workload.ports],
        }
        name: pulumi.Output[str] = resource.metadata["name"]
        return name.apply(lambda known: {**fixed, "object": known})

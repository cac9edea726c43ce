"""The stack's namespace and what holds for everything in it."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking
from pulumi_kubernetes.scheduling import v1 as scheduling

from infra.targets.kubernetes.pod import cpu
from stacks.model import Stack

POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")} | {
    "pod-security.kubernetes.io/enforce-version": "latest"
}
PRIORITY = 100_000
"""Above what has no priority class, below what the cluster itself needs."""

DNS_PORT = 53


class Namespace(pulumi.ComponentResource):
    """A namespace with pod security, quotas, a priority, and no way in or out but to the DNS."""

    def __init__(self, stack: Stack, labels: Mapping[str, str], opts: pulumi.ResourceOptions) -> None:
        super().__init__("workflow:infra:Namespace", "namespace-rules", None, opts)
        self.name = stack.namespace
        inside = pulumi.ResourceOptions(parent=self)
        keep = stack.kubernetes.keep_data
        self.namespace = core.Namespace(
            "namespace",
            metadata=meta.ObjectMetaArgs(name=self.name, labels={**labels, **POD_SECURITY}),
            opts=pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(retain_on_delete=keep)),
        )
        after = pulumi.ResourceOptions.merge(inside, pulumi.ResourceOptions(depends_on=[self.namespace]))
        self.priority_class = scheduling.PriorityClass(
            "priority",
            metadata=meta.ObjectMetaArgs(name=self.name, labels=dict(labels)),
            value=PRIORITY,
            description=f"Everything of stack {stack.name}",
            opts=inside,
        )
        core.ResourceQuota(
            "quota",
            metadata=meta.ObjectMetaArgs(name="quota", labels=dict(labels)),
            spec=core.ResourceQuotaSpecArgs(hard=quota(stack)),
            opts=after,
        )
        core.LimitRange(
            "limits",
            metadata=meta.ObjectMetaArgs(name="limits", labels=dict(labels)),
            spec=core.LimitRangeSpecArgs(
                limits=[
                    core.LimitRangeItemArgs(
                        type="Container",
                        default={"cpu": "500m", "memory": "256Mi"},
                        default_request={"cpu": "50m", "memory": "128Mi"},
                    )
                ]
            ),
            opts=after,
        )
        self._policy(
            "default-deny",
            networking.NetworkPolicySpecArgs(pod_selector=meta.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]),
            labels,
            after,
        )
        self._policy(
            "dns",
            networking.NetworkPolicySpecArgs(
                pod_selector=meta.LabelSelectorArgs(),
                policy_types=["Egress"],
                egress=[
                    networking.NetworkPolicyEgressRuleArgs(
                        ports=[
                            networking.NetworkPolicyPortArgs(port=DNS_PORT, protocol=protocol)
                            for protocol in ("UDP", "TCP")
                        ]
                    )
                ],
            ),
            labels,
            after,
        )
        self.register_outputs({})

    def _policy(
        self,
        name: str,
        spec: networking.NetworkPolicySpecArgs,
        labels: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        data = meta.ObjectMetaArgs(name=name, labels=dict(labels))
        networking.NetworkPolicy(f"policy-{name}", metadata=data, spec=spec, opts=opts)


def quota(stack: Stack) -> dict[str, str]:
    """Bounds of the whole namespace; that all parts fit into them is a rule of the description."""
    given = stack.kubernetes.quota
    return {
        "limits.cpu": cpu(given.cpus),
        "limits.memory": f"{given.memory}Mi",
        "requests.memory": f"{given.memory}Mi",
        "pods": str(given.pods),
        "services.loadbalancers": "2",
    }

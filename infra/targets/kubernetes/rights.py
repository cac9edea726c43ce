"""Under which account a workload runs, and what that may do with the cluster's API."""

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.rbac import v1 as rbac

from infra.targets.kubernetes.objects import Objects


def account(objects: Objects) -> list[pulumi.Resource]:
    """Registers an account of its own, with a role where rights are declared."""
    workload = objects.workload
    made = core.ServiceAccount(
        f"{workload.part}-account",
        metadata=objects.metadata(),
        automount_service_account_token=False,
        opts=objects.opts,
    )
    if not workload.api_access:
        return [made]
    role = rbac.Role(
        f"{workload.part}-role",
        metadata=objects.metadata(),
        rules=[
            rbac.PolicyRuleArgs(
                api_groups=[access.group],
                resources=list(access.resources),
                verbs=list(access.verbs),
                resource_names=list(access.names) or None,
            )
            for access in workload.api_access
        ],
        opts=objects.opts,
    )
    binding = rbac.RoleBinding(
        f"{workload.part}-binding",
        metadata=objects.metadata(),
        role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=workload.part),
        subjects=[rbac.SubjectArgs(kind="ServiceAccount", name=workload.part, namespace=objects.stack.namespace)],
        opts=objects.opts,
    )
    return [made, role, binding]

"""What a container may do to its machine, and a program to its cluster."""

from tests.policies.changes import ABSENT, UNKNOWN, Case, also, both, put

POD = "spec.template.spec"
MAIN = f"{POD}.containers[0].securityContext"
JOB_POD = "spec.jobTemplate.spec.template.spec"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:Role"
BINDING = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"


def first(**more: object) -> list[dict[str, object]]:
    """An init container with one thing wrong; the rest comes from the pod."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    return [{"name": "first", "image": "i", "securityContext": {**security, **more}}]


def folder(path: str) -> dict[str, object]:
    return {"name": "scratch-tmp", "hostPath": {"path": path}}


CASES = [
    Case(
        "programs_do_not_reach_the_container_engine",
        put("Container", "api", "mounts", [{"type": "bind", "target": "/e", "source": "/run/docker.sock"}]),
        environment="dev",
        why="bind",
    ),
    Case(
        "programs_do_not_write_into_the_machines_system", put("Deployment", "api", f"{POD}.volumes[0]", folder("/etc"))
    ),
    Case("programs_do_not_write_into_the_machines_system", put("Deployment", "api", f"{POD}.volumes[0]", folder("/"))),
    Case(
        "programs_do_not_write_into_the_machines_system",
        put("Container", "node-exporter", "volumes[0].readOnly", False),
        environment="dev",
        path="volumes[0].hostPath",
    ),
    Case(
        "programs_do_not_write_into_the_machines_system",
        put("Deployment", "api", f"{POD}.volumes", UNKNOWN),
        "not evaluated",
    ),
    Case("programs_do_not_share_the_machines_network", put("DaemonSet", "node-exporter", f"{POD}.hostNetwork", True)),
    Case(
        "programs_do_not_share_the_machines_network", put("Container", "api", "networkMode", "host"), environment="dev"
    ),
    Case(
        "programs_do_not_share_the_machines_network",
        put("Deployment", "api", f"{POD}.hostNetwork", UNKNOWN),
        "not evaluated",
    ),
    Case("programs_do_not_see_the_machines_processes", put("CronJob", "backup-full", f"{JOB_POD}.hostPID", True)),
    Case("programs_do_not_see_the_machines_processes", put("Deployment", "api", f"{POD}.hostIPC", True)),
    Case("programs_do_not_see_the_machines_processes", put("Container", "api", "pidMode", "host"), environment="dev"),
    Case("programs_do_not_see_the_machines_processes", put("Container", "api", "ipcMode", "host"), environment="dev"),
    Case(
        "programs_do_not_see_the_machines_processes",
        put("Deployment", "api", f"{POD}.hostPID", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "containers_get_no_devices", put("Container", "api", "devices", [{"hostPath": "/dev/sda"}]), environment="dev"
    ),
    Case("containers_get_no_devices", put("Container", "api", "devices", UNKNOWN), "not evaluated", environment="dev"),
    Case("containers_are_refused_as_root", put("Deployment", "api", f"{POD}.securityContext.runAsNonRoot", ABSENT)),
    Case(
        "containers_are_refused_as_root",
        put("Deployment", "api", f"{POD}.initContainers", first(runAsNonRoot=False)),
        path="initContainers[0]",
        why="init",
    ),
    Case(
        "containers_are_refused_as_root", put("Deployment", "api", f"{POD}.securityContext", UNKNOWN), "not evaluated"
    ),
    Case("containers_cannot_gain_rights", put("Deployment", "api", f"{MAIN}.allowPrivilegeEscalation", ABSENT)),
    Case(
        "containers_cannot_gain_rights",
        put("Job", "migrations", f"{POD}.initContainers", first(allowPrivilegeEscalation=True)),
        path="initContainers[0]",
        why="init",
    ),
    Case("containers_cannot_gain_rights", put("Container", "api", "securityOpts", []), environment="dev"),
    Case("containers_cannot_gain_rights", put("Deployment", "api", MAIN, UNKNOWN), "not evaluated"),
    Case(
        "containers_have_their_system_calls_filtered",
        put("Deployment", "api", f"{POD}.securityContext.seccompProfile.type", "Unconfined"),
    ),
    Case(
        "containers_have_their_system_calls_filtered",
        put("Deployment", "api", f"{POD}.securityContext.seccompProfile", ABSENT),
        why="absent",
    ),
    Case(
        "containers_have_their_system_calls_filtered",
        put("Deployment", "api", f"{POD}.initContainers", first(seccompProfile={"type": "Unconfined"})),
        path="initContainers[0]",
        why="init",
    ),
    Case(
        "containers_have_their_system_calls_filtered",
        put("Container", "api", "securityOpts", ["no-new-privileges:true", "seccomp=unconfined"]),
        environment="dev",
    ),
    Case(
        "containers_have_their_system_calls_filtered",
        put("Container", "api", "securityOpts", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case(
        "tokens_of_the_cluster_are_not_mounted_unasked",
        both(
            put("Deployment", "api", f"{POD}.automountServiceAccountToken", ABSENT),
            put("ServiceAccount", "api-account", "automountServiceAccountToken", ABSENT),
        ),
        path="Deployment api",
    ),
    Case(
        "tokens_of_the_cluster_are_not_mounted_unasked",
        both(
            put("StatefulSet", "postgres", f"{POD}.serviceAccountName", ABSENT),
        ),
        why="shared account",
    ),
    Case(
        "tokens_of_the_cluster_are_not_mounted_unasked",
        put("Deployment", "api", f"{POD}.automountServiceAccountToken", UNKNOWN),
        "not evaluated",
    ),
    *(
        Case(check, change, why=why)
        for check, why, change in (
            ("roles_have_no_wildcards", "verbs", put("Role", "postgres-role", "rules[0].verbs", ["*"])),
            ("roles_have_no_wildcards", "groups", put("Role", "postgres-role", "rules[0].apiGroups", ["*"])),
            ("roles_have_no_wildcards", "resources", put("Role", "postgres-role", "rules[2].resources", ["*"])),
            ("roles_reach_secrets_by_name_only", "", put("Role", "postgres-role", "rules[0].resources", ["secrets"])),
            ("roles_do_not_lead_to_more_rights", "verb", put("Role", "postgres-role", "rules[0].verbs", ["escalate"])),
            (
                "roles_do_not_lead_to_more_rights",
                "resource",
                put("Role", "postgres-role", "rules[2].resources", ["pods", "pods/exec"]),
            ),
            (
                "bindings_make_nobody_administrator",
                "",
                put("RoleBinding", "postgres-binding", "roleRef", {"kind": "ClusterRole", "name": "cluster-admin"}),
            ),
            (
                "bindings_are_for_named_accounts",
                "account",
                put("RoleBinding", "postgres-binding", "subjects[0].name", "default"),
            ),
            (
                "bindings_are_for_named_accounts",
                "group",
                also(BINDING, "all", {"subjects": [{"kind": "Group", "name": "system:serviceaccounts:shop"}]}),
            ),
        )
    ),
    Case("roles_have_no_wildcards", put("Role", "postgres-role", "rules", UNKNOWN), "not evaluated"),
    Case("roles_reach_secrets_by_name_only", also(ROLE, "r", {"rules": UNKNOWN}), "not evaluated"),
    Case("roles_do_not_lead_to_more_rights", also(ROLE, "r", {"rules": UNKNOWN}), "not evaluated"),
    Case(
        "bindings_make_nobody_administrator",
        put("RoleBinding", "postgres-binding", "roleRef", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "bindings_are_for_named_accounts", put("RoleBinding", "postgres-binding", "subjects", UNKNOWN), "not evaluated"
    ),
]

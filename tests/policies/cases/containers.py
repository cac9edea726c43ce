"""What a container may do to its machine."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, put

MAIN = "spec.template.spec.containers[0].securityContext"
INIT = {
    "name": "first",
    "image": "i",
    "securityContext": {"capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
}


def _init(**security: object) -> list[dict[str, object]]:
    good = INIT["securityContext"]
    assert isinstance(good, dict)
    return [{**INIT, "securityContext": {**good, **security}}]


CASES = [
    Case("containers_are_not_privileged", put("Deployment", "api", f"{MAIN}.privileged", True), path="containers[0]"),
    Case("containers_are_not_privileged", put("Container", "api", "privileged", True), environment="dev"),
    Case(
        "containers_are_not_privileged",
        put("StatefulSet", "postgres", "spec.template.spec.initContainers", _init(privileged=True)),
        path="initContainers[0]",
        why="init",
    ),
    Case("containers_are_not_privileged", put("Deployment", "api", f"{MAIN}.privileged", UNKNOWN), "not evaluated"),
    Case("containers_get_no_rights_of_root", put("Job", "migrations", f"{MAIN}.capabilities.add", ["NET_ADMIN"])),
    Case(
        "containers_get_no_rights_of_root", put("Container", "kafka", "capabilities.adds", ["ALL"]), environment="dev"
    ),
    Case(
        "containers_get_no_rights_of_root",
        put(
            "CronJob",
            "backup-full",
            "spec.jobTemplate.spec.template.spec.initContainers",
            _init(capabilities={"add": ["X"], "drop": ["ALL"]}),
        ),
        why="init",
    ),
    Case(
        "containers_get_no_rights_of_root",
        put("Job", "migrations", f"{MAIN}.capabilities.add", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "containers_drop_all_rights_of_root", put("DaemonSet", "node-exporter", f"{MAIN}.capabilities.drop", ["CHOWN"])
    ),
    Case("containers_drop_all_rights_of_root", put("Container", "relay", "capabilities", ABSENT), environment="dev"),
    Case(
        "containers_drop_all_rights_of_root",
        put("Deployment", "edge", "spec.template.spec.initContainers", _init(capabilities={})),
        why="init",
    ),
    Case(
        "containers_drop_all_rights_of_root",
        put("Deployment", "edge", f"{MAIN}.capabilities", UNKNOWN),
        "not evaluated",
    ),
    Case(
        "containers_cannot_change_their_own_files", put("Deployment", "relay", f"{MAIN}.readOnlyRootFilesystem", False)
    ),
    Case(
        "containers_cannot_change_their_own_files",
        put("Deployment", "relay", "spec.template.spec.initContainers", _init(readOnlyRootFilesystem=False)),
        why="init",
    ),
    Case("containers_cannot_change_their_own_files", put("Deployment", "relay", MAIN, UNKNOWN), "not evaluated"),
    Case(
        "programs_do_not_reach_the_container_engine",
        put("Deployment", "api", "spec.template.spec.volumes[0]", {"name": "e", "hostPath": {"path": "/var/run"}}),
    ),
    Case(
        "programs_do_not_reach_the_container_engine",
        put("Container", "api", "volumes[0].hostPath", "/var/run/docker.sock"),
        environment="dev",
    ),
    Case(
        "programs_do_not_reach_the_container_engine",
        put("Deployment", "api", "spec.template.spec.volumes", UNKNOWN),
        "not evaluated",
    ),
]

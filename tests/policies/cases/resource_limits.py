"""How much a program may take, and how much its logs."""

from tests.policies.changes import ABSENT, UNKNOWN, Case, config, env, put, swap

POD = "spec.template.spec"
MAIN = f"{POD}.containers[0]"
INIT = [{"name": "first", "resources": {"limits": {"cpu": "1"}}}]

CASES = [
    Case("containers_have_a_memory_limit", put("Deployment", "api", f"{MAIN}.resources.limits.memory", ABSENT)),
    Case("containers_have_a_memory_limit", put("Container", "api", "memory", ABSENT), environment="dev"),
    Case(
        "containers_have_a_memory_limit",
        put("Deployment", "api", f"{POD}.initContainers", INIT),
        why="init",
        path="initContainers[0]",
    ),
    Case("containers_have_a_memory_limit", put("Deployment", "api", f"{MAIN}.resources", UNKNOWN), "not evaluated"),
    Case("containers_have_a_cpu_limit", put("StatefulSet", "kafka", f"{MAIN}.resources.limits.cpu", ABSENT)),
    Case("containers_have_a_cpu_limit", put("Container", "kafka", "cpus", ABSENT), environment="dev"),
    Case("containers_have_a_cpu_limit", put("Deployment", "api", f"{POD}.initContainers", [{"name": "i"}]), why="init"),
    Case("containers_have_a_cpu_limit", put("Container", "kafka", "cpus", UNKNOWN), "not evaluated", environment="dev"),
    Case("containers_do_not_swap_without_bound", put("Container", "api", "memorySwap", -1), environment="dev"),
    Case(
        "containers_do_not_swap_without_bound",
        put("Container", "api", "memorySwap", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("scratch_folders_are_bounded", put("Deployment", "api", f"{POD}.volumes[0].emptyDir", {})),
    Case("scratch_folders_are_bounded", put("Container", "api", "tmpfs", {"/tmp": "rw,noexec"}), environment="dev"),  # noqa: S108
    Case("scratch_folders_are_bounded", put("Deployment", "api", f"{POD}.volumes", UNKNOWN), "not evaluated"),
    Case("executors_bound_their_runs", env("executor", "EXECUTOR_CONCURRENCY", "0")),
    Case("executors_bound_their_runs", env("executor", "EXECUTOR_CONCURRENCY", ABSENT), environment="dev"),
    Case("executors_bound_their_runs", env("executor", "EXECUTOR_CONCURRENCY", UNKNOWN), "not evaluated"),
    Case("the_brokers_heap_leaves_room", env("kafka", "KAFKA_HEAP_OPTS", "-Xms1g -Xmx2g")),
    Case("the_brokers_heap_leaves_room", env("kafka", "KAFKA_HEAP_OPTS", "-Xmx1000m"), environment="dev"),
    Case("the_brokers_heap_leaves_room", env("kafka", "KAFKA_HEAP_OPTS", ABSENT), why="none"),
    Case("the_brokers_heap_leaves_room", env("kafka", "KAFKA_HEAP_OPTS", UNKNOWN), "not evaluated"),
    Case(
        "the_databases_buffers_leave_room",
        config("postgres", "patroni.yml", swap("shared_buffers: 1024MB", "shared_buffers: 3GB")),
    ),
    Case("the_databases_buffers_leave_room", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    Case("namespaces_are_bounded", put("ResourceQuota", "quota", "metadata.namespace", "elsewhere")),
    Case("namespaces_are_bounded", put("ResourceQuota", "quota", "metadata.namespace", UNKNOWN), "not evaluated"),
    Case("the_quota_has_room_for_everything", put("HorizontalPodAutoscaler", "api-autoscaler", "spec.maxReplicas", 90)),
    Case("the_quota_has_room_for_everything", put("ResourceQuota", "quota", "spec.hard", {"limits.memory": "9Gi"})),
    Case("the_quota_has_room_for_everything", put("ResourceQuota", "quota", "spec.hard", UNKNOWN), "not evaluated"),
    Case("default_limits_are_of_both", put("LimitRange", "limits", "spec.limits[0].default", {"cpu": "1"})),
    Case("default_limits_are_of_both", put("LimitRange", "limits", "spec.limits", UNKNOWN), "not evaluated"),
    Case("log_files_have_a_largest_size", put("Container", "api", "logOpts", {"max-file": "3"}), environment="dev"),
    Case(
        "log_files_have_a_largest_size",
        put("Container", "api", "logOpts", {"max-size": "-1", "max-file": "3"}),
        environment="dev",
        why="unlimited",
    ),
    Case(
        "log_files_have_a_largest_size", put("Container", "api", "logOpts", UNKNOWN), "not evaluated", environment="dev"
    ),
    Case("log_files_are_counted", put("Container", "api", "logOpts", {"max-size": "1m"}), environment="dev"),
    Case("log_files_are_counted", put("Container", "api", "logDriver", UNKNOWN), "not evaluated", environment="dev"),
    Case(
        "logs_leave_room_on_the_disk",
        put("Container", "api", "logOpts", {"max-size": "1g", "max-file": "9"}),
        environment="dev",
    ),
    Case(
        "logs_leave_room_on_the_disk", put("Container", "api", "logOpts", UNKNOWN), "not evaluated", environment="dev"
    ),
]

"""Workers, connections and limits."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, Change, both, config, env, put

API = "spec.template.spec.containers[0]"


def _pool(size: int, overflow: int) -> Change:
    return both(env("api", "DATABASE_POOL_SIZE", str(size)), env("api", "DATABASE_MAX_OVERFLOW", str(overflow)))


def _quota(**hard: object) -> Change:
    named = {name.replace("_", "."): value for name, value in hard.items()}
    return put("ResourceQuota", "quota", "spec.hard", lambda before: {**before, **named})


INIT = {"name": "first", "image": "i", "resources": {"limits": {"cpu": "70", "memory": "100Gi"}}}

CASES = [
    Case("workers_have_the_cores_they_need", env("api", "API_WORKERS", "6")),
    Case("workers_have_the_cores_they_need", env("api", "API_WORKERS", "4"), environment="dev"),
    Case(
        "workers_have_the_cores_they_need", put("Container", "api", "cpus", ABSENT), environment="dev", why="no limit"
    ),
    Case(
        "workers_have_the_cores_they_need",
        put("Deployment", "api", f"{API}.resources.limits.cpu", UNKNOWN),
        "not evaluated",
    ),
    Case("production_has_a_worker_to_spare", env("api", "API_WORKERS", "1")),
    Case("production_has_a_worker_to_spare", env("api", "API_WORKERS", UNKNOWN), "not evaluated"),
    Case("the_pool_has_two_connections_a_worker", env("api", "DATABASE_POOL_SIZE", "7")),
    Case("the_pool_has_two_connections_a_worker", env("api", "API_WORKERS", "6"), environment="dev"),
    Case("the_pool_has_two_connections_a_worker", env("api", "DATABASE_POOL_SIZE", UNKNOWN), "not evaluated"),
    Case("the_overflow_is_twice_the_pool", env("api", "DATABASE_MAX_OVERFLOW", "30")),
    Case("the_overflow_is_twice_the_pool", env("api", "DATABASE_MAX_OVERFLOW", "10"), environment="dev"),
    Case("the_overflow_is_twice_the_pool", env("api", "DATABASE_MAX_OVERFLOW", UNKNOWN), "not evaluated"),
    Case("all_programs_together_stay_below_the_servers_limit", _pool(30, 60)),
    Case("all_programs_together_stay_below_the_servers_limit", _pool(30, 60), environment="dev"),
    Case(
        "all_programs_together_stay_below_the_servers_limit",
        put("HorizontalPodAutoscaler", "api-autoscaler", "spec.maxReplicas", 7),
        why="scaled further",
    ),
    Case(
        "all_programs_together_stay_below_the_servers_limit",
        config("postgres", "patroni.yml", lambda text: text.replace("max_connections: 600", "max_connections: 560")),
        why="lower limit",
    ),
    Case(
        "all_programs_together_stay_below_the_servers_limit",
        config("postgres", "patroni.yml", lambda text: text.replace("max_connections: 600", "work_mem: 1MB")),
        why="the default limit",
    ),
    Case(
        "all_programs_together_stay_below_the_servers_limit",
        config("postgres", "patroni.yml", UNKNOWN),
        "not evaluated",
    ),
    Case("the_apis_pool_is_raised_within_the_servers_limit", _pool(30, 60), path="api"),
    Case("the_apis_pool_is_raised_within_the_servers_limit", _pool(30, 60), environment="dev"),
    Case(
        "the_apis_pool_is_raised_within_the_servers_limit", env("api", "DATABASE_POOL_SIZE", UNKNOWN), "not evaluated"
    ),
    Case("the_target_has_the_documented_minimum", _quota(limits_memory="1Gi"), path="limits.memory"),
    Case("the_target_has_the_documented_minimum", _quota(limits_cpu="500m"), path="limits.cpu"),
    Case("the_target_has_the_documented_minimum", _quota(limits_memory=UNKNOWN), "not evaluated"),
    Case("all_memory_limits_together_fit_the_target", _quota(limits_memory="16Gi")),
    Case(
        "all_memory_limits_together_fit_the_target",
        put("Deployment", "api", "spec.template.spec.initContainers", [INIT]),
        why="init",
    ),
    Case("all_memory_limits_together_fit_the_target", _quota(limits_memory=UNKNOWN), "not evaluated"),
    Case("all_core_limits_together_fit_the_target", _quota(limits_cpu="20")),
    Case(
        "all_core_limits_together_fit_the_target",
        put("StatefulSet", "postgres", "spec.replicas", 40),
        why="more members",
    ),
    Case(
        "all_core_limits_together_fit_the_target",
        put("Deployment", "api", f"{API}.resources.limits.cpu", UNKNOWN),
        "not evaluated",
    ),
]

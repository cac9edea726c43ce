"""Workers, connections and limits: what must fit into what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import yaml

from policies.engine.rule import Fault, rule
from policies.view.deployment import Deployment
from policies.view.parts import Platform, PlatformPart
from policies.view.pods import Pod
from policies.view.resources import Resource
from policies.view.scale import cores_of, memory_of, most_instances
from policies.view.settings import effective, programs
from policies.view.targets import place
from policies.view.values import Value
from stacks import sizing
from stacks.quantities import quantity

WORKERS, BUDGET, SCALE_UP = "api-workers-formula", "database-connection-budget", "database-connections-scale-up"
HOST = "host-minimum-resources"

LEAST_MEMORY = 2 * 2.0**30
LEAST_CORES = 1.0
SERVERS_DEFAULT = 100
"""max_connections where nothing is said: Postgres' own default."""

_MAX_CONNECTIONS = re.compile(r"^\s*max_connections\s*=?\s*'?([0-9]+)", re.MULTILINE)
"""A line of postgresql.conf, whose equals sign and quotes may be left out."""


@rule(
    WORKERS, on=PlatformPart, parts=["api"], wanted="at most 2 x cores + 1", mend="api.workers, or api.resources.cpus"
)
def workers_have_the_cores_they_need(api: PlatformPart) -> Iterator[Fault]:
    """More workers than the processor limit feeds take turns, and each costs its memory."""
    workers, cores = effective(api, "API_WORKERS"), api.container.cpu_limit.number()
    if cores is None:
        yield Fault(api.container.cpu_limit, "without a limit of cores nobody can tell how many workers fit")
    elif (workers.number() or 0) > (most := sizing.recommended_workers(cores)):
        yield Fault(workers, f"API_WORKERS is above the {most} that the limit of cores feeds")


@rule(
    WORKERS, on=PlatformPart, parts=["api"], environments=["prod"], wanted="2 or more, up to 2 x cores + 1",
    mend="api.workers",
)  # fmt: skip
def production_has_a_worker_to_spare(api: PlatformPart) -> Iterator[Fault]:
    """With one worker a single request that computes holds all others of its replica back."""
    workers = effective(api, "API_WORKERS")
    if (workers.number() or 0) < 2:
        yield Fault(workers, "API_WORKERS is below 2")


@rule(
    "database-pool-size-formula", on=PlatformPart, parts=["api"], wanted="at least 2 x API_WORKERS",
    mend="api.pool.size",
)  # fmt: skip
def the_pool_has_two_connections_a_worker(api: PlatformPart) -> Iterator[Fault]:
    """The pool is divided among the workers; with less than two a worker waits for its own connection."""
    pool, workers = effective(api, "DATABASE_POOL_SIZE"), effective(api, "API_WORKERS")
    if (pool.number() or 0) < (least := sizing.smallest_pool(int(workers.number() or 0))):
        yield Fault(pool, f"DATABASE_POOL_SIZE is below {least}, two for each worker")


@rule(
    "database-max-overflow-formula", on=PlatformPart, parts=["api"], wanted="2 x DATABASE_POOL_SIZE",
    mend="api.pool.overflow",
)  # fmt: skip
def the_overflow_is_twice_the_pool(api: PlatformPart) -> Iterator[Fault]:
    """Connections beyond the pool are for peaks: with fewer a peak waits, with more it takes what others need."""
    overflow, pool = effective(api, "DATABASE_MAX_OVERFLOW"), effective(api, "DATABASE_POOL_SIZE")
    if overflow.number() != (twice := sizing.overflow_of(int(pool.number() or 0))):
        yield Fault(overflow, f"DATABASE_MAX_OVERFLOW is not {twice}, twice the pool")


def _has_server(platform: Platform) -> bool:
    return "postgres" in platform.parts


@rule(
    BUDGET,
    on=Platform,
    where=_has_server,
    wanted="fewer, or a higher limit",
    mend="postgres.maxConnections, or the pools",
)
def all_programs_together_stay_below_the_servers_limit(platform: Platform) -> Iterator[Fault]:
    """The server refuses who comes beyond its limit; that must not be the replica which a peak or a release adds."""
    postgres = platform.parts["postgres"]
    limit = _limit(postgres)
    available = sizing.connections_available(int(limit.number() or 0))
    if (most := _most_connections(platform)) > available:
        yield Fault(
            place(postgres.resource, limit),
            f"the programs may open {most} connections, {most - available} more than the server has for them",
        )


@rule(
    SCALE_UP, on=Platform, where=_has_server, wanted="what the server's limit leaves",
    mend="api.pool.size, api.pool.overflow, or postgres.maxConnections first",
)  # fmt: skip
def the_apis_pool_is_raised_within_the_servers_limit(platform: Platform) -> Iterator[Fault]:
    """A larger pool is the usual answer to waiting requests; beyond the server's limit it makes them fail instead. By
    the same count as the budget, told where the pool is raised."""
    api = platform.parts.get("api")
    if api is None:
        return
    available = sizing.connections_available(int(_limit(platform.parts["postgres"]).number() or 0))
    instances, own = most_instances(platform.snapshot, api.pod), _connections(api)
    others = _most_connections(platform) - instances * own
    room = max(0, (available - others) // instances)
    if own > room:
        pool = effective(api, "DATABASE_POOL_SIZE")
        what = f"pool and overflow of one API together are above {room}, its share of the server's connections"
        yield Fault(place(api.resource, pool), what)


def _most_connections(platform: Platform) -> int:
    """Of all instances that can be there at a time. Those of the migrations are among what is set aside."""
    running = [each for each in programs(platform) if not each.pod.runs_to_its_end]
    return sum(most_instances(platform.snapshot, each.pod) * _connections(each) for each in running)


def _connections(part: PlatformPart) -> int:
    """Of one instance: its pool, divided among its workers, and the overflow."""
    return sum(int(effective(part, name).number() or 0) for name in ("DATABASE_POOL_SIZE", "DATABASE_MAX_OVERFLOW"))


def _limit(server: PlatformPart) -> Value:
    """max_connections of a single server, or of a cluster, whose members all have it from Patroni's settings."""
    single, cluster = server.file("postgresql.conf"), server.file("patroni.yml")
    if cluster.is_given:
        document = Value(yaml.safe_load(cluster.text() or ""))
        found = document.at("bootstrap", "dcs", "postgresql", "parameters", "max_connections")
        return Value(found.text() or SERVERS_DEFAULT, cluster.path)
    found_line = _MAX_CONNECTIONS.search(single.text() or "")
    return Value(found_line[1] if found_line else SERVERS_DEFAULT, single.path)


def _bounds(resource: Resource) -> Value:
    return resource.inputs.at("spec", "hard")


@rule(HOST, on=Resource, kinds=["ResourceQuota"], wanted="2Gi and 1 core or more", mend="kubernetes.quota")
def the_target_has_the_documented_minimum(quota: Resource) -> Iterator[Fault]:
    """Less than that carries none of the programs, whatever the rest of the description says."""
    for key, least in (("limits.memory", LEAST_MEMORY), ("limits.cpu", LEAST_CORES)):
        bound = _bounds(quota)[key]
        if (given := _amount(bound)) is not None and given < least:
            yield Fault(bound, f"{key} is below the documented minimum")


def _with_quotas(deployment: Deployment) -> bool:
    return bool(deployment.of("ResourceQuota"))


@rule(HOST, on=Deployment, where=_with_quotas, wanted="room for all limits", mend="kubernetes.quota, or smaller parts")
def all_memory_limits_together_fit_the_target(deployment: Deployment) -> Iterator[Fault]:
    """What does not fit is not started: the last replicas of a peak or of a release, of whichever part comes last."""
    yield from _beyond(deployment, "limits.memory", lambda pod: memory_of(pod) * 2.0**20, "Mi", 2.0**20)


@rule(HOST, on=Deployment, where=_with_quotas, wanted="room for all limits", mend="kubernetes.quota, or smaller parts")
def all_core_limits_together_fit_the_target(deployment: Deployment) -> Iterator[Fault]:
    """What does not fit is not started: the last replicas of a peak or of a release, of whichever part comes last."""
    yield from _beyond(deployment, "limits.cpu", cores_of, " cores", 1)


def _beyond(deployment: Deployment, key: str, of: Callable[[Pod], float], unit: str, scale: float) -> Iterator[Fault]:
    for quota in deployment.of("ResourceQuota"):
        bound = _bounds(quota)[key]
        given = _amount(bound)
        if given is None:
            continue
        here = quota.inputs.at("metadata", "namespace").text()
        pods = [each for each in deployment.pods if each.resource.inputs.at("metadata", "namespace").text() == here]
        needed = sum(most_instances(deployment, each) * of(each) for each in pods)
        if needed > given:
            what = f"all programs together can take {needed / scale:g}{unit}, more than {key} allows"
            yield Fault(place(quota, bound), what)


def _amount(bound: Value) -> float | None:
    text = bound.text()
    try:
        return quantity(text) if text is not None else None
    except ValueError:
        return None

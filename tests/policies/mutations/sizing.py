"""Workers, connections and limits: what must fit into what."""

from tests.policies.mutations.harness import Mutation

POOL_OF_THE_API = '**parts.env("api", api.pool),'

MUTATIONS = [
    Mutation(
        "api-workers-formula",
        "prod",
        "Pulumi.prod.yaml",
        "workers: 4",
        "workers: 1",
        "production_has_a_worker_to_spare",
    ),
    Mutation(
        "database-pool-size-formula",
        "prod",
        "infra/components/service.py",
        POOL_OF_THE_API,
        '**parts.env("api", Pool(size=4, overflow=8)),',
        "the_pool_has_two_connections_a_worker",
    ),
    Mutation(
        "database-max-overflow-formula",
        "prod",
        "infra/components/service.py",
        '"DATABASE_MAX_OVERFLOW": str(pool.overflow),',
        '"DATABASE_MAX_OVERFLOW": str(pool.size),',
        "the_overflow_is_twice_the_pool",
    ),
    # The same count, told where the server's limit is and where the pool is: neither can be broken alone.
    Mutation(
        "database-connection-budget",
        "prod",
        "infra/postgres/patroni.py",
        '"max_connections": postgres.max_connections,',
        '"max_connections": 100,',
        "all_programs_together_stay_below_the_servers_limit",
        frozenset({"database-connections-scale-up"}),
    ),
    Mutation(
        "database-connections-scale-up",
        "dev",
        "infra/components/service.py",
        POOL_OF_THE_API,
        '**parts.env("api", Pool(size=30, overflow=60)),',
        "the_apis_pool_is_raised_within_the_servers_limit",
        frozenset({"database-connection-budget"}),
    ),
    # Meant as thousandths of a core.
    Mutation(
        "host-minimum-resources",
        "prod",
        "infra/components/service.py",
        "resources=Resources(cpus=1, memory=256),",
        "resources=Resources(cpus=100, memory=256),",
        "all_core_limits_together_fit_the_target",
    ),
]

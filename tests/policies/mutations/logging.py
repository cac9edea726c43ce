"""What programs write down, where it goes, and for how long it is kept."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "log-rotation",
        "dev",
        "Pulumi.dev.yaml",
        "maxSize: 10Mi",
        "maxSize: 10Gi",
        "logs_leave_room_on_the_disk",
    ),
    Mutation(
        "log-level-prod",
        "prod",
        "Pulumi.prod.yaml",
        "level: INFO",
        "level: ERROR",
        "production_writes_neither_too_much_nor_too_little",
    ),
    Mutation(
        "log-format-json",
        "prod",
        "Pulumi.prod.yaml",
        "format: json",
        "format: text",
        "records_are_json",
    ),
    Mutation(
        "log-collection",
        "prod",
        "infra/edge/nginx.conf",
        "access_log /dev/stdout record;",
        "access_log /tmp/access.log record;",
        "the_edge_logs_to_the_engine",
    ),
    # What has no bounds is not rotated either: both read the same two options of the engine.
    Mutation(
        "log-retention-and-archive",
        "dev",
        "infra/targets/docker.py",
        'log_opts={"max-size": "1m", "max-file": "1"}',
        'log_opts={"max-size": "1m"}',
        "it_is_said_how_much_log_is_kept",
        consequences=frozenset({"log-rotation"}),
    ),
]

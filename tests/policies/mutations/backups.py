"""Whether the database is saved often enough, wholly, encrypted, for a while, and before it is changed."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "backup-hourly-incremental",
        "prod",
        "Pulumi.prod.yaml",
        "incremental: 45 * * * *",
        "incremental: 60 * * * *",
        "an_incremental_backup_runs_every_hour",
    ),
    Mutation(
        "backup-daily-full",
        "prod",
        "Pulumi.prod.yaml",
        "full: 15 1 * * *",
        "full: 15 1 * * 1-5",
        "a_full_backup_runs_every_day",
    ),
    Mutation(
        "backup-strategy-defined",
        "prod",
        "infra/postgres/patroni.py",
        '"archive_mode": "on"',
        '"archive_mode": "off"',
        "the_log_of_changes_is_archived",
    ),
    Mutation(
        "backup-scope-database",
        "prod",
        "infra/components/backups.py",
        "member_hosts(stack.postgres.members, stack.namespace)",
        "member_hosts(1, stack.namespace)",
        "every_member_is_saved",
    ),
    Mutation(
        "backup-retention",
        "prod",
        "infra/postgres/pgbackrest.py",
        '                "repo1-retention-archive": str(backup.keep_daily),\n',
        "",
        "the_archived_log_expires",
    ),
    Mutation(
        "backup-before-migration",
        "prod",
        "infra/components/backups.py",
        '["backup-run", "incr"]',
        '["backup-expire"]',
        "what_is_migrated_can_be_saved_before",
    ),
    Mutation(
        "recovery-objectives",
        "prod",
        "Pulumi.prod.yaml",
        "drill: 30 3 * * 0",
        "drill: 30 3 1 * *",
        "a_restore_is_tried_every_week",
    ),
]

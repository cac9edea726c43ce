"""What the revisions of the database's schema would do to a database in use, and who read them."""

from ops.home import PROJECT_DIR
from policies.rules.project_migrations import FOLDER
from policies.view.reports import digest_of
from tests.policies.mutations.harness import Mutation

FIRST = f"{FOLDER}/0001_first_schema.py"
APPROVED = digest_of((PROJECT_DIR / FIRST).read_text(encoding="utf-8"))
"""What its approvals name the first revision by."""
LAST_INDEX = 'op.create_index("ix_audit_log_at", "audit_log", ["at"], unique=False)'

MUTATIONS = [
    Mutation(
        "indexes-built-concurrently",
        "prod",
        FIRST,
        LAST_INDEX,
        'op.create_index("ix_audit_log_at", "audit_log", ["at"], unique=False, postgresql_concurrently=True)',
        "concurrent_indexes_are_built_outside_a_transaction",
    ),
    Mutation(
        "data-migrations-batched",
        "prod",
        FIRST,
        LAST_INDEX,
        f'{LAST_INDEX}\n    op.execute("UPDATE run_results SET status = 1")',  # noqa: S608 - a text to be found
        "data_is_changed_in_batches",
    ),
    Mutation(
        "migration-sql-impact-reviewed",
        "prod",
        FIRST,
        LAST_INDEX,
        f'{LAST_INDEX}\n    op.alter_column("run_results", "status", nullable=False)',
        "slow_or_locking_statements_are_signed_off",
    ),
    Mutation(
        "migrations-reviewed",
        "prod",
        "reports/approvals.json",
        f'"kind": "migration",\n   "of": "{APPROVED}"',
        f'"kind": "comment",\n   "of": "{APPROVED}"',
        "each_migration_was_read_by_a_second_person",
    ),
]

"""What is kept on disks."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    # The plan of the backups asks for their encryption, too.
    Mutation(
        "data-encrypted-at-rest",
        "prod",
        "infra/postgres/pgbackrest.py",
        '"repo1-cipher-type": "aes-256-cbc",',
        '"repo1-cipher-type": "none",',
        "stored_backups_are_unreadable_without_a_key",
        frozenset({"backup-strategy-defined"}),
    ),
]

"""Who is asked, what was looked at, what callers and the database rely on."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "contacts-current",
        "prod",
        "Pulumi.prod.yaml",
        "security: security@operations.internal",
        "security: security@example.com",
        "no_contact_is_a_placeholder",
    ),
    Mutation(
        "infra-change-previewed",
        "prod",
        "reports/preview.json",
        '"changes": []',
        '"changes": [{"urn": "postgres", "type": "kubernetes:apps/v1:StatefulSet", "op": "replace"}]',
        "the_loss_of_data_was_accepted",
    ),
    Mutation(
        "api-prefix-setting",
        "dev",
        "Pulumi.dev.yaml",
        "prefix: /api/v1",
        "prefix: /api",
        "the_prefix_is_a_path_with_a_version",
    ),
    Mutation(
        "api-versioning",
        "prod",
        "service/openapi.json",
        '"name": "actor",',
        '"name": "by",',
        "released_operations_still_work_for_their_callers",
    ),
    Mutation(
        "database-password-strong",
        "prod",
        "infra/postgres/patroni.py",
        '"password_encryption": "scram-sha-256"',
        '"password_encryption": "md5"',
        "the_database_keeps_passwords_as_scram",
    ),
]

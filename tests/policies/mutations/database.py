"""Where the programs find the database and the brokers, and what they are told on the way."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "database-url-set",
        "dev",
        "infra/endpoints.py",
        '"postgresql://", login.user, ":", login.password, "@"',
        '"postgresql://", login.user, "@"',
        "the_databases_url_is_whole",
    ),
    Mutation(
        "database-url-matches-provisioned",
        "dev",
        "infra/components/postgres.py",
        'host="postgres",',
        'host="localhost",',
        "programs_go_to_the_server_of_their_stack",
    ),
    Mutation(
        "postgres-prod-dedicated",
        "prod",
        "Pulumi.prod.yaml",
        "database: workflow_prod",
        "database: workflow_db",
        "production_does_not_use_developments_database",
    ),
    Mutation(
        "database-tls",
        "prod",
        "infra/endpoints.py",
        "?sslmode=verify-full&",
        "?sslmode=require&",
        "programs_verify_the_database",
    ),
    Mutation(
        "kafka-brokers-set",
        "dev",
        "infra/components/kafka.py",
        'brokers=f"kafka:{SINGLE_PORT}"',
        'brokers=f"PLAINTEXT://kafka:{SINGLE_PORT}"',
        "every_program_knows_its_brokers",
    ),
    Mutation(
        "env-vars-documented",
        "dev",
        "docs/settings.md",
        "| `MAX_PAGE_SIZE` | `100` |",
        "| `MAX_PAGE_SIZE` | `1000` |",
        "every_row_has_the_codes_default",
    ),
]

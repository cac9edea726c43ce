"""Who gets in, how fast, under which names, and what he can do to a statement."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "jwt-algorithm-pinned",
        "prod",
        "infra/components/service.py",
        '"JWT_ALGORITHM": stack.authentication.jwt_algorithm,',
        '"JWT_ALGORITHM": "none",',
        "tokens_are_signed_by_one_algorithm",
        # The service itself does not start with it.
        frozenset({"config-values-validated"}),
    ),
    Mutation(
        "jwt-expiration-bounded",
        "dev",
        "infra/components/service.py",
        "str(stack.authentication.jwt_expiration_minutes)",
        "str(stack.authentication.jwt_expiration_minutes * 60)",
        "tokens_end_within_a_day",
    ),
    Mutation(
        "api-key-header-setting",
        "prod",
        "Pulumi.prod.yaml",
        "headers: [Content-Type, Authorization, X-API-Key]",
        "headers: [Content-Type, Authorization]",
        "browsers_may_send_the_header_of_keys",
    ),
    Mutation(
        "allowed-hosts",
        "prod",
        "infra/edge/nginx.conf",
        "listen 8443 ssl http2 default_server;",
        "listen 8443 ssl http2;",
        "unknown_host_names_are_refused",
    ),
    Mutation(
        "api-docs-restricted",
        "prod",
        "infra/edge/nginx.conf",
        "            try_files /nothing =404;",
        "            proxy_pass https://api;",
        "the_edge_does_not_show_the_docs",
    ),
    Mutation(
        "rate-limiting",
        "prod",
        "infra/components/service.py",
        '**({"FORWARDED_ALLOW_IPS": "*"} if stack.edge else {}),',
        "",
        "the_limit_counts_visitors_not_the_edge",
    ),
    Mutation(
        "sql-injection-prevention",
        "dev",
        "service/auth/keys.py",
        "api_keys.c.key_hash == hash_key(key),",
        "text(f\"key_hash = '{hash_key(key)}'\"),",
        "the_service_builds_no_sql_from_values",
    ),
]

"""The way in from outside: its name, its encryption, and what a flood meets."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "domain-configured",
        "prod",
        "Pulumi.prod.yaml",
        "hosts: [api.workflow.internal]",
        "hosts: [api.workflow.local]",
        "visitors_ask_for_a_public_name",
    ),
    Mutation(
        "tls-public-endpoints",
        "prod",
        "infra/edge/nginx.conf",
        "    ssl_protocols TLSv1.2 TLSv1.3;",
        "    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;",
        "the_edge_speaks_no_old_tls",
    ),
    Mutation(
        "https-enforced",
        "prod",
        "Pulumi.prod.yaml",
        "hstsSeconds: 31536000",
        "hstsSeconds: 86400",
        "browsers_are_told_to_use_https_only",
    ),
    Mutation(
        "flood-protection",
        "prod",
        "infra/edge/nginx.conf",
        "    limit_req_status 429;",
        "    limit_req_dry_run on;\n    limit_req_status 429;",
        "the_edges_limits_are_enforced",
    ),
]

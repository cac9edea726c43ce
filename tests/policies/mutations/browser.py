"""Which web pages may call the API from a visitor's browser."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "cors-origins-exact",
        "prod",
        "Pulumi.prod.yaml",
        'origins: ["https://console.workflow.internal"]',
        'origins: ["http://console.workflow.internal"]',
        "origins_are_named_exactly",
    ),
    Mutation(
        "cors-methods-headers-listed",
        "prod",
        "Pulumi.prod.yaml",
        "methods: [GET, POST, PUT, DELETE, PATCH]",
        'methods: ["*"]',
        "methods_and_headers_are_listed",
    ),
    Mutation(
        "cors-credentials-safe",
        "dev",
        "infra/components/service.py",
        '"CORS_ORIGINS": ",".join(api.cors.origins)',
        '"CORS_ORIGINS": ",".join([*api.cors.origins, "https://*.workflow.internal"])',
        "credentials_go_to_named_origins_only",
    ),
]

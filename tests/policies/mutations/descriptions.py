"""What the programs are told, and what the descriptions of the stacks say."""

from tests.policies.mutations.harness import Mutation

MUTATIONS = [
    Mutation(
        "stack-config-dev-complete",
        "dev",
        "infra/components/service.py",
        '"API_RELOAD": _flag(api.reload),',
        "",
        "the_development_api_is_given_every_setting",
    ),
    Mutation(
        "stack-config-prod-complete",
        "prod",
        "Pulumi.prod.yaml",
        "concurrency: 16\n",
        "concurrency: 16\n    httpAllowedHosts: [api.example.com]\n",
        "production_is_given_no_sample_of_the_documents",
    ),
    Mutation(
        "config-values-validated",
        "dev",
        "infra/components/service.py",
        '"HTTP_AGENT_ALLOWED_HOSTS"',
        '"HTTP_AGENT_ALLOWED_HOST"',
        "programs_are_given_no_setting_that_nobody_reads",
    ),
    Mutation(
        "api-metadata-settings",
        "dev",
        "Pulumi.dev.yaml",
        "description: REST API for managing workflow orchestration",
        'description: ""',
        "the_api_says_what_it_is",
    ),
    Mutation(
        "api-bind-address",
        "prod",
        "infra/components/service.py",
        '"API_HOST": "0.0.0.0"',
        '"API_HOST": "127.0.0.1"',
        "the_api_listens_beyond_its_own_container",
    ),
    # The service itself refuses them, too.
    Mutation(
        "page-size-settings",
        "dev",
        "infra/components/service.py",
        '"DEFAULT_PAGE_SIZE": str(api.default_page_size),\n        "MAX_PAGE_SIZE": str(api.max_page_size),',
        '"DEFAULT_PAGE_SIZE": str(api.max_page_size),\n        "MAX_PAGE_SIZE": str(api.default_page_size),',
        "a_page_is_no_larger_than_the_largest",
        frozenset({"config-values-validated"}),
    ),
    Mutation(
        "staging-matches-production",
        "prod",
        "Pulumi.rehearsal.yaml",
        "hosts: [localhost, 127.0.0.1]",
        "hosts: [localhost, 127.0.0.1]\n    hstsSeconds: 0",
        "the_rehearsal_is_described_like_production",
    ),
]

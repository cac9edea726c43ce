"""What the programs of the service are told."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, both, env, put, secret

PLANTED = "workflow_" + "pass"
"""The sample password; put together, so that no scan takes this file for a leak."""

CASES = [
    Case("the_development_api_is_given_every_setting", env("api", "API_TITLE", ABSENT), environment="dev"),
    Case("the_development_api_is_given_every_setting", env("api", "API_TITLE", " "), environment="dev", why="empty"),
    Case(
        "the_development_api_is_given_every_setting",
        put("Container", "api", "envs", UNKNOWN),
        "not evaluated",
        environment="dev",
    ),
    Case("the_production_api_is_given_every_setting", env("api", "JWT_SECRET_FILE", ABSENT), path="JWT_SECRET"),
    Case("the_production_api_is_given_every_setting", env("api", "CORS_ORIGINS", ""), why="empty"),
    Case("the_production_api_is_given_every_setting", secret("api", "database_url", ""), why="empty secret"),
    Case("the_production_api_is_given_every_setting", env("api", "DATABASE_URL_FILE", UNKNOWN), "not evaluated"),
    Case("production_is_given_no_sample_of_the_documents", env("api", "CORS_ORIGINS", "https://app.example.com")),
    Case(
        "production_is_given_no_sample_of_the_documents",
        secret("relay", "database_url", lambda url: url.replace("@", f"{PLANTED}@")),
        path="database_url",
        why="secret",
    ),
    Case("production_is_given_no_sample_of_the_documents", env("executor", "LOG_LEVEL", UNKNOWN), "not evaluated"),
    Case("programs_are_given_no_setting_that_nobody_reads", env("relay", "LOGLEVEL", "INFO"), path="env"),
    Case("programs_are_given_no_setting_that_nobody_reads", env("migrations", "LOG", "1"), environment="dev"),
    Case("programs_are_given_no_setting_that_nobody_reads", env("api", "TITLE_FILE", "/x"), why="file"),
    Case(
        "programs_are_given_no_setting_that_nobody_reads",
        put("Deployment", "api", "spec.template.spec.containers[0].env", UNKNOWN),
        "not evaluated",
    ),
    Case("settings_are_of_their_type_and_range", env("api", "API_WORKERS", "many"), path="env.API_WORKERS"),
    Case("settings_are_of_their_type_and_range", env("executor", "EXECUTOR_CONCURRENCY", "0"), environment="dev"),
    Case("settings_are_of_their_type_and_range", env("api", "LOG_FORMAT", "pretty-print"), why="word"),
    Case("settings_are_of_their_type_and_range", env("relay", "KAFKA_BROKERS", "kafka-without-port"), why="form"),
    Case("settings_are_of_their_type_and_range", env("migrations", "KAFKA_SASL_USERNAME", ABSENT), why="relation"),
    Case("settings_are_of_their_type_and_range", env("api", "DATABASE_ECHO", "true"), why="production"),
    Case("settings_are_of_their_type_and_range", env("api", "API_WORKERS", UNKNOWN), "not evaluated"),
    Case(
        "settings_are_of_their_type_and_range",
        both(env("api", "API_PORT", "70000"), secret("api", "database_url", UNKNOWN)),
        path="API_PORT",
        why="beside an unknown secret",
    ),
    Case("the_api_says_what_it_is", env("api", "API_DESCRIPTION", "")),
    Case("the_api_says_what_it_is", env("api", "API_TITLE", ABSENT), environment="dev"),
    Case("the_api_says_what_it_is", put("Container", "api", "envs", UNKNOWN), "not evaluated", environment="dev"),
    Case("the_apis_version_is_a_release", env("api", "API_VERSION", "newest")),
    Case("the_apis_version_is_a_release", env("api", "API_VERSION", UNKNOWN), "not evaluated"),
    Case("the_prefix_is_a_path_with_a_version", env("api", "API_PREFIX", "/business")),
    Case("the_prefix_is_a_path_with_a_version", env("api", "API_PREFIX", "api/v1/"), environment="dev"),
    Case("the_prefix_is_a_path_with_a_version", env("api", "API_PREFIX", UNKNOWN), "not evaluated"),
    Case("the_api_listens_beyond_its_own_container", env("api", "API_HOST", "127.0.0.1")),
    Case("the_api_listens_beyond_its_own_container", env("api", "API_HOST", UNKNOWN), "not evaluated"),
    Case("the_api_listens_at_the_port_that_is_opened", env("api", "API_PORT", "9000")),
    Case("the_api_listens_at_the_port_that_is_opened", env("api", "API_PORT", "9000"), environment="dev"),
    Case(
        "the_api_listens_at_the_port_that_is_opened",
        put("Container", "api", "ports", ABSENT),
        environment="dev",
        why="none",
    ),
    Case("the_api_listens_at_the_port_that_is_opened", env("api", "API_PORT", UNKNOWN), "not evaluated"),
    Case("a_page_is_no_larger_than_the_largest", env("api", "DEFAULT_PAGE_SIZE", "101")),
    Case("a_page_is_no_larger_than_the_largest", env("api", "DEFAULT_PAGE_SIZE", "0"), environment="dev"),
    Case("a_page_is_no_larger_than_the_largest", env("api", "MAX_PAGE_SIZE", UNKNOWN), "not evaluated"),
]

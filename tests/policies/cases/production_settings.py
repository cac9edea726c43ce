"""Switches that stand one way in production."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, env, put

INIT = {"name": "first", "image": "i", "env": [{"name": "DEBUG", "value": "1"}]}
MAIN_ENV = "spec.template.spec.containers[0].env"

CASES = [
    Case("figures_are_on", env("api", "ENABLE_METRICS", "false")),
    Case("figures_are_on", env("api", "ENABLE_METRICS", UNKNOWN), "not evaluated"),
    Case("audit_records_are_on", env("api", "ENABLE_AUDIT_LOGGING", "false")),
    Case("audit_records_are_on", env("api", "ENABLE_AUDIT_LOGGING", UNKNOWN), "not evaluated"),
    Case("the_api_does_not_reload_its_code", env("api", "API_RELOAD", "true")),
    Case("the_api_does_not_reload_its_code", env("api", "API_RELOAD", UNKNOWN), "not evaluated"),
    Case("statements_are_not_echoed", env("relay", "DATABASE_ECHO", "true")),
    Case("statements_are_not_echoed", env("migrations", "DATABASE_ECHO", UNKNOWN), "not evaluated"),
    Case("programs_write_no_debugging_records", env("executor", "LOG_LEVEL", "debug")),
    Case("programs_write_no_debugging_records", env("executor", "LOG_LEVEL", UNKNOWN), "not evaluated"),
    Case(
        "no_program_is_put_into_debugging",
        put("Deployment", "edge", f"{MAIN_ENV}[0]", {"name": "DEBUG", "value": "on"}),
    ),
    Case("no_program_is_put_into_debugging", env("api", "FLASK_ENV", "Development"), why="word"),
    Case(
        "no_program_is_put_into_debugging",
        put("StatefulSet", "postgres", "spec.template.spec.initContainers", [INIT]),
        path="initContainers[0]",
        why="init",
    ),
    Case("no_program_is_put_into_debugging", put("Deployment", "api", MAIN_ENV, UNKNOWN), "not evaluated"),
    Case("only_the_production_stack_calls_itself_production", env("api", "ENVIRONMENT", "development")),
    Case(
        "only_the_production_stack_calls_itself_production",
        env("relay", "ENVIRONMENT", ABSENT),
        path="relay",
        why="left out",
    ),
    Case("only_the_production_stack_calls_itself_production", env("api", "ENVIRONMENT", UNKNOWN), "not evaluated"),
]

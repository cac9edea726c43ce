"""Passwords that everybody knows, that can be guessed, or that serve two purposes."""

from collections.abc import Callable

from policies.view.credentials import RANDOM_PASSWORD
from policies.view.deployment import Deployment
from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, Change, adjust, also, both, env, put, recorded_elsewhere, secret

GIVEN = "4f0c2a9d8e1b7365f2c4a6e8091b3d5f7a9c1e3b5d7f90a2c4e6f8b1d3a5c7e9"
SECRET = "kubernetes:core/v1:Secret"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CONTAINER = "docker:index/container:Container"


def _hidden(part: str, name: str) -> Change:
    """The content can't be known, and no generator is known to draw it."""
    return both(
        secret(part, name, UNKNOWN),
        adjust("Secret", f"{part}-secrets", property_dependencies={"data": frozenset()}),
    )


def _with_password(password: str) -> Callable[[str], str]:
    """The same address with another password."""

    def change(url: str) -> str:
        scheme, _, rest = url.partition("://")
        user = rest.partition(":")[0]
        return f"{scheme}://{user}:{password}@{rest.rpartition('@')[2]}"

    return change


def _database(password: str) -> Change:
    return secret("api", "database_url", _with_password(password))


def _theirs(**entries: object) -> Change:
    return also(SECRET, "theirs", {"metadata": {"name": "theirs"}, "stringData": entries})


def _program(image: object, **more: object) -> Change:
    containers = {"containers": [{"name": "main", "image": image, **more}]}
    return also(DEPLOYMENT, "theirs", {"metadata": {"name": "theirs"}, "spec": {"template": {"spec": containers}}})


def _initial(**more: object) -> Change:
    container = {"name": "first", "image": "i", **more}
    return put("Deployment", "api", "spec.template.spec.initContainers", [container])


def _as(part: str, name: str, other_part: str, other: str) -> Change:
    """A secret file gets the content of another one."""

    def change(deployment: Deployment) -> Deployment:
        text = deployment.platform.parts[other_part].secret_files[other].text()
        return secret(part, name, text)(deployment)

    return change


ALL_HIDDEN = both(
    put("Secret", "migrations-secrets", "data", UNKNOWN),
    adjust("Secret", "migrations-secrets", property_dependencies={}),
)
"""The whole of the secret's data can't be known, and comes from no generator."""

CASES = [
    Case("the_database_password_is_no_sample", _database("workflow_pass"), path="database_url"),
    Case("the_database_password_is_no_sample", _database("STRONG_PASSWORD"), environment="dev"),
    Case("the_database_password_is_no_sample", _theirs(POSTGRES_PASSWORD="postgres"), why="foreign"),
    Case("the_database_password_is_no_sample", _hidden("postgres-exporter", "monitoring"), "not evaluated"),
    Case("the_database_password_is_long_enough", _database(GIVEN[:15])),
    Case("the_database_password_is_long_enough", secret("postgres", "password", GIVEN[:15]), environment="dev"),
    Case("the_database_password_is_long_enough", _hidden("postgres-exporter", "monitoring"), "not evaluated"),
    Case("the_database_password_is_random", _database("WelcomePassword-Database2026")),
    Case("the_database_password_is_random", _hidden("postgres-exporter", "monitoring"), "not evaluated"),
    Case("no_secret_is_a_known_default", secret("kafka-access", "api-1", "changeme")),
    Case("no_secret_is_a_known_default", secret("migrations", "admin_password", "admin123"), environment="dev"),
    Case("no_secret_is_a_known_default", _theirs(**{"redis-password": "Redis"}), why="foreign"),
    Case(
        "no_secret_is_a_known_default",
        also(CONTAINER, "theirs", {"name": "theirs", "image": "redis:7", "envs": ["REDIS_PASSWORD=redis"]}),
        environment="dev",
        why="foreign_variable",
    ),
    Case(
        "no_secret_is_a_known_default",
        _initial(env=[{"name": "TOKEN", "value": "changeme"}]),
        path="initContainers[0]",
        why="init",
    ),
    Case("no_secret_is_a_known_default", _hidden("api", "jwt"), "not evaluated"),
    Case("no_secret_is_a_name_beside_it", _database("api_1")),
    Case("no_secret_is_a_name_beside_it", secret("grafana", "admin_password", "PROD"), why="stack"),
    Case("no_secret_is_a_name_beside_it", _database("postgres"), environment="dev", why="host"),
    Case(
        "no_secret_is_a_name_beside_it",
        _theirs(**{"app-username": "bookkeeping", "app-password": "Bookkeeping"}),
        why="foreign",
    ),
    Case("no_secret_is_a_name_beside_it", _hidden("api", "jwt"), "not evaluated"),
    Case("no_secret_can_be_guessed", secret("kafka-access", "api-1", "kX9mQ2vL7p")),
    Case("no_secret_can_be_guessed", secret("grafana", "admin_password", "WelcomeToTesting"), why="words"),
    Case("no_secret_can_be_guessed", secret("grafana", "admin_password", "aaaaaaaaaaaaaaaa"), environment="dev"),
    Case("no_secret_can_be_guessed", _hidden("api", "jwt"), "not evaluated"),
    Case("generators_draw_long_passwords", also(RANDOM_PASSWORD, "theirs", {"length": 8}), path="length"),
    Case("generators_draw_long_passwords", also(RANDOM_PASSWORD, "theirs", {"length": UNKNOWN}), "not evaluated"),
    Case("no_secret_serves_two_purposes", _as("grafana", "admin_password", "migrations", "admin_password")),
    Case("no_secret_serves_two_purposes", _as("postgres", "monitoring", "postgres", "password"), environment="dev"),
    Case("no_secret_serves_two_purposes", _as("kafka-access", "api-1", "kafka-access", "relay-1"), why="logins"),
    Case("no_secret_serves_two_purposes", _hidden("api", "jwt"), "not evaluated"),
    Case(
        "no_secret_is_that_of_another_stack",
        both(secret("grafana", "admin_password", GIVEN), recorded_elsewhere("dev", GIVEN)),
    ),
    Case(
        "no_secret_is_that_of_another_stack",
        both(secret("grafana", "admin_password", GIVEN), recorded_elsewhere("prod", GIVEN)),
        environment="dev",
    ),
    Case("no_secret_is_that_of_another_stack", _hidden("api", "jwt"), "not evaluated"),
    Case("grafana_is_given_a_password", env("grafana", "GF_SECURITY_ADMIN_PASSWORD__FILE", ABSENT)),
    Case("grafana_is_given_a_password", env("grafana", "GF_SECURITY_ADMIN_PASSWORD__FILE", ABSENT), environment="dev"),
    Case("grafana_is_given_a_password", _program("docker.io/grafana/grafana:12.2.1"), why="foreign"),
    Case(
        "grafana_is_given_a_password",
        put("StatefulSet", "grafana", "spec.template.spec.containers[0].env", UNKNOWN),
        "not evaluated",
    ),
    Case("grafanas_password_is_not_the_factorys", secret("grafana", "admin_password", "admin")),
    Case("grafanas_password_is_not_the_factorys", secret("grafana", "admin_password", "Admin"), environment="dev"),
    Case(
        "grafanas_password_is_not_the_factorys",
        _program("grafana/grafana:12", env=[{"name": "GF_SECURITY_ADMIN_PASSWORD", "value": "admin"}]),
        why="foreign",
    ),
    Case("grafanas_password_is_not_the_factorys", _hidden("grafana", "admin_password"), "not evaluated"),
    Case("the_administrator_is_given_a_password", env("migrations", "BOOTSTRAP_ADMIN_PASSWORD_FILE", ABSENT)),
    Case(
        "the_administrator_is_given_a_password",
        env("migrations", "BOOTSTRAP_ADMIN_PASSWORD_FILE", ABSENT),
        environment="dev",
    ),
    Case(
        "the_administrator_is_given_a_password",
        env("migrations", "BOOTSTRAP_ADMIN_PASSWORD_FILE", UNKNOWN),
        "not evaluated",
    ),
    Case("the_administrators_password_is_not_the_documented_one", secret("migrations", "admin_password", "Admin123")),
    Case(
        "the_administrators_password_is_not_the_documented_one",
        secret("migrations", "admin_password", "NEW_PASSWORD"),
        environment="dev",
    ),
    Case("the_administrators_password_is_not_the_documented_one", ALL_HIDDEN, "not evaluated", why="all_hidden"),
]

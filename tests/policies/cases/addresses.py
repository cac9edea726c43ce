"""Where the programs find the database and the brokers, and where visitors find the API."""

from collections.abc import Callable

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, Change, also, both, config, env, put, secret, told

INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"


def _url(part: str, old: str, new: str) -> Change:
    def replaced(url: str) -> str:
        assert old in url
        return url.replace(old, new, 1)

    return secret(part, "database_url", replaced)


def _name(new: str) -> Callable[[str], str]:
    return lambda text: text.replace("server_name api.workflow.internal;", f"server_name {new};")


def _ingress(host: object) -> Change:
    return also(INGRESS, "web", {"kind": "Ingress", "spec": {"rules": [{"host": host} if host else {}]}})


UNTOLD = told("api", "DATABASE_URL", ABSENT)
HIDDEN_URL = both(secret("api", "database_url", UNKNOWN), UNTOLD)
"""Neither the URL nor what is told of it."""

CASES = [
    Case("every_program_knows_its_database", env("executor", "DATABASE_URL_FILE", ABSENT)),
    Case("every_program_knows_its_database", secret("relay", "database_url", ABSENT), why="no file"),
    Case("every_program_knows_its_database", secret("api", "database_url", ""), environment="dev", why="empty"),
    Case("every_program_knows_its_database", HIDDEN_URL, "not evaluated"),
    Case(
        "every_program_knows_its_database",
        both(put("Secret", "api-secrets", "data", UNKNOWN), UNTOLD),
        "not evaluated",
        why="all hidden",
    ),
    Case(
        "every_program_knows_its_database",
        both(put("Container", "api-config", "uploads", UNKNOWN), UNTOLD),
        "not evaluated",
        environment="dev",
        why="all hidden",
    ),
    Case("the_databases_url_is_whole", _url("api", "postgresql://", "mysql://"), why="scheme"),
    Case("the_databases_url_is_whole", _url("api", "workflow_user:", ":"), environment="dev", why="user"),
    Case("the_databases_url_is_whole", secret("api", "database_url", "postgresql://u@host:5432/name"), why="password"),
    Case("the_databases_url_is_whole", _url("relay", "@postgres:", "@:"), why="host"),
    Case("the_databases_url_is_whole", _url("relay", ":5432", ""), why="no port"),
    Case("the_databases_url_is_whole", _url("relay", ":5432", ":port"), why="port"),
    Case("the_databases_url_is_whole", _url("migrations", "/workflow_prod", "/"), why="database"),
    Case("the_databases_url_is_whole", secret("api", "database_url", "http://["), why="no URL"),
    Case("the_databases_url_is_whole", HIDDEN_URL, "not evaluated"),
    Case("programs_go_to_the_server_of_their_stack", _url("api", "@postgres:", "@elsewhere:"), path="api"),
    Case("programs_go_to_the_server_of_their_stack", _url("relay", "@postgres:", "@server2:"), environment="dev"),
    Case("programs_go_to_the_server_of_their_stack", _url("api", ":5432", ":5433"), why="port"),
    Case("programs_go_to_the_server_of_their_stack", _url("api", "@postgres:", "@postgres-replicas:"), why="standbys"),
    Case("programs_go_to_the_server_of_their_stack", _url("api", "@postgres:", "@postgres-nodes:"), why="any member"),
    Case("programs_go_to_the_server_of_their_stack", HIDDEN_URL, "not evaluated"),
    Case("programs_use_the_database_that_is_made", _url("api", "/workflow_prod", "/workflow_other")),
    Case("programs_use_the_database_that_is_made", _url("api", "/workflow_db", "/workflow_other"), environment="dev"),
    Case("programs_use_the_database_that_is_made", HIDDEN_URL, "not evaluated"),
    Case("programs_log_in_as_users_that_are_made", _url("api", "api_1:", "stranger:")),
    Case("programs_log_in_as_users_that_are_made", _url("api", "workflow_user:", "stranger:"), environment="dev"),
    Case("programs_log_in_as_users_that_are_made", HIDDEN_URL, "not evaluated"),
    Case("production_does_not_use_developments_database", _url("api", "/workflow_prod", "/workflow_db")),
    Case("production_does_not_use_developments_database", HIDDEN_URL, "not evaluated"),
    Case("every_program_knows_its_brokers", env("relay", "KAFKA_BROKERS", ABSENT)),
    Case("every_program_knows_its_brokers", env("relay", "KAFKA_BROKERS", " , "), why="empty"),
    Case("every_program_knows_its_brokers", env("executor", "KAFKA_BROKERS", "kafka"), environment="dev"),
    Case("every_program_knows_its_brokers", env("api", "KAFKA_BROKERS", "a:9092,b:99999"), why="port"),
    Case("every_program_knows_its_brokers", env("api", "KAFKA_BROKERS", UNKNOWN), "not evaluated"),
    Case("visitors_ask_for_a_public_name", config("edge", "nginx.conf", _name("localhost")), path="nginx"),
    Case("visitors_ask_for_a_public_name", config("edge", "nginx.conf", _name("10.20.30.40")), why="address"),
    Case("visitors_ask_for_a_public_name", config("edge", "nginx.conf", _name("api.example.com")), why="sample"),
    Case("visitors_ask_for_a_public_name", config("edge", "nginx.conf", _name("frontdoor")), why="no domain"),
    Case("visitors_ask_for_a_public_name", config("edge", "nginx.conf", "http {}"), why="none"),
    Case("visitors_ask_for_a_public_name", config("edge", "nginx.conf", UNKNOWN), "not evaluated"),
    Case("an_ingress_answers_for_public_names", _ingress(None), path="host"),
    Case("an_ingress_answers_for_public_names", _ingress("*.your-domain.com"), why="sample"),
    Case("an_ingress_answers_for_public_names", _ingress(UNKNOWN), "not evaluated"),
    Case(
        "an_ingress_answers_for_public_names",
        also(INGRESS, "web", {"spec": {"rules": UNKNOWN}}),
        "not evaluated",
        why="rules",
    ),
    Case(
        "programs_go_to_the_server_of_their_stack",
        put("Service", "postgres", "metadata.name", "database"),
        why="renamed service",
    ),
]

"""Who gets in, how fast, and under which names."""

import re

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, Change, also, config, env, put, without

INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
CONF = "nginx.conf"


def _ingress(**spec: object) -> Change:
    return also(INGRESS, "theirs", {"metadata": {"name": "theirs"}, "spec": spec})


def _path(path: object) -> Change:
    return _ingress(rules=[{"host": "a.b", "http": {"paths": [{"path": path, "pathType": "Prefix"}]}}])


def _initial(name: str, value: object) -> Change:
    container = {"name": "first", "image": "i", "env": [{"name": name, "value": value}]}
    return put("Deployment", "relay", "spec.template.spec.initContainers", [container])


def _conf(pattern: str, to: str) -> Change:
    """A change of the edge's configuration; the pattern must be in it."""

    def change(text: str) -> str:
        changed, count = re.subn(pattern, to, text)
        assert count, pattern
        return changed

    return config("edge", CONF, change)


CASES = [
    Case("tokens_are_signed_by_one_algorithm", env("api", "JWT_ALGORITHM", "none"), path="env"),
    Case("tokens_are_signed_by_one_algorithm", env("api", "JWT_ALGORITHM", "RS256"), environment="dev"),
    Case("tokens_are_signed_by_one_algorithm", env("api", "JWT_ALGORITHM", UNKNOWN), "not evaluated"),
    Case("no_program_takes_unsigned_tokens", _initial("JWT_ALG", "HS256, None"), path="initContainers", why="init"),
    Case("no_program_takes_unsigned_tokens", env("relay", "JWT_ALG", "none"), environment="dev"),
    Case("no_program_takes_unsigned_tokens", _initial("JWT_ALG", UNKNOWN), "not evaluated"),
    Case("tokens_end_within_a_day", env("api", "JWT_EXPIRATION_MINUTES", "1441")),
    Case("tokens_end_within_a_day", env("api", "JWT_EXPIRATION_MINUTES", "0"), environment="dev"),
    Case("tokens_end_within_a_day", env("api", "JWT_EXPIRATION_MINUTES", "1h"), why="text"),
    Case("tokens_end_within_a_day", env("api", "JWT_EXPIRATION_MINUTES", UNKNOWN), "not evaluated"),
    Case("the_header_of_keys_is_a_header", env("api", "API_KEY_HEADER", "X API Key")),
    Case("the_header_of_keys_is_a_header", env("api", "API_KEY_HEADER", "Cookie"), environment="dev", why="taken"),
    Case("the_header_of_keys_is_a_header", env("api", "API_KEY_HEADER", UNKNOWN), "not evaluated"),
    Case("browsers_may_send_the_header_of_keys", env("api", "API_KEY_HEADER", "X-Other-Key")),
    Case("browsers_may_send_the_header_of_keys", env("api", "CORS_ALLOW_HEADERS", "Accept"), environment="dev"),
    Case("browsers_may_send_the_header_of_keys", env("api", "CORS_ALLOW_HEADERS", UNKNOWN), "not evaluated"),
    Case("unknown_host_names_are_refused", _conf(r"listen 8443 ssl http2 default_server;", "listen 8443 ssl http2;")),
    Case("unknown_host_names_are_refused", _conf(r"return 421;", "proxy_pass https://api;"), why="answers"),
    Case("unknown_host_names_are_refused", _conf(r"server_name [^;]+;", "server_name _;"), why="any_name"),
    Case("unknown_host_names_are_refused", without("Deployment", "edge"), path="env", why="no_edge"),
    Case("unknown_host_names_are_refused", config("edge", CONF, UNKNOWN), "not evaluated"),
    Case("ingresses_name_their_hosts", _ingress(rules=[{"http": {"paths": []}}]), path="host"),
    Case("ingresses_name_their_hosts", _ingress(rules=[{"host": "*"}]), why="star"),
    Case("ingresses_name_their_hosts", _ingress(defaultBackend={"service": {}}), path="defaultBackend", why="default"),
    Case("ingresses_name_their_hosts", _ingress(rules=UNKNOWN), "not evaluated"),
    Case("the_edge_does_not_show_the_docs", _conf(r"try_files /nothing =404;", "proxy_pass https://api;"), path=CONF),
    Case(
        "the_edge_does_not_show_the_docs",
        _conf(r"location = /health \{", "location ~ ^/redoc { proxy_pass https://api; }\nlocation = /health {"),
        why="pattern",
    ),
    Case("the_edge_does_not_show_the_docs", config("edge", CONF, UNKNOWN), "not evaluated"),
    Case("visitors_reach_the_api_through_the_edge_only", put("Service", "api", "spec.type", "LoadBalancer")),
    Case(
        "visitors_reach_the_api_through_the_edge_only",
        also(
            "docker:index/container:Container",
            "other",
            {"labels": [{"label": "workflow.part", "value": "api"}], "image": "i", "ports": [{"internal": 8000}]},
        ),
        why="docker",
    ),
    Case("visitors_reach_the_api_through_the_edge_only", put("Service", "api", "spec.type", UNKNOWN), "not evaluated"),
    Case("ingresses_do_not_show_docs", _path("/docs"), path="path"),
    Case("ingresses_do_not_show_docs", _path("/api/openapi.json"), why="schema"),
    Case("ingresses_do_not_show_docs", _path(UNKNOWN), "not evaluated"),
    Case("the_api_limits_its_callers", env("api", "RATE_LIMIT_REQUESTS", "0")),
    Case("the_api_limits_its_callers", env("api", "RATE_LIMIT_REQUESTS", "many"), why="text"),
    Case("the_api_limits_its_callers", env("api", "RATE_LIMIT_REQUESTS", UNKNOWN), "not evaluated"),
    Case("the_limit_can_be_reached", env("api", "RATE_LIMIT_REQUESTS", "60001")),
    Case("the_limit_can_be_reached", env("api", "RATE_LIMIT_WINDOW", "0"), why="window"),
    Case("the_limit_can_be_reached", env("api", "RATE_LIMIT_WINDOW", UNKNOWN), "not evaluated"),
    Case("the_limit_counts_visitors_not_the_edge", env("api", "FORWARDED_ALLOW_IPS", ABSENT)),
    Case("the_limit_counts_visitors_not_the_edge", env("api", "FORWARDED_ALLOW_IPS", UNKNOWN), "not evaluated"),
    Case("the_edge_limits_its_visitors", _conf(r"limit_req zone=[^;]+;", "")),
    Case("the_edge_limits_its_visitors", _conf(r"limit_conn_status 429;", ""), why="status"),
    Case("the_edge_limits_its_visitors", config("edge", CONF, "events {}"), why="empty"),
    Case("the_edge_limits_its_visitors", config("edge", CONF, UNKNOWN), "not evaluated"),
]

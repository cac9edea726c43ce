"""Which web pages may call the API."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, Change, also, both, env

NGINX = "nginx.ingress.kubernetes.io/"


def _ingress(**annotations: object) -> Change:
    named = {f"{NGINX}{name.replace('_', '-')}": value for name, value in annotations.items()}
    inputs = {"metadata": {"name": "web", "annotations": named}, "spec": {"rules": [{"host": "a.workflow.internal"}]}}
    return also("kubernetes:networking.k8s.io/v1:Ingress", "web", inputs)


def _origins(given: object) -> Change:
    return env("api", "CORS_ORIGINS", given)


CASES = [
    Case("origins_are_named_exactly", _origins("*"), why="wildcard"),
    Case("origins_are_named_exactly", _origins("https://*.workflow.internal"), why="pattern"),
    Case("origins_are_named_exactly", _origins("https://a.workflow.internal/app"), why="path"),
    Case("origins_are_named_exactly", _origins("https://a.workflow.internal,http://b.workflow.internal"), why="http"),
    Case("origins_are_named_exactly", _origins("https://localhost:3000"), why="localhost"),
    Case("origins_are_named_exactly", _origins("https://192.0.2.7"), why="address"),
    Case("origins_are_named_exactly", _origins("https://app.example.com"), why="sample"),
    Case("origins_are_named_exactly", _origins(ABSENT), why="the default"),
    Case("origins_are_named_exactly", _origins(UNKNOWN), "not evaluated"),
    Case("methods_and_headers_are_listed", env("api", "CORS_ALLOW_METHODS", "*")),
    Case("methods_and_headers_are_listed", env("api", "CORS_ALLOW_HEADERS", ABSENT), why="the default"),
    Case("methods_and_headers_are_listed", env("api", "CORS_ALLOW_HEADERS", UNKNOWN), "not evaluated"),
    Case("credentials_go_to_named_origins_only", _origins("*")),
    Case(
        "credentials_go_to_named_origins_only",
        both(_origins("http://localhost:3000,*"), env("api", "CORS_ALLOW_CREDENTIALS", ABSENT)),
        environment="dev",
    ),
    Case("credentials_go_to_named_origins_only", _origins(UNKNOWN), "not evaluated"),
    Case("an_ingress_names_origins_exactly", _ingress(enable_cors="true")),
    Case("an_ingress_names_origins_exactly", _ingress(enable_cors="true", cors_allow_origin="http://a.b"), why="http"),
    Case("an_ingress_names_origins_exactly", _ingress(enable_cors=UNKNOWN), "not evaluated"),
    Case(
        "an_ingress_names_origins_exactly",
        _ingress(enable_cors="true", cors_allow_origin=UNKNOWN),
        "not evaluated",
        why="origins",
    ),
    Case("an_ingress_gives_credentials_to_named_origins_only", _ingress(enable_cors="true")),
    Case(
        "an_ingress_gives_credentials_to_named_origins_only",
        _ingress(enable_cors="true", cors_allow_origin=UNKNOWN),
        "not evaluated",
    ),
]

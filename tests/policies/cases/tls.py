"""Encryption, and the way in from outside."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.policies.changes import (
    ABSENT,
    UNKNOWN,
    Case,
    Change,
    adjust,
    also,
    both,
    config,
    env,
    put,
    secret,
    swap,
    told,
)

DOCKER = "docker:index/container:Container"
INGRESS = "kubernetes:networking.k8s.io/v1:Ingress"
DYNAMIC = "pulumi-python:dynamic:Resource"
URL = "postgresql://u:p@postgres:5432/d"


@cache
def certificate(days_left: int = 60, days: int = 90, name: str = "api", short: bool = False) -> str:
    """A self-signed certificate, PEM."""
    weak = rsa.generate_private_key(65537, 1024) if short else None  # noqa: S505 - it is to be found
    key = weak or ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=days_left)
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - timedelta(days=days))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def nginx(before: str, after: str) -> Change:
    return config("edge", "nginx.conf", swap(before, after))


def unissued(part: str) -> Change:
    """Its certificate can't be known, and nothing tells where it comes from."""
    return both(secret(part, "tls.crt", UNKNOWN), adjust("Secret", f"{part}-secrets", property_dependencies={}))


def ingress(annotations: object = None, **spec: object) -> Change:
    return also(INGRESS, "shop", {"metadata": {"annotations": annotations or {}}, "spec": spec})


HOST = [{"host": "shop.internal"}]
EDGE_UNKNOWN = config("edge", "nginx.conf", UNKNOWN)

UNTOLD = told("api", "DATABASE_URL", ABSENT)
HIDDEN_URL = both(secret("api", "database_url", UNKNOWN), UNTOLD)
"""Neither the URL nor what is told of it."""

CASES = [
    Case("public_services_offer_tls", put("Service", "edge", "spec.ports", [{"port": 80, "targetPort": 8080}])),
    Case("public_services_offer_tls", put("Service", "edge", "spec.type", UNKNOWN), "not evaluated"),
    Case("ingresses_have_a_certificate_for_each_host", ingress(rules=HOST)),
    Case(
        "ingresses_have_a_certificate_for_each_host",
        ingress(rules=HOST, tls=[{"hosts": ["other.internal"], "secretName": "t"}]),
        path="rules[0].host",
    ),
    Case("ingresses_have_a_certificate_for_each_host", ingress(rules=HOST, tls=UNKNOWN), "not evaluated"),
    Case("public_containers_offer_tls", also(DOCKER, "web", {"ports": [{"external": 80, "internal": 80}]})),
    Case("public_containers_offer_tls", also(DOCKER, "web", {"ports": UNKNOWN}), "not evaluated"),
    Case("the_edge_passes_on_only_what_came_by_tls", nginx("listen 8443 ssl http2;", "listen 8443 http2;")),
    Case("the_edge_passes_on_only_what_came_by_tls", nginx("ssl_certificate $identity.crt;", ""), why="certificate"),
    Case("the_edge_passes_on_only_what_came_by_tls", config("edge", "nginx.conf", ABSENT), why="no file"),
    Case("the_edge_passes_on_only_what_came_by_tls", EDGE_UNKNOWN, "not evaluated"),
    Case("the_edge_speaks_no_old_tls", nginx("    ssl_protocols TLSv1.2", "    ssl_protocols TLSv1.1 TLSv1.2")),
    Case("the_edge_speaks_no_old_tls", nginx("    ssl_protocols TLSv1.2 TLSv1.3;", ""), why="unset"),
    Case("the_edge_speaks_no_old_tls", nginx("proxy_ssl_protocols TLSv1.2", "proxy_ssl_protocols TLSv1"), why="inner"),
    Case("the_edge_speaks_no_old_tls", EDGE_UNKNOWN, "not evaluated"),
    Case("the_edge_offers_no_weak_cipher", nginx("ssl_ciphers ", "ssl_ciphers AES256-SHA:")),
    Case("the_edge_offers_no_weak_cipher", nginx("ssl_ciphers ", "#ssl_ciphers "), why="unset"),
    Case("the_edge_offers_no_weak_cipher", EDGE_UNKNOWN, "not evaluated"),
    Case("the_edge_verifies_the_api", nginx("proxy_ssl_verify on;", "proxy_ssl_verify off;")),
    Case("the_edge_verifies_the_api", nginx("proxy_ssl_verify on;", ""), why="unset"),
    Case("the_edge_verifies_the_api", nginx("proxy_pass https://api", "proxy_pass http://api"), why="plain"),
    Case("the_edge_verifies_the_api", EDGE_UNKNOWN, "not evaluated"),
    Case("certificates_have_strong_keys", secret("api", "tls.crt", certificate(short=True)), path="tls.crt"),
    Case("certificates_have_strong_keys", secret("api", "tls.crt", "none"), why="no certificate"),
    Case("certificates_have_strong_keys", unissued("api"), "not evaluated"),
    Case("certificates_are_neither_ending_nor_endless", secret("edge", "tls.crt", certificate(days_left=3))),
    Case(
        "certificates_are_neither_ending_nor_endless", secret("edge", "tls.crt", certificate(800, 900)), why="endless"
    ),
    Case(
        "certificates_are_neither_ending_nor_endless",
        both(put(DYNAMIC, "certificate-api", "days", 900), secret("api", "tls.crt", UNKNOWN)),
        why="issued too long",
    ),
    Case(
        "certificates_are_neither_ending_nor_endless",
        both(put(DYNAMIC, "certificate-api", "renewBeforeDays", 1), secret("api", "tls.crt", UNKNOWN)),
        why="renewed too late",
    ),
    Case("certificates_are_neither_ending_nor_endless", unissued("api"), "not evaluated"),
    Case("the_edge_has_a_certificate_for_its_names", secret("edge", "tls.crt", certificate(name="other"))),
    Case(
        "the_edge_has_a_certificate_for_its_names",
        both(put(DYNAMIC, "certificate-edge", "names", ["other"]), secret("edge", "tls.crt", UNKNOWN)),
        why="issued",
    ),
    Case("the_edge_has_a_certificate_for_its_names", unissued("edge"), "not evaluated"),
    Case(
        "brokers_listen_encrypted", config("kafka", "server.properties", swap("CLIENTS:SASL_SSL", "CLIENTS:PLAINTEXT"))
    ),
    Case(
        "brokers_listen_encrypted",
        config("kafka", "server.properties", swap("listener.security.protocol.map=", "#")),
        why="unset",
    ),
    Case("brokers_listen_encrypted", config("kafka", "server.properties", UNKNOWN), "not evaluated"),
    Case("brokers_speak_no_old_tls", config("kafka", "server.properties", swap("=TLSv1.3,", "=TLSv1,"))),
    Case(
        "brokers_speak_no_old_tls",
        config("kafka", "server.properties", swap("identification.algorithm=https", "identification.algorithm=")),
        why="names",
    ),
    Case("brokers_speak_no_old_tls", config("kafka", "server.properties", UNKNOWN), "not evaluated"),
    Case("monitoring_speaks_no_old_tls", config("alertmanager", "web.yml", swap("TLS12", "TLS10"))),
    Case("monitoring_speaks_no_old_tls", config("prometheus", "web.yml", "{}"), why="none"),
    Case("monitoring_speaks_no_old_tls", config("prometheus", "web.yml", UNKNOWN), "not evaluated"),
    Case(
        "the_edge_serves_nothing_in_the_clear",
        nginx("return 308 https://$host$request_uri;", "proxy_pass https://api;"),
    ),
    Case("the_edge_serves_nothing_in_the_clear", nginx("return 308 https://", "return 308 http://"), why="to http"),
    Case("the_edge_serves_nothing_in_the_clear", nginx("return 421;", "return 200;"), why="content"),
    Case("the_edge_serves_nothing_in_the_clear", EDGE_UNKNOWN, "not evaluated"),
    Case("browsers_are_told_to_use_https_only", nginx("max-age=31536000", "max-age=3600")),
    Case(
        "browsers_are_told_to_use_https_only",
        nginx('add_header Strict-Transport-Security "max-age=31536000; includeSubDomains" always;', ""),
        why="unset",
    ),
    Case("browsers_are_told_to_use_https_only", EDGE_UNKNOWN, "not evaluated"),
    Case("ingresses_redirect_plain_http", ingress({"nginx.ingress.kubernetes.io/ssl-redirect": "false"})),
    Case("ingresses_redirect_plain_http", ingress({"networking.gke.io/allow-http": "true"}), why="allowed"),
    Case("ingresses_redirect_plain_http", ingress(UNKNOWN), "not evaluated"),
    Case("the_edge_limits_what_one_address_may_do", nginx("limit_req zone=requests burst=400 nodelay;", "")),
    Case("the_edge_limits_what_one_address_may_do", nginx("limit_conn connections 1000;", ""), why="connections"),
    Case(
        "the_edge_limits_what_one_address_may_do",
        nginx("limit_req_zone $binary_remote_addr", "limit_req_zone $server_name"),
        why="zone",
    ),
    Case("the_edge_limits_what_one_address_may_do", EDGE_UNKNOWN, "not evaluated"),
    Case(
        "the_edges_limits_are_enforced", nginx("limit_req_status 429;", "limit_req_status 429; limit_req_dry_run on;")
    ),
    Case("the_edges_limits_are_enforced", EDGE_UNKNOWN, "not evaluated"),
    Case("the_edge_bounds_the_size_and_time_of_requests", nginx("client_max_body_size 1m;", "client_max_body_size 0;")),
    Case("the_edge_bounds_the_size_and_time_of_requests", nginx("client_header_timeout 10s;", ""), why="time"),
    Case("the_edge_bounds_the_size_and_time_of_requests", EDGE_UNKNOWN, "not evaluated"),
    Case("ingresses_limit_requests", ingress({"cert-manager.io/issuer": "ours"})),
    Case("ingresses_limit_requests", ingress(UNKNOWN), "not evaluated"),
    Case("programs_reach_the_database_encrypted", secret("api", "database_url", URL)),
    Case("programs_reach_the_database_encrypted", secret("relay", "database_url", f"{URL}?sslmode=prefer")),
    Case("programs_reach_the_database_encrypted", HIDDEN_URL, "not evaluated"),
    Case("programs_verify_the_database", secret("api", "database_url", f"{URL}?sslmode=require")),
    Case("programs_verify_the_database", secret("api", "database_url", f"{URL}?sslmode=verify-full"), why="authority"),
    Case("programs_verify_the_database", HIDDEN_URL, "not evaluated"),
    Case(
        "the_database_refuses_unencrypted_logins",
        config("postgres", "patroni.yml", swap("- hostssl postgres ", "- host postgres ")),
        path="pg_hba",
    ),
    Case(
        "the_database_refuses_unencrypted_logins",
        config("postgres", "patroni.yml", swap("  pg_hba:", "  pg_hbb:")),
        why="no rules",
    ),
    Case("the_database_refuses_unencrypted_logins", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    Case(
        "the_database_trusts_nobody_unseen",
        config("postgres", "patroni.yml", swap("all  cert map=drill", "all  trust")),
    ),
    Case("the_database_trusts_nobody_unseen", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    Case("the_database_speaks_tls", config("postgres", "patroni.yml", swap("    ssl: 'on'", "    ssl: 'off'"))),
    Case("the_database_speaks_tls", config("postgres", "patroni.yml", swap("TLSv1.2", "TLSv1")), why="old"),
    Case("the_database_speaks_tls", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    Case(
        "standbys_verify_the_primary",
        config("postgres", "patroni.yml", swap("sslmode: verify-full", "sslmode: require")),
    ),
    Case("standbys_verify_the_primary", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    Case("no_database_url_allows_plain_text", env("api", "REPORTS_URL", "postgresql://u:p@db/d?sslmode=disable")),
    Case("no_database_url_allows_plain_text", env("api", "PGSSLMODE", "prefer"), why="variable"),
    Case(
        "no_database_url_allows_plain_text",
        put(
            "Deployment",
            "api",
            "spec.template.spec.initContainers",
            [{"name": "i", "env": [{"name": "DATABASE_DSN", "value": "postgres://db/d"}]}],
        ),
        path="initContainers[0]",
        why="init",
    ),
    Case("no_database_url_allows_plain_text", also(DOCKER, "w", {"envs": ["DB_URL=postgres://db/d"]}), why="docker"),
    Case("no_database_url_allows_plain_text", env("api", "REPORTS_URL", UNKNOWN), "not evaluated"),
]

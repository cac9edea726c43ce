"""The variables of the service: names, defaults, files, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from service.platform.settings import InvalidSettingsError, Settings, load_settings

pytestmark = pytest.mark.ring("unit")

DATABASE_URL = "postgresql://workflow_user:workflow_pass@postgres:5432/workflow_db"

# The documented variables with their defaults; DATABASE_URL, KAFKA_BROKERS and JWT_SECRET have none.
DOCUMENTED_DEFAULTS: dict[str, Any] = {
    "API_TITLE": "Workflow Management API",
    "API_VERSION": "1.0.0",
    "API_DESCRIPTION": "REST API for managing workflow orchestration",
    "API_PREFIX": "/api/v1",
    "API_HOST": "0.0.0.0",  # noqa: S104 - documented
    "API_PORT": 8000,
    "API_RELOAD": False,
    "API_WORKERS": 1,
    "DATABASE_POOL_SIZE": 10,
    "DATABASE_MAX_OVERFLOW": 20,
    "DATABASE_ECHO": False,
    "KAFKA_EXECUTION_TOPIC": "workflow.execution.requests",
    "KAFKA_CANCELLATION_TOPIC": "workflow.cancellation.requests",
    "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "KAFKA_SASL_USERNAME": None,
    "KAFKA_SASL_PASSWORD": None,
    "KAFKA_SSL_CA_FILE": None,
    "JWT_SECRET": None,
    "JWT_ALGORITHM": "HS256",
    "JWT_EXPIRATION_MINUTES": 60,
    "API_KEY_HEADER": "X-API-Key",
    "CORS_ORIGINS": ("http://localhost:3000",),
    "CORS_ALLOW_CREDENTIALS": True,
    "CORS_ALLOW_METHODS": ("*",),
    "CORS_ALLOW_HEADERS": ("*",),
    "LOG_LEVEL": "INFO",
    "LOG_FORMAT": "json",
    "DEFAULT_PAGE_SIZE": 20,
    "MAX_PAGE_SIZE": 100,
    "ENABLE_METRICS": True,
    "ENABLE_AUDIT_LOGGING": True,
    "RATE_LIMIT_REQUESTS": 100,
    "RATE_LIMIT_WINDOW": 60,
    # Ours.
    "ENVIRONMENT": "development",
    "TRUSTED_HOSTS": ("*",),
    "RUN_BACKLOG_LIMIT": 100_000,
    "RUN_CANCEL_DEADLINE_SECONDS": 60,
    "BOOTSTRAP_ADMIN_USERNAME": "admin",
    "BOOTSTRAP_ADMIN_PASSWORD": None,
    "EXECUTOR_CONCURRENCY": 16,
    "EXECUTOR_LEASE_SECONDS": 30,
    "WORKER_HTTP_PORT": 8001,
    "KAFKA_TOPIC_PARTITIONS": 6,
    "KAFKA_TOPIC_REPLICATION": 1,
    "HTTP_AGENT_ALLOWED_HOSTS": (),
    "KAFKA_AGENT_TOPICS": (),
    "KAFKA_AGENT_REPLY_TOPICS": (),
    "AGENT_SECRETS_DIR": None,
    "READINESS_REQUIRES_KAFKA": True,
    "RETENTION_RUNS_DAYS": 90,
    "RETENTION_AUDIT_DAYS": 365,
    "GRACEFUL_SHUTDOWN_SECONDS": 20,
    "TLS_CERT_FILE": None,
    "TLS_KEY_FILE": None,
    "FORWARDED_ALLOW_IPS": ("127.0.0.1", "::1"),
    "JWT_PREVIOUS_SECRET": None,
    "WEBHOOK_SECRET": None,
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Only the two required variables are set."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)
    monkeypatch.setenv("DATABASE_URL", DATABASE_URL)
    monkeypatch.setenv("KAFKA_BROKERS", "kafka:29092")
    return monkeypatch


@pytest.mark.parametrize("variable", DOCUMENTED_DEFAULTS)
def test_a_variable_has_its_documented_default(variable: str) -> None:
    assert getattr(load_settings(), variable.lower()) == DOCUMENTED_DEFAULTS[variable]


@pytest.mark.parametrize("variable", ["RETENTION_RUNS_DAYS", "RETENTION_AUDIT_DAYS"])
def test_nothing_is_forgotten_within_a_month(environment: pytest.MonkeyPatch, variable: str) -> None:
    environment.setenv(variable, "29")
    with pytest.raises(InvalidSettingsError, match=f"{variable} is 29, must be at least 30"):
        load_settings()
    environment.setenv(variable, "0")
    assert getattr(load_settings(), variable.lower()) == 0


def test_every_variable_is_documented_here() -> None:
    known = {name.lower() for name in DOCUMENTED_DEFAULTS} | {"database_url", "kafka_brokers", "executor_id"}
    assert set(Settings.model_fields) == known


def test_a_short_key_for_webhooks_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("WEBHOOK_SECRET", "short")
    with pytest.raises(InvalidSettingsError, match=r"^WEBHOOK_SECRET has 5 characters, must have at least 32"):
        load_settings()


@pytest.mark.parametrize("variable", ["DATABASE_URL", "KAFKA_BROKERS"])
def test_a_required_variable_that_is_missing_is_named(variable: str, environment: pytest.MonkeyPatch) -> None:
    environment.delenv(variable)
    with pytest.raises(InvalidSettingsError, match=rf"^{variable} is not set; give it, or {variable}_FILE"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "attribute", "expected"),
    [
        ("KAFKA_BROKERS", "a:1, b:2,", "kafka_brokers", ("a:1", "b:2")),
        ("CORS_ORIGINS", "https://a.test,https://b.test", "cors_origins", ("https://a.test", "https://b.test")),
        ("LOG_LEVEL", "warn", "log_level", "WARNING"),
        ("LOG_FORMAT", "TEXT", "log_format", "text"),
        ("API_PREFIX", "/api/v2", "api_prefix", "/api/v2"),
        ("HTTP_AGENT_ALLOWED_HOSTS", "", "http_agent_allowed_hosts", ()),
        ("KAFKA_AGENT_TOPICS", "orders, bills", "kafka_agent_topics", ("orders", "bills")),
        ("KAFKA_AGENT_REPLY_TOPICS", "answers, bills", "kafka_agent_reply_topics", ("answers", "bills")),
        ("AGENT_SECRETS_DIR", "/run/agents", "agent_secrets_dir", Path("/run/agents")),
        ("AGENT_SECRETS_DIR", "", "agent_secrets_dir", None),
    ],
)
def test_a_value_is_read(
    variable: str, value: str, attribute: str, expected: object, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(variable, value)
    assert getattr(load_settings(), attribute) == expected


@pytest.mark.parametrize(
    ("given", "named", "reason"),
    [
        ({"API_PORT": "70000"}, "API_PORT", "65535"),
        ({"API_WORKERS": "many"}, "API_WORKERS", "integer"),
        ({"API_PREFIX": "api"}, "API_PREFIX", "begin with a slash"),
        ({"API_PREFIX": "/api/"}, "API_PREFIX", "not end with one"),
        ({"JWT_SECRET": "x" * 31}, "JWT_SECRET", "has 31 characters, must have at least 32"),
        ({"JWT_SECRET": ""}, "JWT_SECRET", "has 0 characters"),
        ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM", "HS256"),
        ({"KAFKA_BROKERS": "kafka"}, "KAFKA_BROKERS", "host:port"),
        ({"KAFKA_BROKERS": ","}, "KAFKA_BROKERS", "at least one"),
        ({"DATABASE_URL": "mysql://u:hidden-word@h/d"}, "DATABASE_URL", "postgresql://"),
        ({"DATABASE_URL": DATABASE_URL + "?sslmode=maybe"}, "DATABASE_URL", "verify-full"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL", "INFO"),
        ({"API_RELOAD": "true", "API_WORKERS": "2"}, "API_RELOAD", "one worker"),
        ({"CORS_ORIGINS": "*"}, "CORS_ORIGINS", "CORS_ALLOW_CREDENTIALS"),
        ({"DEFAULT_PAGE_SIZE": "200"}, "DEFAULT_PAGE_SIZE", "MAX_PAGE_SIZE"),
        ({"KAFKA_AGENT_REPLY_TOPICS": "orders,a b"}, "KAFKA_AGENT_REPLY_TOPICS", "'a b', which is no name"),
        ({"KAFKA_AGENT_TOPICS": "orders,a b"}, "KAFKA_AGENT_TOPICS", "'a b', which is no name"),
        ({"KAFKA_AGENT_TOPICS": "workflow.execution.requests"}, "KAFKA_AGENT_TOPICS", "a topic of the service itself"),
        ({"AGENT_SECRETS_DIR": "/s", "JWT_KEY_FILE": "/s/jwt"}, "AGENT_SECRETS_DIR", "where the file of JWT_KEY_FILE"),
        ({"ENVIRONMENT": "staging"}, "ENVIRONMENT", "production"),
        ({"ENVIRONMENT": "production", "API_RELOAD": "true"}, "API_RELOAD", "ENVIRONMENT is production"),
        ({"ENVIRONMENT": "production", "DATABASE_ECHO": "true"}, "DATABASE_ECHO", "ENVIRONMENT is production"),
        ({"ENVIRONMENT": "production", "LOG_LEVEL": "debug"}, "LOG_LEVEL", "ENVIRONMENT is production"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variables_name(
    given: dict[str, str], named: str, reason: str, environment: pytest.MonkeyPatch
) -> None:
    for variable, value in given.items():
        environment.setenv(variable, value)
    with pytest.raises(InvalidSettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(named)
    assert reason in str(refused.value)
    assert "hidden-word" not in str(refused.value)


def test_all_wrong_values_are_told_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("API_PORT", "0")
    environment.setenv("RATE_LIMIT_WINDOW", "0")
    with pytest.raises(InvalidSettingsError) as refused:
        load_settings()
    assert [line.split()[0] for line in str(refused.value).splitlines()] == ["API_PORT", "RATE_LIMIT_WINDOW"]


def test_a_wildcard_origin_is_allowed_without_credentials(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("CORS_ORIGINS", "*")
    environment.setenv("CORS_ALLOW_CREDENTIALS", "false")
    assert load_settings().cors_origins == ("*",)


def test_a_value_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret, workers = tmp_path / "jwt", tmp_path / "workers"
    secret.write_text("s" * 40 + "\n")
    workers.write_text("3")
    environment.setenv("JWT_SECRET_FILE", str(secret))
    environment.setenv("API_WORKERS_FILE", str(workers))
    settings = load_settings()
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == "s" * 40
    assert settings.api_workers == 3


def test_a_required_value_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(DATABASE_URL + "\n")
    environment.delenv("DATABASE_URL")
    environment.setenv("DATABASE_URL_FILE", str(file))
    assert load_settings().asyncpg_dsn == DATABASE_URL


def test_a_value_and_its_file_at_once_are_refused(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(InvalidSettingsError, match="DATABASE_URL and DATABASE_URL_FILE are both set"):
        load_settings()


def test_a_file_that_cannot_be_read_is_named(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("JWT_SECRET_FILE", str(tmp_path / "absent"))
    with pytest.raises(
        InvalidSettingsError, match=r"JWT_SECRET_FILE names .*absent, which cannot be read: No such file"
    ):
        load_settings()


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_the_address_is_given_to_the_driver_with_its_tls_parameters(
    scheme: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("DATABASE_URL", f"{scheme}://u:p@h:5432/d?sslmode=verify-full&sslrootcert=/ca.crt")
    assert load_settings().asyncpg_dsn == "postgresql://u:p@h:5432/d?sslmode=verify-full&sslrootcert=/ca.crt"


def test_secrets_are_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("JWT_SECRET", "q" * 40)
    environment.setenv("BOOTSTRAP_ADMIN_PASSWORD", "a-password")
    shown = repr(load_settings()) + str(load_settings().model_dump())
    assert "q" * 40 not in shown
    assert "a-password" not in shown
    assert "workflow_pass" not in shown


@pytest.mark.parametrize(("secret", "enabled"), [(None, False), ("z" * 32, True)])
def test_authentication_is_on_exactly_when_there_is_a_secret(
    secret: str | None, enabled: bool, environment: pytest.MonkeyPatch
) -> None:
    if secret:
        environment.setenv("JWT_SECRET", secret)
    assert load_settings().authentication_enabled is enabled


def test_the_path_of_the_certificate_is_a_value_and_not_a_file_to_read(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tls.crt").write_text("a certificate")
    environment.setenv("TLS_CERT_FILE", str(tmp_path / "tls.crt"))
    environment.setenv("TLS_KEY_FILE", str(tmp_path / "tls.key"))
    assert load_settings().tls_cert_file == tmp_path / "tls.crt"


@pytest.mark.parametrize(
    ("given", "value", "message"),
    [
        ("TLS_CERT_FILE", "/tls.crt", "TLS_CERT_FILE is set but TLS_KEY_FILE is not"),
        ("TLS_KEY_FILE", "/tls.key", "TLS_KEY_FILE is set but TLS_CERT_FILE is not"),
        ("JWT_PREVIOUS_SECRET", "p" * 40, "JWT_PREVIOUS_SECRET is set but JWT_SECRET is not"),
        ("JWT_PREVIOUS_SECRET", "short", "JWT_PREVIOUS_SECRET has 5 characters, must have at least 32"),
    ],
)
def test_half_of_what_belongs_together_is_refused(
    given: str, value: str, message: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(given, value)
    with pytest.raises(InvalidSettingsError, match=message):
        load_settings()

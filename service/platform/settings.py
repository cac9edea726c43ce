"""The settings of every process of the service, read from the environment.

Each variable ``X`` may also be given as ``X_FILE``, the path of a file that holds the value; this is how secrets are
handed over. A wrong value stops the process with a message that names the variable.
"""

import os
import re
import socket
import ssl
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

MINIMUM_SECRET_LENGTH = 32
"""Characters that JWT_SECRET must have at least: as many bytes as HS256 has in its digest."""

LEAST_RETENTION_DAYS = 30
"""Nothing is forgotten earlier; the functions of the database have the same bound."""

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

CommaList = Annotated[tuple[str, ...], NoDecode]


class InvalidSettingsError(ValueError):
    """The environment cannot be used; the message has one line for each variable and never a secret's value."""


class _FileSource(PydanticBaseSettingsSource):
    """Reads ``X`` from the file named by ``X_FILE``."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The content of the file named by ``<FIELD>_FILE`` without its line end, or None where that is not set."""
        variable = field_name.upper()
        path = os.environ.get(f"{variable}_FILE")
        if not path:
            return None, field_name, False
        if variable in os.environ:
            raise InvalidSettingsError(f"{variable} and {variable}_FILE are both set: give only one of them")
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise InvalidSettingsError(f"{variable}_FILE names {path}, which cannot be read: {reason}") from None

    def __call__(self) -> dict[str, Any]:
        """All values that come from files."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Every variable of the service with its default; ``DATABASE_URL`` and ``KAFKA_BROKERS`` have none."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=False, hide_input_in_errors=True, validate_default=True
    )

    environment: Literal["development", "rehearsal", "production"] = "development"

    api_title: str = "Workflow Management API"
    api_version: str = "1.0.0"
    api_description: str = "REST API for managing workflow orchestration"
    api_prefix: str = "/api/v1"
    api_host: str = "0.0.0.0"  # noqa: S104 - a container's only way to be reached; the stack decides what is published
    api_port: int = Field(8000, ge=1, le=65535)
    api_reload: bool = False
    api_workers: int = Field(1, ge=1, le=64)
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    forwarded_allow_ips: CommaList = ("127.0.0.1", "::1")

    database_url: SecretStr
    database_pool_size: int = Field(10, ge=1)
    database_max_overflow: int = Field(20, ge=0)
    database_echo: bool = False

    kafka_brokers: CommaList
    kafka_execution_topic: str = Field("workflow.execution.requests", pattern=r"^[A-Za-z0-9._-]{1,249}$")
    kafka_cancellation_topic: str = Field("workflow.cancellation.requests", pattern=r"^[A-Za-z0-9._-]{1,249}$")
    kafka_topic_partitions: int = Field(6, ge=1)
    kafka_topic_replication: int = Field(1, ge=1)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = Field(None, min_length=1)
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_file: Path | None = None

    jwt_secret: SecretStr | None = None
    jwt_previous_secret: SecretStr | None = None
    webhook_secret: SecretStr | None = None
    jwt_algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    jwt_expiration_minutes: int = Field(60, ge=1)
    api_key_header: str = Field("X-API-Key", pattern=r"^[A-Za-z0-9-]+$")

    cors_origins: CommaList = ("http://localhost:3000",)
    cors_allow_credentials: bool = True
    cors_allow_methods: CommaList = ("*",)
    cors_allow_headers: CommaList = ("*",)
    trusted_hosts: CommaList = ("*",)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    log_format: Literal["json", "text"] = "json"

    default_page_size: int = Field(20, ge=1)
    max_page_size: int = Field(100, ge=1, le=10_000)

    run_backlog_limit: int = Field(100_000, ge=0)

    enable_metrics: bool = True
    enable_audit_logging: bool = True
    rate_limit_requests: int = Field(100, ge=0)
    rate_limit_window: int = Field(60, ge=1)

    retention_runs_days: int = Field(90, ge=0, le=36_500)
    retention_audit_days: int = Field(365, ge=0, le=36_500)

    readiness_requires_kafka: bool = True
    graceful_shutdown_seconds: int = Field(20, ge=1)

    bootstrap_admin_username: str = Field("admin", min_length=1)
    bootstrap_admin_password: SecretStr | None = None

    executor_id: str = Field(default_factory=socket.gethostname, min_length=1)
    executor_concurrency: int = Field(16, ge=1)
    executor_lease_seconds: int = Field(30, ge=3)
    run_cancel_deadline_seconds: int = Field(60, ge=10)
    worker_http_port: int = Field(8001, ge=1, le=65535)
    http_agent_allowed_hosts: CommaList = ()
    kafka_agent_topics: CommaList = ()
    kafka_agent_reply_topics: CommaList = ()
    agent_secrets_dir: Path | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values given in code win over files, files over variables (both at once are refused by the file source)."""
        return init_settings, _FileSource(settings_cls), env_settings

    @field_validator(
        "kafka_brokers",
        "cors_origins",
        "cors_allow_methods",
        "cors_allow_headers",
        "trusted_hosts",
        "forwarded_allow_ips",
        "http_agent_allowed_hosts",
        "kafka_agent_topics",
        "kafka_agent_reply_topics",
        mode="before",
    )
    @classmethod
    def _split_comma_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("log_level", "log_format", "jwt_algorithm", mode="before")
    @classmethod
    def _forgive_case(cls, value: object, info: Any) -> object:
        if not isinstance(value, str):
            return value
        if info.field_name == "log_format":
            return value.lower()
        return {"WARN": "WARNING"}.get(value.upper(), value.upper())

    @field_validator("api_prefix")
    @classmethod
    def _prefix_is_a_path(cls, value: str) -> str:
        if not value.startswith("/") or value.endswith("/") or "{" in value:
            raise ValueError("must begin with a slash, not end with one, and hold no parameters, for instance /api/v1")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_url_is_postgresql(cls, value: SecretStr) -> SecretStr:
        expected = "must look like postgresql://user:password@host:5432/name?sslmode=require"
        text = value.get_secret_value()
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError:
            raise ValueError(expected) from None
        if parts.scheme not in ("postgresql", "postgres", "postgresql+asyncpg") or not parts.path.strip("/"):
            raise ValueError(expected)
        mode = parse_qs(parts.query).get("sslmode", ["prefer"])[-1]
        if mode not in SSL_MODES:
            raise ValueError(f"sslmode is {mode!r} but must be one of {', '.join(SSL_MODES)}")
        return value

    @field_validator("kafka_brokers")
    @classmethod
    def _brokers_are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for broker in value:
            host, separator, port = broker.rpartition(":")
            if not separator or not host or not port.isdigit() or not 1 <= int(port) <= 65535:
                raise ValueError(f"{broker!r} is not host:port, for instance kafka:29092")
        if not value:
            raise ValueError("must name at least one broker as host:port, for instance kafka:29092")
        return value

    @field_validator("kafka_security_protocol", mode="before")
    @classmethod
    def _no_login_in_clear(cls, value: object) -> object:
        if value == "SASL_PLAINTEXT":
            raise ValueError("is SASL_PLAINTEXT, which leaves messages and logins unencrypted; use SASL_SSL")
        return value

    @field_validator("kafka_ssl_ca_file")
    @classmethod
    def _authorities_are_readable(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        try:
            ssl.create_default_context(cafile=value)
        except OSError as error:
            reason = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise ValueError(f"names {value}, which cannot be used: {reason}") from None
        return value

    @field_validator("tls_cert_file", "tls_key_file", "agent_secrets_dir", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @field_validator("retention_runs_days", "retention_audit_days")
    @classmethod
    def _nothing_young_is_forgotten(cls, value: int) -> int:
        if 0 < value < LEAST_RETENTION_DAYS:
            raise ValueError(
                f"is {value}, must be at least {LEAST_RETENTION_DAYS}, as long as an Idempotency-Key may lead to a run,"
                " or 0 to keep everything"
            )
        return value

    @field_validator("jwt_secret", "jwt_previous_secret")
    @classmethod
    def _secret_is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MINIMUM_SECRET_LENGTH:
            raise ValueError(
                f"has {len(value.get_secret_value())} characters, must have at least {MINIMUM_SECRET_LENGTH};"
                " leave it unset to run without authentication"
            )
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _webhook_secret_is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MINIMUM_SECRET_LENGTH:
            raise ValueError(
                f"has {len(value.get_secret_value())} characters, must have at least {MINIMUM_SECRET_LENGTH};"
                " leave it unset to run without webhooks"
            )
        return value

    @model_validator(mode="after")
    def _values_fit_together(self) -> Self:
        self._check_production()
        if self.api_reload and self.api_workers > 1:
            raise ValueError(f"API_RELOAD is true, which allows one worker only, but API_WORKERS is {self.api_workers}")
        if "*" in self.cors_origins and self.cors_allow_credentials:
            raise ValueError(
                "CORS_ORIGINS contains * while CORS_ALLOW_CREDENTIALS is true:"
                " name the origins, or switch credentials off"
            )
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            given, missing = (
                ("TLS_CERT_FILE", "TLS_KEY_FILE") if self.tls_cert_file else ("TLS_KEY_FILE", "TLS_CERT_FILE")
            )
            raise ValueError(f"{given} is set but {missing} is not: HTTPS needs both, plain HTTP neither")
        if self.jwt_previous_secret is not None and self.jwt_secret is None:
            raise ValueError("JWT_PREVIOUS_SECRET is set but JWT_SECRET is not: there is no token to accept it for")
        if self.default_page_size > self.max_page_size:
            raise ValueError(
                f"DEFAULT_PAGE_SIZE is {self.default_page_size}, more than MAX_PAGE_SIZE {self.max_page_size}"
            )
        self._check_kafka_login()
        self._check_agents()
        return self

    def _check_agents(self) -> None:
        for name in ("kafka_agent_topics", "kafka_agent_reply_topics"):
            for topic in getattr(self, name):
                if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", topic):
                    raise ValueError(f"{name.upper()} contains {topic!r}, which is no name of a topic")
                if topic in (self.kafka_execution_topic, self.kafka_cancellation_topic):
                    raise ValueError(f"{name.upper()} contains {topic}, which is a topic of the service itself")
        folder = self.agent_secrets_dir
        for variable, path in os.environ.items():
            if folder is not None and variable.endswith("_FILE") and Path(path).parent == folder:
                raise ValueError(
                    f"AGENT_SECRETS_DIR is {folder}, where the file of {variable} is: agents could read it; give a"
                    " folder of their own"
                )

    def _check_production(self) -> None:
        debugging = {"API_RELOAD": self.api_reload, "DATABASE_ECHO": self.database_echo}
        for variable, is_on in {**debugging, "LOG_LEVEL": self.log_level == "DEBUG"}.items():
            if is_on and self.environment == "production":
                raise ValueError(f"{variable} is set for debugging, but ENVIRONMENT is production; switch it off")

    def _check_kafka_login(self) -> None:
        protocol = self.kafka_security_protocol
        login = {"KAFKA_SASL_USERNAME": self.kafka_sasl_username, "KAFKA_SASL_PASSWORD": self.kafka_sasl_password}
        for variable, value in login.items():
            if value is None and protocol == "SASL_SSL":
                raise ValueError(f"{variable} is not set, but KAFKA_SECURITY_PROTOCOL is SASL_SSL, which needs it")
            if value is not None and protocol != "SASL_SSL":
                raise ValueError(f"{variable} is set, but KAFKA_SECURITY_PROTOCOL is {protocol}; use SASL_SSL")
        if self.kafka_ssl_ca_file is not None and protocol == "PLAINTEXT":
            raise ValueError("KAFKA_SSL_CA_FILE is set, but KAFKA_SECURITY_PROTOCOL is PLAINTEXT; use SASL_SSL or SSL")

    @property
    def authentication_enabled(self) -> bool:
        """Whether callers must prove who they are: exactly when JWT_SECRET is set."""
        return self.jwt_secret is not None

    @cached_property
    def asyncpg_dsn(self) -> str:
        """The address in the form that asyncpg itself reads; it understands sslmode and sslrootcert. Holds a secret."""
        url = self.database_url.get_secret_value()
        return "postgresql://" + url.partition("://")[2]

    @property
    def kafka_bootstrap(self) -> list[str]:
        """The brokers as aiokafka wants them."""
        return list(self.kafka_brokers)


def load_settings(**given: Any) -> Settings:
    """Read the settings from the environment; ``given`` values win.

    Raises InvalidSettingsError with one line for each variable that is missing or wrong.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            variable = str(problem["loc"][0]).upper() if problem["loc"] else ""
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "missing":
                message = f"is not set; give it, or {variable}_FILE with the path of a file that holds it"
            lines.append(f"{variable} {message}".strip())
        raise InvalidSettingsError("\n".join(lines)) from None

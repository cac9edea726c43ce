"""Secrets that everybody knows: of the documents, of vendors, of lists of the most used ones."""

from __future__ import annotations

import re

DOCUMENTED = (
    "your-secret-key-min-32-chars", "CHANGE_THIS_TO_RANDOM_64_CHAR_STRING_MIN", "YOUR_JWT_TOKEN", "workflow_pass",
    "STRONG_PASSWORD", "pass", "admin123", "NEW_PASSWORD", "NEW_BCRYPT_HASH_HERE",
)  # fmt: skip
"""The samples of the deployment documents."""

WELL_KNOWN = (
    "password", "password1", "password123", "passw0rd", "p@ssw0rd", "p@ssword", "secret", "secretkey", "secret-key",
    "secret_key", "supersecret", "super-secret", "super_secret", "mysecret", "my-secret", "my_secret",
    "mysecretpassword", "jwt-secret", "jwt_secret", "jwtsecret", "admin", "admin1234", "administrator", "root", "toor",
    "guest", "user", "test", "test123", "testing", "demo", "example", "sample", "default", "changeme", "change-me",
    "change_me", "changeit", "changethis", "change-this", "letmein", "welcome", "welcome1", "qwerty", "qwerty123",
    "abc123", "iloveyou", "dragon", "monkey", "123", "1234", "12345", "123456", "1234567", "12345678", "123456789",
    "1234567890", "111111", "000000", "postgres", "postgresql", "mysql", "mariadb", "redis", "rabbitmq", "mongo",
    "mongodb", "kafka", "grafana", "prom-operator", "prometheus", "minio", "minioadmin", "minio123", "elastic",
    "keycloak", "sa", "oracle", "tiger", "system", "manager", "vagrant", "docker", "kubernetes", "workflow", "none",
    "null", "undefined", "todo", "tbd", "xxx", "xxxx", "foobar", "hunter2", "correcthorsebatterystaple",
    "your-256-bit-secret", "your-384-bit-secret", "your-512-bit-secret",
    "a-string-secret-at-least-256-bits-long", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "SW2YcwTIb9zpOOhoPsMm",
)  # fmt: skip
"""Defaults of vendors, samples of well-known manuals (of JWT libraries and FastAPI, AWS, Grafana), most used words."""

KNOWN = frozenset(each.casefold() for each in (*DOCUMENTED, *WELL_KNOWN))

_PLACEHOLDER = re.compile(
    r"change[-_ ]?(this|me|it)|replace[-_ ]?(this|me|with)|(insert|put|enter|fill)[-_ ]?(your|here|in)|placeholder"
    r"|your[-_ ]?(own[-_ ])?(secret|password|key|token|jwt|api|db|database)|to[-_ ]?be[-_ ]?(set|changed|replaced)"
    r"|^<[^>]+>$|^\$?\{.*\}$"
)
"""What tells a reader to write something else here."""


def is_known(secret: str) -> bool:
    """Whether a secret is empty, a known sample or default, or a placeholder; upper and lower case are the same."""
    folded = secret.strip().casefold()
    return not folded or folded in KNOWN or _PLACEHOLDER.search(folded) is not None

"""Which names and texts give a secret away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

_NAME = re.compile(
    r"(password|passwd|passphrase|passcode|requirepass|secret|token|apikey|(^|_)(pass|pwd|pw|key|credentials?))"
    r"(_(value|text))?$"
)
_NO_SECRET_KEYS = re.compile(
    r"(^|_)(public|partition|sort|primary|foreign|group|cache|index|row|message|routing)_key$|^key$"
)
_MADE_OF_SECRETS = re.compile(r"checksum|digest|fingerprint|sha\d+|(^|_)hash(_|$)")
_SECRET_KEYS = re.compile(
    r"(api|secret|private|access|signing|encryption|auth|master|session|jwt)_?key(_(value|text))?$"
)
_ANY_KEY = re.compile(r"(^|_)key(_(value|text))?$")
_PASSWORD_NAME = re.compile(r"(password|passwd|passphrase|passcode|(^|_)(pass|pwd|pw))(_(value|text))?$")

_REFERENCE = re.compile(r"\$\(\w+\)|\$\{[^}]*\}|\$\w+|\{\{.*\}\}|%\(\w+\)s|\$__\w+\{.*\}")
_PATH = re.compile(r"(file:)?(/[\w.-]+){2,}/?|\.{1,2}/\S*|~/\S*|[\w-]+\.(key|pem|crt|json|ya?ml|conf|txt|env|jks|p12)")

PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
CERTIFICATE = "-----BEGIN CERTIFICATE-----"
_URL_LOGIN = re.compile(r"\b([a-z][a-z0-9+.-]*)://([^\s:/@?#'\"]*):([^\s/@'\"]+)@([^\s:/?#'\"]+)")
_ASSIGNED = re.compile(r"(?m)(?:^|[\s,;{\"'-])([A-Za-z][\w.-]*)[\"']?\s*(?:=|:(?!/))[ \t]*[\"']?([^\s\"',;]+)")


def names_a_secret(name: str) -> bool:
    """Whether a setting of this name holds a secret: PASSWORD, db-password, apiToken, but not JWT_SECRET_FILE."""
    split = normal_name(name)
    return bool(_NAME.search(split)) and not _NO_SECRET_KEYS.search(split) and not _MADE_OF_SECRETS.search(split)


def is_written_down(name: str, value: str) -> bool:
    """Whether the value of a setting that names a secret is the secret, not a path, a reference or a switch."""
    if not value.strip() or _REFERENCE.fullmatch(value) or _PATH.fullmatch(value):
        return False
    if value.lower() in ("true", "false", "yes", "no", "on", "off", "none", "null"):
        return False
    normal = normal_name(name)
    if _ANY_KEY.search(normal) and not _SECRET_KEYS.search(normal):
        # There are keys of maps, rows and messages too: a secret one has digits and is long.
        return len(value) >= 12 and any(letter.isdigit() for letter in value)
    return not value.isdigit() or _PASSWORD_NAME.search(normal) is not None


def url_logins(text: str) -> Iterator[tuple[str, str, str, str]]:
    """Scheme, user, password and host of each URL in a text that has a password written down."""
    for scheme, user, password, host in _URL_LOGIN.findall(text):
        if not _REFERENCE.fullmatch(password) and not re.fullmatch(r"\*+|<[^>]*>|\.\.\.|…", password):
            yield scheme, unquote(user), unquote(password), host


def assignments(text: str) -> Iterator[tuple[str, str]]:
    """Name and value wherever a setting that names a secret is given one in a text: `password=…`, `token: …`."""
    for name, value in _ASSIGNED.findall(text):
        if names_a_secret(name) and is_written_down(name, value):
            yield name, value


def gives_away(text: str) -> str | None:
    """What of a secret a text shows, in words; None when nothing is seen."""
    if PRIVATE_KEY.search(text):
        return "a private key"
    if any(url_logins(text)):
        return "a URL with a password"
    if any(assignments(text)):
        return "a setting that names a secret"
    return None


def normal_name(name: str) -> str:
    """The same name however it is written: `dbPassword`, `db-password` and `DB_PASSWORD` are db_password."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")

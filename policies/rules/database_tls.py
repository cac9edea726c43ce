"""The way to the database."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from policies.engine.rule import Fault, rule
from policies.view.files import yaml_of
from policies.view.parts import PlatformPart
from policies.view.pods import Container
from policies.view.values import Value

ITEM = "database-tls"

ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
MEND = "postgres.members of 3 or more, or postgres.external: both are reached with sslmode=verify-full"


def _has_database(part: PlatformPart) -> bool:
    setting = part.setting("DATABASE_URL")
    return setting.is_given


def _option(part: PlatformPart, name: str) -> str | None:
    url = part.url("DATABASE_URL")
    found = parse_qs(url.query).get(name) if url else None
    return found[-1] if found else None


@rule(ITEM, on=PlatformPart, wanted="sslmode require, verify-ca or verify-full", mend=MEND, where=_has_database)
def programs_reach_the_database_encrypted(part: PlatformPart) -> Iterator[Fault]:
    """The password and every row pass this connection."""
    if _option(part, "sslmode") not in ENCRYPTED:
        yield Fault(part.setting("DATABASE_URL"), "the connection to the database may be unencrypted")


@rule(ITEM, on=PlatformPart, wanted="sslmode=verify-full with sslrootcert", mend=MEND, where=_has_database)
def programs_verify_the_database(part: PlatformPart) -> Iterator[Fault]:
    """Encryption alone does not tell who answers; with `require` a stranger at the address would get the password."""
    if _option(part, "sslmode") != "verify-full" or not _option(part, "sslrootcert"):
        yield Fault(part.setting("DATABASE_URL"), "who answers for the database is not verified")


def _patroni(part: PlatformPart) -> Value:
    return yaml_of(part.file("patroni.yml"))


def _has_patroni(part: PlatformPart) -> bool:
    return "patroni.yml" in part.config_files


@rule(ITEM, on=PlatformPart, parts=["postgres"], wanted="hostssl in every line but `local`", mend="pg_hba",
      where=_has_patroni)  # fmt: skip
def the_database_refuses_unencrypted_logins(postgres: PlatformPart) -> Iterator[Fault]:
    """Where the server lets plain connections in, one client's slip is enough to send a password readable."""
    lines = _patroni(postgres).at("postgresql", "pg_hba")
    if not lines.items():
        yield Fault(lines, "there are no rules for logins")
    for each in lines.items():
        words = (each.text() or "").split()
        if words and words[0] not in ("local", "hostssl", "hostgssenc") and words[-1] != "reject":
            yield Fault(each, "a login is let in unencrypted")


@rule(ITEM, on=PlatformPart, parts=["postgres"], wanted="no password-less or weakly hashed login", mend="pg_hba",
      where=_has_patroni)  # fmt: skip
def the_database_trusts_nobody_unseen(postgres: PlatformPart) -> Iterator[Fault]:
    """`trust` lets in whoever reaches the port; `password` and `md5` give the password to who listens or steals."""
    for each in _patroni(postgres).at("postgresql", "pg_hba").items():
        if {"trust", "password", "md5", "ident"} & set((each.text() or "").split()[3:]):
            yield Fault(each, "a login is let in without proof, or with a weak one")


@rule(ITEM, on=PlatformPart, parts=["postgres"], wanted="ssl on, at least TLSv1.2", mend="infra/postgres/patroni.py",
      where=_has_patroni)  # fmt: skip
def the_database_speaks_tls(postgres: PlatformPart) -> Iterator[Fault]:
    """Without a certificate the server can't encrypt, whatever its clients ask for."""
    settings = _patroni(postgres).at("postgresql", "parameters")
    if settings["ssl"].text() not in ("on", "true"):
        yield Fault(settings["ssl"], "the server does not speak TLS")
    # Unset, Postgres' own default is TLSv1.2.
    if settings["ssl_min_protocol_version"].text() not in (None, "TLSv1.2", "TLSv1.3"):
        yield Fault(settings["ssl_min_protocol_version"], "an old version of TLS is accepted")


@rule(ITEM, on=PlatformPart, parts=["postgres"], wanted="verify-full", mend="infra/postgres/patroni.py",
      where=_has_patroni)  # fmt: skip
def standbys_verify_the_primary(postgres: PlatformPart) -> Iterator[Fault]:
    """A standby copies everything: it must know from whom, and nobody may read on the way."""
    for name in ("replication", "rewind"):
        mode = _patroni(postgres).at("postgresql", "authentication", name, "sslmode")
        if mode.text() != "verify-full":
            yield Fault(mode, "members copy from one another without verifying who answers")


@rule(ITEM, on=Container, wanted="sslmode=verify-full, or at least require", mend="add it to the database's URL")
def no_database_url_allows_plain_text(container: Container) -> Iterator[Fault]:
    """Without `sslmode` a client takes what it gets, and goes on in plain text where the server has no TLS."""
    for name, value in container.env.items():
        if name == "PGSSLMODE" and value.text() not in ENCRYPTED:
            yield Fault(value, "the connection to the database may be unencrypted")
        if not name.endswith(("URL", "URI", "DSN")):
            continue
        text = value.text() or ""
        if text.startswith(("postgres://", "postgresql://", "postgresql+")) and not _is_encrypted(text):
            yield Fault(value, "the connection to the database may be unencrypted")


def _is_encrypted(url: str) -> bool:
    try:
        options = parse_qs(urlsplit(url).query)
    except ValueError:
        return False
    modes = options.get("sslmode") or options.get("ssl") or [""]
    return modes[-1] in ENCRYPTED or modes[-1] == "true"

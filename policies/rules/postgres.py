"""How a database server of the platform lets connections in, and what it does with its log of changes."""

from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.files import yaml_of
from policies.view.parts import PlatformPart
from policies.view.project import Project
from policies.view.values import Value

TLS, PASSWORDS, STRATEGY = "database-tls", "database-password-strong", "backup-strategy-defined"

PATRONI = "patroni.yml"
SETTINGS = ("postgresql", "parameters")
LINES = ("postgresql", "pg_hba")
IMAGE_LINES = "images/postgres/files/etc/postgres/pg_hba.conf"
VERIFIED = ("verify-ca", "verify-full")
WEAK_METHODS = ("trust", "password", "md5", "ident")
"""Nobody is asked; the password crosses the network; its hash can be used like it; the caller says who he is."""


def is_member(part: PlatformPart) -> bool:
    """Whether Patroni runs it: only then the stack says how its server is set."""
    return part.file(PATRONI).is_given


def method_of(line: str) -> str:
    """How a line of pg_hba.conf wants a caller to prove who he is."""
    fields = line.split()
    place = 3 if line.startswith("local") else 4
    # An address may be written as two fields, with a mask.
    if len(fields) > place + 1 and fields[place][:1].isdigit():
        place += 1
    return fields[place] if len(fields) > place else ""


@rule(TLS, on=PlatformPart, parts=["postgres"], wanted="on", mend="postgresql.parameters.ssl", where=is_member)
def the_database_server_speaks_tls(part: PlatformPart) -> Iterator[Fault]:
    """Without it no client can encrypt, however much it wants to."""
    ssl = yaml_of(part.file(PATRONI)).at(*SETTINGS, "ssl")
    if (ssl.text() or "off").lower() not in ("on", "true"):
        yield Fault(ssl, "the server does not offer TLS")


@rule(
    TLS, on=PlatformPart, parts=["postgres"], wanted="hostssl, or the method reject", mend="infra/postgres/access.py",
    where=is_member,
)  # fmt: skip
def the_database_refuses_plain_connections(part: PlatformPart) -> Iterator[Fault]:
    """A line that begins with `host` or `hostnossl` lets a client in that does not encrypt."""
    for line in yaml_of(part.file(PATRONI)).at(*LINES).items():
        text = line.text() or ""
        if text.split()[:1] in (["host"], ["hostnossl"]) and method_of(text) != "reject":
            yield Fault(line, "the line lets unencrypted connections in")


@rule(TLS, on=PlatformPart, parts=["postgres"], wanted="verify-full", mend="infra/postgres/patroni.py", where=is_member)
def members_check_whom_they_copy_from(part: PlatformPart) -> Iterator[Fault]:
    """Copies carry everything that is in the database, so a member must know that it speaks to another one."""
    users = yaml_of(part.file(PATRONI)).at("postgresql", "authentication")
    for name in ("replication", "rewind"):
        mode = users[name]["sslmode"]
        if mode.text() not in VERIFIED:
            yield Fault(mode, "a member does not check the certificate of the one it copies from")


@rule(
    PASSWORDS, on=PlatformPart, parts=["postgres"], wanted="cert, scram-sha-256, or peer on the socket",
    mend="infra/postgres/access.py", where=is_member,
)  # fmt: skip
def the_database_trusts_nobody(part: PlatformPart) -> Iterator[Fault]:
    """The strongest password helps nothing where a line does not ask for it, or lets it be read on the way."""
    for line in yaml_of(part.file(PATRONI)).at(*LINES).items():
        if method_of(line.text() or "") in WEAK_METHODS:
            yield Fault(line, "the line lets somebody in without proof, or with one that can be read on the way")


@rule(
    PASSWORDS, on=PlatformPart, parts=["postgres"], wanted="scram-sha-256", mend="postgresql.parameters",
    where=is_member,
)  # fmt: skip
def the_database_keeps_passwords_as_scram(part: PlatformPart) -> Iterator[Fault]:
    """What is kept as md5 can be used to log in by whoever reads it."""
    kept = yaml_of(part.file(PATRONI)).at(*SETTINGS, "password_encryption")
    if (kept.text() or "scram-sha-256") != "scram-sha-256":
        yield Fault(kept, "passwords are kept in an older form")


@rule(PASSWORDS, on=Project, wanted="scram-sha-256, peer on the socket, or reject", mend=IMAGE_LINES)
def the_single_server_trusts_nobody(project: Project) -> Iterator[Fault]:
    """A server without Patroni, as in dev, takes the image's own lines."""
    text = project.text(IMAGE_LINES)
    if text is None:
        yield Fault(IMAGE_LINES, "the file is missing, so that it can't be told whom the server lets in")
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("#") and method_of(line) in WEAK_METHODS:
            yield Fault(
                f"{IMAGE_LINES}:{number}", "the line lets somebody in without proof, or with one that can be read"
            )


@rule(STRATEGY, on=PlatformPart, parts=["postgres"], wanted="on", mend="infra/postgres/patroni.py", where=is_member)
def the_log_of_changes_is_archived(part: PlatformPart) -> Iterator[Fault]:
    """Backups alone bring back the hour they were made; with the log every moment since can be had."""
    found = yaml_of(part.file(PATRONI)).at(*SETTINGS)
    mode, command = found["archive_mode"], found["archive_command"]
    if (mode.text() or "off").lower() not in ("on", "true", "always"):
        yield Fault(mode, "the log of changes is not archived")
    if not _keeps(command):
        yield Fault(
            command, "the log of changes is archived nowhere", "a command that stores the file it is given as %p"
        )


@rule(
    STRATEGY, on=PlatformPart, parts=["postgres"], wanted="replica or logical", mend="infra/postgres/patroni.py",
    where=is_member,
)  # fmt: skip
def the_log_of_changes_says_enough(part: PlatformPart) -> Iterator[Fault]:
    """With less in it nothing can be restored from it."""
    level = yaml_of(part.file(PATRONI)).at("bootstrap", "dcs", *SETTINGS, "wal_level")
    if (level.text() or "replica") not in ("replica", "logical"):
        yield Fault(level, "the log of changes does not hold enough to restore from")


def _keeps(command: Value) -> bool:
    return "%p" in (command.text() or "")

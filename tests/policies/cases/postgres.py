"""How the database lets connections in, and its log of changes."""

from policies.view.values import UNKNOWN
from tests.policies.changes import Case, config
from tests.policies.edits import entry

PATRONI = "patroni.yml"
SETTINGS = "postgresql.parameters"


def _set(check: str, path: str, to: object, why: str = "", place: str | None = None) -> Case:
    return Case(check, config("postgres", PATRONI, entry(path, to)), path=place or path, why=why)


def _line(check: str, line: str, why: str) -> Case:
    def add(lines: list[str]) -> list[str]:
        return [line, *lines]

    return _set(check, "postgresql.pg_hba", add, why, "pg_hba[0]")


def _hidden(check: str) -> Case:
    return Case(check, config("postgres", PATRONI, UNKNOWN), "not evaluated")


CASES = [
    _set("the_database_server_speaks_tls", f"{SETTINGS}.ssl", "off"),
    _hidden("the_database_server_speaks_tls"),
    _line("the_database_refuses_plain_connections", "host all all all scram-sha-256", "host"),
    _line("the_database_refuses_plain_connections", "hostnossl all all 10.0.0.0 255.0.0.0 scram-sha-256", "nossl"),
    _hidden("the_database_refuses_plain_connections"),
    _set("members_check_whom_they_copy_from", "postgresql.authentication.replication.sslmode", "require"),
    _set("members_check_whom_they_copy_from", "postgresql.authentication.rewind.sslmode", "prefer", "rewind"),
    _hidden("members_check_whom_they_copy_from"),
    _line("the_database_trusts_nobody", "local all all trust", "local"),
    _line("the_database_trusts_nobody", "hostssl all all 10.0.0.0 255.0.0.0 trust", "mask"),
    _line("the_database_trusts_nobody", "hostssl all all all md5", "md5"),
    _hidden("the_database_trusts_nobody"),
    _set("the_database_keeps_passwords_as_scram", f"{SETTINGS}.password_encryption", "md5"),
    _hidden("the_database_keeps_passwords_as_scram"),
    _set("the_log_of_changes_is_archived", f"{SETTINGS}.archive_mode", "off"),
    _set("the_log_of_changes_is_archived", f"{SETTINGS}.archive_command", "/bin/true", "nowhere"),
    _hidden("the_log_of_changes_is_archived"),
    _set("the_log_of_changes_says_enough", f"bootstrap.dcs.{SETTINGS}.wal_level", "minimal"),
    _hidden("the_log_of_changes_says_enough"),
]

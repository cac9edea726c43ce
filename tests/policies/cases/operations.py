"""Contacts, and where logs go."""

from typing import Any

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, config, put
from tests.policies.edits import entry, line, setting
from tests.policies.edits import without as rest

FILE = "rules/operations.yml"


def _operations(check: str, edit: Any, why: str = "") -> Case:
    return Case(check, config("prometheus", FILE, edit), why=why)


def _hidden(check: str) -> Case:
    return Case(check, config("prometheus", FILE, UNKNOWN), "not evaluated")


def _without_role(role: str) -> Any:
    return rest("groups[0].rules", lambda each: each.get("labels", {}).get("role") == role)


def _reviewed(seconds: str) -> Any:
    def change(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        name = "declared_contacts_reviewed_seconds"
        return [{**each, "expr": f"vector({seconds})"} if each["record"] == name else each for each in found]

    return entry("groups[0].rules", change)


CASES = [
    _operations("every_role_has_an_address", _without_role("security"), "security"),
    _operations("every_role_has_an_address", _without_role("incident-commander"), "commander"),
    _operations("every_role_has_an_address", ABSENT, "no file"),
    _hidden("every_role_has_an_address"),
    _operations("no_contact_is_a_placeholder", line("tech-lead@operations.internal", "+1-XXX-XXX-XXXX"), "number"),
    _operations("no_contact_is_a_placeholder", line("security@operations.internal", "security@your-company.com")),
    _hidden("no_contact_is_a_placeholder"),
    _operations("contacts_were_looked_at_lately", _reviewed("1600000000"), "stale"),
    _operations("contacts_were_looked_at_lately", _reviewed("4000000000"), "to come"),
    _operations("contacts_were_looked_at_lately", _reviewed("never"), "no date"),
    _hidden("contacts_were_looked_at_lately"),
    Case("no_containers_log_is_thrown_away", put("Container", "api", "logDriver", "none"), environment="dev"),
    Case("no_containers_log_is_thrown_away", put("Container", "api", "logDriver", UNKNOWN), "not evaluated", "dev"),
    Case("the_database_logs_to_the_engine", config("postgres", "patroni.yml", entry("log.dir", "/tmp/log"))),  # noqa: S108
    Case(
        "the_database_logs_to_the_engine",
        config("postgres", "patroni.yml", entry("postgresql.parameters.logging_collector", "on")),
        why="collector",
    ),
    Case(
        "the_backup_tool_logs_to_the_engine",
        config("backup-full", "pgbackrest.conf", setting("log-level-file", "info")),
    ),
    Case("the_backup_tool_logs_to_the_engine", config("backups", "pgbackrest.conf", UNKNOWN), "not evaluated"),
    Case("the_database_logs_to_the_engine", config("postgres", "patroni.yml", UNKNOWN), "not evaluated"),
    Case(
        "the_edge_logs_to_the_engine",
        config("edge", "nginx.conf", line("/dev/stdout record", "/scratch/visits record")),
    ),
    Case("the_edge_logs_to_the_engine", config("edge", "nginx.conf", UNKNOWN), "not evaluated"),
    Case(
        "it_is_said_how_much_log_is_kept", put("Container", "kafka", "logOpts", {"max-size": "10m"}), environment="dev"
    ),
    Case(
        "it_is_said_how_much_log_is_kept", put("Container", "kafka", "logOpts", ABSENT), environment="dev", why="none"
    ),
    Case("it_is_said_how_much_log_is_kept", put("Container", "kafka", "logOpts", UNKNOWN), "not evaluated", "dev"),
]

"""The files of a Postgres cluster: what must never be in them, and relations that must hold."""

from typing import Any

import pytest
import yaml

from infra.postgres.access import client_rules, identity_rules
from infra.postgres.names import member_hosts
from infra.postgres.patroni import patroni_config, shared_settings
from infra.postgres.pgbackrest import member_config, passphrase_file, repository_config
from stacks.parts.postgres import Backup, Postgres

pytestmark = pytest.mark.ring("unit")

PROD = Postgres(database="workflow_prod", members=3, max_connections=600, shared_buffers=1024, size=51200)


def document(postgres: Postgres = PROD) -> Any:
    return yaml.safe_load(patroni_config(postgres, "prod", "workflow-prod"))


def options(text: str, section: str) -> dict[str, list[str]]:
    """Values by option, of one section."""
    found: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines():
        if line.startswith("["):
            current = line.strip("[]")
        elif "=" in line and current == section:
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_no_rule_trusts_and_over_the_network_there_is_only_tls() -> None:
    for rule in client_rules("workflow_prod"):
        kind, method = rule.split()[0], rule
        assert kind in {"local", "hostssl"}
        assert not any(word in method.split() for word in ("trust", "md5", "password", "ident"))
    assert {rule.split()[0] for rule in client_rules("x") if " peer " in rule} == {"local"}


def test_only_the_roles_job_becomes_superuser_and_only_members_replicate() -> None:
    mapped = [rule.split() for rule in identity_rules()]
    assert [names for kind, *names in mapped if kind == "superuser"] == [["postgres-roles", "postgres"]]
    assert {names[0] for kind, *names in mapped if kind == "members"} == {"postgres"}


@pytest.mark.item("backup-restore-tested", "role-permissions-enforced")
def test_the_restore_drill_is_known_by_its_own_certificate_and_in_its_own_database_only() -> None:
    mapped = [rule.split() for rule in identity_rules()]
    assert [names for kind, *names in mapped if kind == "drill"] == [["restore-drill", "restore_drill"]]
    rules = [rule.split() for rule in client_rules("workflow_prod") if "restore_drill" in rule]
    assert rules == [["hostssl", "workflow_prod", "restore_drill", "all", "cert", "map=drill"]]


def test_a_program_needs_a_certificate_besides_its_password() -> None:
    rule = next(rule for rule in client_rules("workflow_prod") if "+workflow_programs" in rule)
    assert rule.endswith("scram-sha-256 clientcert=verify-ca")


def test_the_members_file_holds_no_password() -> None:
    assert "password" not in patroni_config(PROD, "prod", "workflow-prod").replace("password_encryption", "")


def test_every_connection_between_members_verifies_the_server_and_shows_a_certificate() -> None:
    for name in ("replication", "rewind"):
        login = document()["postgresql"]["authentication"][name]
        assert login["sslmode"] == "verify-full"
        assert {"sslrootcert", "sslcert", "sslkey"} <= login.keys()
    assert document()["restapi"]["verify_client"] == "optional"
    assert document()["restapi"]["allowlist_include_members"] is True


def test_a_dead_primary_is_replaced_within_half_a_minute() -> None:
    shared = shared_settings(PROD)
    assert shared["ttl"] >= shared["loop_wait"] + 2 * shared["retry_timeout"]
    assert shared["ttl"] + shared["loop_wait"] < 30
    assert shared["primary_start_timeout"] == 0


def test_what_needs_to_be_the_same_on_all_members_is_shared_and_nowhere_else() -> None:
    shared = shared_settings(PROD)["postgresql"]["parameters"]
    own = document()["postgresql"]["parameters"]
    assert shared["max_connections"] == 600
    assert not shared.keys() & own.keys()
    assert own["shared_buffers"] == "1024MB"


def test_synchronous_replication_follows_the_description() -> None:
    assert document()["bootstrap"]["dcs"]["synchronous_mode"] is True
    off = PROD.model_copy(update={"synchronous": False})
    assert document(off)["bootstrap"]["dcs"]["synchronous_mode"] is False


def test_patronis_objects_have_names_that_no_part_uses_and_labels_that_select_the_members() -> None:
    kubernetes = document()["kubernetes"]
    assert kubernetes["labels"] == {"app.kubernetes.io/name": "postgres", "app.kubernetes.io/instance": "prod"}
    assert (kubernetes["scope_label"], document()["scope"]) == ("app.kubernetes.io/part-of", "workflow-platform")


def test_the_log_of_a_standby_that_fell_behind_can_not_fill_the_volume() -> None:
    kept = document()["postgresql"]["parameters"]["max_slot_wal_keep_size"]
    assert int(kept.removesuffix("MB")) * 2 < PROD.size


def test_every_way_between_backups_and_members_is_tls_both_ways() -> None:
    hosts = member_hosts(3, "workflow-prod")
    repository = repository_config(Backup(), hosts)
    for number, host in enumerate(hosts, 1):
        found = options(repository, "workflow")
        assert found[f"pg{number}-host"] == [host]
        assert found[f"pg{number}-host-type"] == ["tls"]
    assert options(member_config(), "global")["repo1-host-type"] == ["tls"]
    assert options(repository, "global")["tls-server-auth"] == ["postgres=workflow"]
    clients = ["backups=workflow", "backup-full=workflow", "backup-incremental=workflow"]
    assert options(member_config(), "global")["tls-server-auth"] == clients


def test_the_repository_is_encrypted_and_its_passphrase_is_in_the_secret_file_alone() -> None:
    repository = repository_config(Backup(), member_hosts(1, "x"))
    assert options(repository, "global")["repo1-cipher-type"] == ["aes-256-cbc"]
    assert "cipher-pass" not in repository + member_config()
    assert options(passphrase_file("secret"), "global") == {"repo1-cipher-pass": ["secret"]}


def test_the_log_is_kept_for_as_many_days_as_points_in_time_are_promised() -> None:
    found = options(repository_config(Backup(keep_daily=9), member_hosts(1, "x")), "global")
    assert found["repo1-retention-archive"] == ["9"]

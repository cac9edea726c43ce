"""The database as a cluster: encrypted, copied, archived, and open to each program for its own work only."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.infra.support import database_inside
from tests.infra.support.database_url import DatabaseUrl
from tests.infra.support.kubernetes_live import KubernetesLive
from tests.infra.support.stack_outputs import StackOutputs

pytestmark = [
    pytest.mark.ring("verify"),
    pytest.mark.target("kubernetes", why="on one machine the database is a single server on a private network"),
]

PROGRAMS = {"api", "relay", "executor"}
NO_RULE = "28000"
WRONG_PASSWORD = "28P01"
REPLICAS = "postgres-replicas"
LONGEST_ARCHIVING = 90.0  # seconds


@pytest.fixture(scope="module")
def tries(in_api: Callable[..., str]) -> dict[str, dict[str, Any]]:
    """How sessions from the API's own container ended."""
    return dict(json.loads(in_api(database_inside.SOURCE, REPLICAS)))


@pytest.mark.item("database-url-set", "database-url-matches-provisioned", "database-tls")
def test_every_program_has_a_login_of_its_own_and_verifies_the_server(
    database_urls: dict[str, DatabaseUrl],
) -> None:
    assert database_urls.keys() >= PROGRAMS
    database = database_urls["api"].database
    for part, url in database_urls.items():
        login = str(url.user).rpartition("_")
        assert (login[0], login[2].isdigit()) == (part, True), f"{part} logs in as {url.user}"
        assert url.place == ("postgresql", "postgres", 5432, url.user, database, True), part
        assert url.sslmode == "verify-full", part


@pytest.mark.item("database-tls")
def test_every_session_over_the_network_is_encrypted(psql: Callable[[str], str]) -> None:
    rows = psql(
        "select s.ssl, count(*) from pg_stat_ssl s join pg_stat_activity a using (pid)"
        " where a.client_addr is not null group by 1"
    )
    counted = dict(row.split("|") for row in rows.splitlines())
    assert counted.keys() == {"t"}, f"sessions by encryption: {counted}"


@pytest.mark.item("database-tls")
def test_the_right_password_is_not_taken_in_the_clear(tries: dict[str, dict[str, Any]]) -> None:
    assert tries["as it is"] == {"let in": True, "standby": False}
    assert tries["in the clear"] == {"refused": NO_RULE}


@pytest.mark.item("database-tls", "postgres-reachable")
def test_the_right_password_without_a_certificate_of_the_stack_is_not_enough(tries: dict[str, dict[str, Any]]) -> None:
    assert tries["without a certificate"] == {"refused": NO_RULE}


@pytest.mark.item("postgres-reachable", "role-permissions-enforced")
def test_a_program_can_be_nobody_else_and_be_nowhere_else(tries: dict[str, dict[str, Any]]) -> None:
    assert tries["with a wrong password"] == {"refused": WRONG_PASSWORD}
    for what in ("as the superuser", "into another database"):
        assert tries[what] == {"refused": NO_RULE}, what


@pytest.mark.item("role-permissions-enforced")
def test_no_program_may_change_the_schema_or_the_audit(psql: Callable[[str], str], logins: list[str]) -> None:
    for login in logins:
        allowed = psql(
            f"select has_schema_privilege('{login}', 'public', 'CREATE'),"
            f" has_any_column_privilege('{login}', 'audit_log', 'UPDATE'),"
            f" has_table_privilege('{login}', 'audit_log', 'DELETE'),"
            f" has_table_privilege('{login}', 'audit_log', 'TRUNCATE'),"
            f" has_database_privilege('{login}', current_database(), 'CREATE')"
        )
        assert allowed == "f|f|f|f|f", f"{login} (schema, audit: update, delete, truncate; database): {allowed}"


@pytest.mark.item("role-permissions-enforced")
def test_relay_and_executors_read_no_users_keys_or_audit(psql: Callable[[str], str], logins: list[str]) -> None:
    others = [login for login in logins if not login.startswith("api_")]
    assert others
    for login in others:
        for table in ("users", "api_keys", "audit_log"):
            # Of a column, too: a right on the whole table is a right on each of its columns.
            reads = psql(f"select has_any_column_privilege('{login}', '{table}', 'SELECT')")
            assert reads == "f", f"{login} reads {table}"


@pytest.mark.item("postgres-reachable", "data-persisted")
def test_all_members_follow_the_primary_and_one_of_them_synchronously(
    psql: Callable[[str], str], outputs: StackOutputs, eventually: Callable[..., Any]
) -> None:
    members = outputs.inventory["postgres"].replicas
    assert members >= 2, "there is no other member that could take over"

    def copies() -> dict[str, int]:
        rows = psql("select sync_state in ('sync', 'quorum'), count(*) from pg_stat_replication"
                    " where state = 'streaming' and application_name like 'postgres-%' group by 1")  # fmt: skip
        return {synchronous: int(count) for synchronous, count in (row.split("|") for row in rows.splitlines())}

    eventually(lambda: sum(copies().values()) == members - 1, 60, f"{members - 1} members following", interval=2)
    assert copies().get("t"), "no standby confirms a commit before its client hears of it"


@pytest.mark.item("postgres-reachable")
def test_the_read_only_service_leads_to_a_standby(tries: dict[str, dict[str, Any]]) -> None:
    assert tries["read-only service"] == {"let in": True, "standby": True}


@pytest.mark.item("backup-automated-running")
def test_what_is_committed_is_archived(psql: Callable[[str], str], eventually: Callable[..., Any]) -> None:
    segment = psql("select pg_walfile_name(pg_create_restore_point('verify'))")
    psql("select pg_switch_wal()")

    def archived() -> bool:
        return psql(f"select last_archived_wal >= '{segment}' from pg_stat_archiver") == "t"  # noqa: S608  the server's own word

    eventually(archived, LONGEST_ARCHIVING, f"segment {segment} in the archive", interval=1)
    broken = psql("select coalesce(last_failed_time > last_archived_time, false) from pg_stat_archiver")
    assert broken == "f", "the last attempt to archive failed"


@pytest.mark.item("backup-automated-running")
def test_there_is_a_full_backup_that_is_whole(live: KubernetesLive, eventually: Callable[..., Any]) -> None:
    def full() -> list[dict[str, Any]]:
        return [each for each in _stanza(live)["backup"] if each["type"] == "full" and not each.get("error")]

    assert eventually(full, 120, "the first full backup", interval=3)


@pytest.mark.item("backup-daily-full", "backup-hourly-incremental")
def test_prometheus_knows_when_the_newest_backups_ended(
    live: KubernetesLive, prometheus: httpx.Client, eventually: Callable[..., Any]
) -> None:
    def measured() -> dict[str, float]:
        answer = prometheus.get("/api/v1/query", params={"query": "backup_newest_end_seconds"}).json()
        return {each["metric"]["type"]: float(each["value"][1]) for each in answer["data"]["result"]}

    def held() -> dict[str, float]:
        whole = [each for each in _stanza(live)["backup"] if not each.get("error")]
        ends = [(each["type"], each["timestamp"]["stop"]) for each in whole]
        return {"any": max(end for _, end in ends), "full": max(end for kind, end in ends if kind == "full")}

    eventually(lambda: measured() == held(), 120, "the ends of the newest backups in Prometheus", interval=5)


@pytest.mark.item("backup-automated-running")
def test_backups_are_encrypted(live: KubernetesLive) -> None:
    assert {each["cipher"] for each in _stanza(live)["repo"]} == {"aes-256-cbc"}


def _stanza(live: KubernetesLive) -> dict[str, Any]:
    """What the repository holds of the one database."""
    found = json.loads(live.host("backups").check_output("pgbackrest info --output=json"))
    assert len(found) == 1, f"the repository knows {len(found)} databases: {[each.get('name') for each in found]}"
    return dict(found[0])

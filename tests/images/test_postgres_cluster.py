"""A member of a Postgres cluster: who gets in, what each login may do, rotation, and programs that are killed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from docker.models.containers import Container

from tests.images.containers import logs, run, wait_until
from tests.images.postgres_cluster import (
    PASSWORDS,
    SETTINGS,
    Cluster,
    cluster,
    over_tls,
    processes,
    replace_files,
    sql,
    wait_primary,
)

pytestmark = pytest.mark.ring("images")

ALIVE = "/tmp/alive"  # noqa: S108 - a path inside the container
ASK_REST = """
import http.client, ssl, sys
method, path, proof = sys.argv[1:]
trust = ssl.create_default_context(cafile="/config/secrets/ca.crt")
if proof == "with":
    trust.load_cert_chain("/config/secrets/tls.crt", "/config/secrets/tls.key")
asked = http.client.HTTPSConnection("postgres", 8008, timeout=10, context=trust)
asked.request(method, path, body="{}")
print(asked.getresponse().status)
"""
HOLD = """
import os, psycopg2, time
held = psycopg2.connect(host="postgres", dbname="workflow_prod", user="api_2", sslmode="verify-full",
    sslrootcert="/config/secrets/ca.crt", sslcert="/config/secrets/tls.crt", sslkey="/config/secrets/tls.key")
held.autocommit = True
asked = held.cursor()
for _ in range(1200):
    asked.execute("SELECT pg_backend_pid()")
    open("/tmp/alive", "w").write(f"{asked.fetchone()[0]} {_}")
    time.sleep(0.1)
"""
SERIAL = """
import socket, ssl, struct
raw = socket.create_connection(("postgres", 5432), 10)
raw.sendall(struct.pack("!ii", 8, 80877103))
assert raw.recv(1) == b"S"
trust = ssl.create_default_context(cafile="/config/secrets/ca.crt")
print(trust.wrap_socket(raw, server_hostname="postgres").getpeercert()["serialNumber"])
"""


@dataclass
class Live:
    """A cluster whose roles are there, and a program that uses it."""

    cluster: Cluster
    member: Container
    api: Container


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with cluster() as made:
        member = made.member()
        wait_primary(member)
        code, said = made.roles(1)
        assert code == 0, said
        # Twice, as a job that is tried again would.
        code, said = made.roles(2)
        assert code == 0, said
        yield Live(made, member, made.client("api"))


@pytest.mark.item("postgres-reachable")
def test_a_program_gets_in_with_its_certificate_and_its_password(live: Live) -> None:
    assert over_tls(live.api, "api_2", "SELECT current_user") == (0, "api_2")
    assert over_tls(live.api, "api_1", "SELECT current_user") == (0, "api_1")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"PGSSLMODE": "disable"}, "no encryption"),
        ({"PGSSLCERT": "/nowhere", "PGSSLKEY": "/nowhere"}, "client certificate"),
        ({"PGPASSWORD": "wrong"}, "password authentication failed"),
        ({"PGDATABASE": "postgres"}, "no pg_hba.conf entry"),
        ({"PGUSER": "postgres"}, "certificate authentication failed"),
        ({"PGUSER": "rewinder", "PGDATABASE": "postgres"}, "certificate authentication failed"),
    ],
)
def test_without_one_of_its_proofs_a_program_is_refused(live: Live, changed: dict[str, str], reason: str) -> None:
    code, said = over_tls(live.api, "api_2", **changed)
    assert code != 0
    assert reason in said


def test_a_certificate_of_somebody_else_is_refused_even_with_the_password(live: Live) -> None:
    stranger = live.cluster.client("api", live.cluster.foreign)
    code, said = over_tls(stranger, "api_2")
    assert code != 0
    assert re.search("unknown ca|certificate verify failed|alert", said), said


def test_no_rule_trusts_and_none_allows_plain_text(live: Live) -> None:
    rules = sql(live.member, "SELECT DISTINCT type || ' ' || auth_method FROM pg_hba_file_rules ORDER BY 1")
    assert set(rules.splitlines()) == {"local peer", "hostssl cert", "hostssl scram-sha-256"}
    assert sql(live.member, "SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL") == "0"


def test_the_server_has_the_settings_of_the_stack(live: Live) -> None:
    wanted = {
        "max_connections": str(SETTINGS.max_connections),
        "shared_buffers": f"{SETTINGS.shared_buffers}MB",
        "ssl_min_protocol_version": "TLSv1.2",
        "password_encryption": "scram-sha-256",
        "data_checksums": "on",
        "archive_mode": "on",
        "wal_level": "replica",
        "log_statement": "none",
        "pg_stat_statements.track_utility": "off",
        "idle_in_transaction_session_timeout": "1min",
        "log_parameter_max_length": "0",
    }
    assert {name: sql(live.member, f"SHOW {name}") for name in wanted} == wanted


def test_only_migrations_change_the_schema_and_what_they_make_is_the_owners(live: Live) -> None:
    for program in ("api", "relay", "executor"):
        code, said = over_tls(live.api, f"{program}_2", "CREATE TABLE public.mine (id int)")
        assert code != 0
        assert "permission denied" in said
        assert over_tls(live.api, f"{program}_2", "CREATE TEMPORARY TABLE mine (id int)")[0] != 0
    assert over_tls(live.api, "migrations_2", "CREATE TABLE made (id int)")[0] == 0
    assert sql(live.member, "SELECT tableowner FROM pg_tables WHERE tablename = 'made'", "workflow_prod") == (
        "workflow_owner"
    )
    assert "permission denied" in over_tls(live.api, "api_2", "SELECT * FROM made")[1]


def test_the_exporter_sees_figures_and_no_data(live: Live) -> None:
    assert over_tls(live.api, "monitoring_2", "SELECT count(*) > 0 FROM pg_stat_statements")[1] == "t"
    over_tls(live.api, "migrations_2", "CREATE TABLE IF NOT EXISTS hidden (id int)")
    assert "permission denied" in over_tls(live.api, "monitoring_2", "SELECT * FROM hidden")[1]


def test_no_login_has_a_right_on_the_server_itself(live: Live) -> None:
    rights = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    found = sql(live.member, f"SELECT rolname FROM pg_roles WHERE {rights} ORDER BY 1").splitlines()  # noqa: S608
    assert found == ["postgres", "replicator"]
    with_password = "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname !~ '_[0-9]+$'"
    assert sql(live.member, with_password) == "0"


def test_passwords_appear_in_no_log_argument_or_statistic(live: Live) -> None:
    shown = logs(live.member)
    shown += run(live.member, "bash", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true")
    shown += sql(live.member, "SELECT query FROM pg_stat_statements")
    assert not [login for login, password in PASSWORDS.items() if password in shown]
    assert "SCRAM-SHA-256$" not in shown


def test_a_third_generation_removes_the_first_and_ends_its_sessions(live: Live) -> None:
    assert live.cluster.roles(3) == (0, "")
    assert over_tls(live.api, "api_3")[0] == 0
    assert over_tls(live.api, "api_2")[0] == 0
    assert over_tls(live.api, "api_1")[0] != 0
    assert sql(live.member, "SELECT count(*) FROM pg_roles WHERE rolname ~ '_1$'") == "0"


def test_a_missing_password_stops_the_roles_job_before_it_changes_anything(live: Live) -> None:
    code, said = live.cluster.roles(2, **{"secrets/relay_1": " \n"})
    assert code == 64
    assert "password file /config/secrets/relay_1 is missing or empty" in said


@pytest.mark.parametrize(
    ("method", "path", "proof", "status"),
    [
        ("GET", "/readiness", "without", "200"),
        ("GET", "/metrics", "without", "200"),
        ("POST", "/restart", "without", "403"),
        ("PATCH", "/config", "with", "403"),
    ],
)
def test_everybody_may_ask_a_member_and_only_members_may_change_it(
    live: Live, method: str, path: str, proof: str, status: str
) -> None:
    assert run(live.api, "python3", "-c", ASK_REST, method, path, proof).strip() == status


@pytest.mark.item("tls-certificates-valid")
def test_a_new_certificate_is_shown_without_a_restart_and_open_sessions_live_on(live: Live) -> None:
    before = run(live.api, "python3", "-c", SERIAL)
    live.api.exec_run(["python3", "-c", HOLD], environment={"PGPASSWORD": PASSWORDS["api_2"]}, detach=True)
    wait_until(lambda: live.api.exec_run(["test", "-s", ALIVE]).exit_code == 0, "a session")
    session = run(live.api, "cat", ALIVE).split()[0]
    replace_files(live.member, live.cluster.identity("postgres"))
    wait_until(lambda: run(live.api, "python3", "-c", SERIAL) != before, "the new certificate", seconds=30)
    _, beat = run(live.api, "cat", ALIVE).split()
    wait_until(lambda: int(run(live.api, "cat", ALIVE).split()[1]) > int(beat), "a sign of the old session")
    assert run(live.api, "cat", ALIVE).split()[0] == session


@pytest.mark.parametrize("command", ["/usr/bin/python3 /usr/bin/patroni /config", "pgbackrest server"])
def test_a_killed_helper_comes_back_and_the_server_does_not_notice(live: Live, command: str) -> None:
    killed = processes(live.member, command)
    began = sql(live.member, "SELECT pg_postmaster_start_time()")
    run(live.member, "bash", "-c", f"kill -9 {' '.join(killed)}")
    wait_until(lambda: bool(set(processes(live.member, command)) - set(killed)), f"another {command}", seconds=30)
    ask = ["python3", "-c", ASK_REST, "GET", "/primary", "without"]
    wait_until(lambda: bytes(live.api.exec_run(ask).output).strip() == b"200", "a primary that says so", seconds=60)
    assert sql(live.member, "SELECT pg_postmaster_start_time()") == began


def test_a_stop_is_clean(live: Live) -> None:
    live.member.stop(timeout=60)
    live.member.reload()
    assert live.member.attrs["State"]["ExitCode"] == 0
    assert "database system is shut down" in logs(live.member)

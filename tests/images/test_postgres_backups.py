"""Backups over pgBackRest's TLS: first backup, encryption, who gets in, restore to the newest state and to a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from docker.models.containers import Container

from tests.images.containers import logs, run, wait_until
from tests.images.postgres_cluster import DATABASE, PASSPHRASE, Cluster, cluster, over_tls, processes, sql, wait_primary

pytestmark = pytest.mark.ring("images")

INFO = ["pgbackrest", "--stanza=workflow", "--output=json", "info"]


@dataclass
class Live:
    """A cluster with a repository that has its first backup."""

    cluster: Cluster
    member: Container
    backups: Container

    def info(self) -> Any:
        """What the repository holds."""
        answer = json.loads(run(self.backups, *INFO))
        return answer[0] if answer else {"backup": []}

    def archived(self) -> None:
        """Wait until all that is committed by now is in the repository."""
        segment = sql(self.member, "SELECT pg_walfile_name(pg_switch_wal())")
        ask = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"  # noqa: S608
        wait_until(lambda: sql(self.member, ask) == "t", f"{segment} in the archive")

    def drill(self, *arguments: str) -> Any:
        """What a copy restored on the repository's host holds, with nothing to compare it with."""
        said = run(self.backups, "restore-drill", "--database", DATABASE, *arguments)
        return json.loads(said.splitlines()[-1])

    def compared(self, *arguments: str) -> tuple[int, Any]:
        """Exit code and report of a drill that compares with the live database."""
        code, said = self.cluster.drill(self.backups).exec_run(["restore-drill", *arguments])
        text = bytes(said).decode(errors="replace")
        assert code in {0, 3}, text
        return code, json.loads(text.splitlines()[-1])


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with cluster() as made:
        # The repository's host comes first and waits for a primary, as it may in a stack.
        backups = made.backups()
        member = made.member()
        wait_primary(member)
        code, said = made.roles(1)
        assert code == 0, said
        found = Live(made, member, backups)

        def first() -> bool:
            code, said = backups.exec_run(INFO)
            return code == 0 and b'"label"' in said

        wait_until(first, "the first backup")
        wait_until(lambda: not processes(backups, "/bin/bash /usr/local/bin/backup-run"), "the first backup's end")
        yield found


@pytest.mark.item("backup-daily-full")
def test_the_first_full_backup_is_made_without_being_asked(live: Live) -> None:
    assert [each["type"] for each in live.info()["backup"]] == ["full"]


@pytest.mark.item("backup-hourly-incremental")
def test_an_incremental_backup_builds_on_the_full_one(live: Live) -> None:
    run(live.backups, "backup-run", "incr")
    assert [each["type"] for each in live.info()["backup"]][:2] == ["full", "incr"]


def test_the_repository_is_encrypted(live: Live) -> None:
    assert live.info()["cipher"] == "aes-256-cbc"
    sql(live.member, "CREATE TABLE IF NOT EXISTS readable AS SELECT 'a sentence that can be found' AS it", DATABASE)
    sql(live.member, "CHECKPOINT")
    live.archived()
    run(live.backups, "backup-run", "incr")
    found = run(
        live.backups, "bash", "-c", "grep -rlaE 'can be found|PG_VERSION|backup-label' /var/lib/pgbackrest | wc -l"
    )
    assert found.strip() == "0"


def test_the_passphrase_is_in_no_log_and_no_argument(live: Live) -> None:
    for container in (live.backups, live.member):
        shown = logs(container)
        shown += run(container, "bash", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null; true")
        assert PASSPHRASE not in shown


def test_another_part_gets_nothing_from_the_repository(live: Live) -> None:
    config = run(live.member, "cat", "/config/pgbackrest.conf")
    for authority in (None, live.cluster.foreign):
        stranger = live.cluster.client("api", authority)
        run(stranger, "bash", "-c", f"cat > /tmp/c <<'END'\n{config}\nEND")
        code, said = stranger.exec_run([*INFO[:-1], "--config=/tmp/c", "info"])
        text = bytes(said).decode()
        assert code != 0 or '"backup":[]' in text.replace(" ", ""), text
        assert "label" not in text


def table(report: Any, name: str) -> Any:
    """What a drill's report says of one table."""
    return next(each for each in report["tables"] if each["table"] == name)


@pytest.mark.item("backup-restore-tested")
def test_a_drill_restores_the_newest_state_and_any_time_before(live: Live) -> None:
    client = live.cluster.client("migrations")

    def add(rows: int) -> None:
        statement = f"INSERT INTO kept SELECT clock_timestamp() FROM generate_series(1, {rows})"  # noqa: S608
        assert over_tls(client, "migrations_1", statement)[0] == 0

    assert over_tls(client, "migrations_1", "CREATE TABLE kept (at timestamptz)")[0] == 0
    add(3)
    between = sql(live.member, "SELECT to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'")
    newest = sql(live.member, "SELECT max(at)::text FROM kept", DATABASE)
    add(4)
    live.archived()

    latest = live.drill()
    assert table(latest, "kept")["restored"]["rows"] == 7
    assert (latest["target"], latest["compared"], latest["same"]) == ({"kind": "latest"}, False, None)
    earlier = live.drill("--to", between)
    assert table(earlier, "kept")["restored"] == {"rows": 3, "newest": {"at": newest}}
    assert run(live.backups, "bash", "-c", "ls -d /var/lib/pgbackrest/.drill-* 2>/dev/null; true") == ""
    assert sql(live.member, "SELECT count(*) FROM kept", DATABASE) == "7"


@pytest.mark.item("backup-restore-tested", "data-recovery-procedure-tested")
def test_while_rows_are_written_a_drill_compares_every_table_exactly(live: Live) -> None:
    client = live.cluster.client("migrations")
    assert over_tls(client, "migrations_1", "CREATE TABLE busy (id serial PRIMARY KEY, n int DEFAULT 0)")[0] == 0
    ask = f"PGAPPNAME=writer psql -XAtqw -U postgres -d {DATABASE}"
    for writer in range(4):
        own = f"id % 4 = {writer}"
        change = f"UPDATE busy SET n = n + 1 WHERE {own}; DELETE FROM busy WHERE {own} AND n > 9"  # noqa: S608
        work = f"INSERT INTO busy DEFAULT VALUES; {change}; SELECT pg_sleep(0.01);"
        lines = f"for i in {{1..9999}}; do echo '{work}'; done"
        live.member.exec_run(["bash", "-c", f"{lines} | {ask}"], detach=True)
    written = "SELECT coalesce(max(id), 0) FROM busy"
    wait_until(lambda: int(sql(live.member, written, DATABASE)) > 20, "rows being written")
    before = int(sql(live.member, written, DATABASE))
    code, report = live.compared()
    assert int(sql(live.member, written, DATABASE)) > before + 20, "hardly anything was written meanwhile"
    # The writers are ended, so that no archiving is under way when the next test makes a backup.
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writer'"
    assert sql(live.member, ended) == "\n".join(4 * "t"), "the writers had ended before the drill did"
    live.archived()
    assert (code, report["same"]) == (0, True), report
    assert {each["compared"] for each in report["tables"]} == {"everything"}
    assert report["target"]["name"] in report["reached"]["stopped"]
    assert table(report, "busy")["restored"]["rows"] > 0


@pytest.mark.item("backup-restore-tested")
def test_of_an_earlier_time_a_drill_finds_the_row_that_is_gone_since(live: Live) -> None:
    client = live.cluster.client("migrations")
    make = "CREATE TABLE noted (id int, at timestamptz NOT NULL DEFAULT now()); "
    make += "INSERT INTO noted SELECT g, now() - interval '5 minutes' FROM generate_series(1, 5) g"
    assert over_tls(client, "migrations_1", make)[0] == 0
    then = sql(live.member, "SELECT to_char(clock_timestamp(), 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '+00:00'")
    assert over_tls(client, "migrations_1", "INSERT INTO noted VALUES (6)")[0] == 0
    code, report = live.compared("--to", then)
    assert (code, table(report, "noted")["same"], table(report, "noted")["restored"]["rows"]) == (0, True, 5), report
    assert over_tls(client, "migrations_1", "DELETE FROM noted WHERE id = 2")[0] == 0
    code, report = live.compared("--to", then)
    assert (code, report["same"]) == (3, False)
    assert table(report, "noted")["why"] == "4 rows live, 5 restored"


@pytest.mark.item("role-permissions-enforced")
def test_the_drill_reads_and_marks_and_may_do_nothing_else(live: Live) -> None:
    pod = live.cluster.drill(live.backups)
    assert over_tls(pod, "restore_drill", "SELECT pg_create_restore_point('x') IS NOT NULL") == (0, "t")
    for forbidden in (
        "CREATE TABLE own (x int)",
        "DELETE FROM kept",
        "SELECT pg_read_file('/etc/passwd')",
        "CHECKPOINT",
    ):
        code, said = over_tls(pod, "restore_drill", forbidden)
        assert (code, "denied" in said or "superuser" in said or "must be" in said) == (1, True), said
    for other in ("postgres", "replicator", "migrations_1"):
        assert over_tls(pod, other, PGPASSWORD="")[0] != 0, other
    assert over_tls(live.cluster.client("api"), "restore_drill")[0] != 0


def test_a_drill_to_a_time_that_is_not_in_the_archive_says_so(live: Live) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    code, said = live.backups.exec_run(["restore-drill", "--database", DATABASE, "--to", tomorrow, "--limit", "60"])
    assert code == 1
    assert "recovery ended before configured recovery target was reached" in bytes(said).decode()


@pytest.mark.item("backup-retention")
def test_a_full_backup_that_the_retention_does_not_want_is_deleted(live: Live) -> None:
    before = live.info()["backup"][0]["label"]
    run(live.backups, "backup-run", "full")
    left = [each["label"] for each in live.info()["backup"]]
    # Both are of the same day, and only the newest of a day is kept.
    assert before not in left
    assert len(left) == 1

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
        """What a restored copy holds of the table `kept`."""
        said = run(self.backups, "restore-drill", "--database", DATABASE, "--table", "kept:at", *arguments)
        return json.loads(said.splitlines()[-1])


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
    assert latest["tables"]["kept"]["rows"] == 7
    assert latest["target"] == "latest"
    earlier = live.drill("--time", between)
    assert earlier["tables"]["kept"]["rows"] == 3
    assert earlier["tables"]["kept"]["newest"].replace("T", " ").startswith(newest.removesuffix("+00"))
    assert run(live.backups, "bash", "-c", "ls -d /var/lib/pgbackrest/.drill-* 2>/dev/null; true") == ""
    assert sql(live.member, "SELECT count(*) FROM kept", DATABASE) == "7"


def test_a_drill_to_a_time_that_is_not_in_the_archive_says_so(live: Live) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    code, said = live.backups.exec_run(["restore-drill", "--database", DATABASE, "--time", tomorrow, "--limit", "60"])
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

"""The image's restore drill: at which point it compares, with which backup, and what counts as the same."""

import itertools
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.postgres.drill_modules import drill_modules

pytestmark = [pytest.mark.ring("unit"), pytest.mark.item("backup-restore-tested")]

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def drill() -> Iterator[Any]:
    """The modules' names in one place."""
    with drill_modules() as found:
        yield type("Drill", (), {name: value for module in found.values() for name, value in vars(module).items()})


class Session:
    """A server that answers the drill's statements from what a test tells it."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.rolled_back = 0

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def cursor(self) -> "Session":
        return self

    def rollback(self) -> None:
        self.rolled_back += 1

    def execute(self, statement: str, _values: Any = None) -> None:
        name = next(key for key in self.answers if key in statement)
        answer = self.answers[name]
        self.asked.append(name)
        self._found = next(answer) if isinstance(answer, Iterator) else answer

    def fetchone(self) -> Any:
        return self._found[0]

    def fetchall(self) -> Any:
        return self._found


def no_pause(_seconds: float) -> None:
    pass


def ticking(step: float = 0.1) -> Callable[[], float]:
    ticks = itertools.count()
    return lambda: next(ticks) * step


def test_the_point_is_made_when_nobody_is_about_to_commit(drill: Any) -> None:
    busy, quiet = [("7",)], []
    witness = Session(pg_locks=iter([quiet, busy, busy, quiet, quiet]), pg_current_snapshot=[("9:9:",)])
    reader = Session(pg_create_restore_point=[("9:9:", "0/1F000000", NOON)])
    point = drill.quiet_point(reader, witness, "drill", 30, ticking(), no_pause)
    assert (point.name, point.lsn, point.snapshot.end) == ("drill-1", "0/1F000000", 9)
    assert reader.rolled_back == 0


def test_a_commit_between_snapshot_and_point_makes_another_point(drill: Any) -> None:
    witness = Session(pg_locks=[], pg_current_snapshot=iter([[("10:10:",)], [("10:10:",)]]))
    points = [[("9:9:", "0/1F000000", NOON)], [("10:10:", "0/1F000100", NOON)]]
    reader = Session(pg_create_restore_point=iter(points))
    point = drill.quiet_point(reader, witness, "drill", 30, ticking(), no_pause)
    assert point.name == "drill-2"
    assert reader.rolled_back == 1


def test_a_long_transaction_does_not_keep_the_drill_from_its_point(drill: Any) -> None:
    witness = Session(pg_locks=[("7",)], pg_current_snapshot=[("7:9:7",)])
    reader = Session(pg_create_restore_point=[("7:9:7", "0/1F000000", NOON)])
    point = drill.quiet_point(reader, witness, "drill", 30, ticking(1), no_pause)
    assert point.snapshot.unfinished == (7,)


def test_without_a_quiet_moment_the_drill_says_so(drill: Any) -> None:
    numbers = itertools.count()
    witness = Session(pg_locks=([(str(next(numbers)),)] for _ in itertools.count()))
    with pytest.raises(drill.DrillError, match="always a transaction about to commit"):
        drill.quiet_point(Session(), witness, "drill", 30, ticking(1), no_pause)


def test_a_log_that_is_not_archived_ends_the_drill(drill: Any) -> None:
    witness = Session(pg_stat_archiver=[(False, True)])
    with pytest.raises(drill.DrillError, match="did not archive 000A within 5 s; its last attempt failed"):
        drill.wait_archived(witness, "000A", 5, ticking(1), no_pause)


def backup(label: str, stop: datetime, lsn: str, **more: Any) -> dict[str, Any]:
    return {"label": label, "timestamp": {"stop": stop.timestamp()}, "lsn": {"stop": lsn}, **more}


def history() -> list[dict[str, Any]]:
    """Three backups, an hour apart, the last of them damaged."""
    return [
        backup("first", NOON - timedelta(hours=2), "0/5000000"),
        backup("second", NOON - timedelta(hours=1), "0/FF000000"),
        backup("third", NOON, "1/0", error=True),
    ]


def test_the_newest_whole_backup_is_taken(drill: Any) -> None:
    assert drill.chosen(history(), None)["label"] == "second"


def test_for_an_earlier_time_an_earlier_backup_is_taken(drill: Any) -> None:
    assert drill.chosen(history(), NOON - timedelta(minutes=61))["label"] == "first"


@pytest.mark.parametrize(("lsn", "label"), [("0/FE000000", "first"), ("0/FF000000", "second"), ("1/1", "second")])
def test_a_backup_that_ended_after_the_point_is_not_taken(drill: Any, lsn: str, label: str) -> None:
    point = drill.Point("drill-1", lsn, NOON, drill.Snapshot(1, ()))
    assert drill.chosen(history(), point)["label"] == label


def test_a_time_before_all_backups_is_refused_with_the_oldest(drill: Any) -> None:
    with pytest.raises(drill.DrillError, match=r"ended before 2026-03-30.*the oldest ended at 2026-03-31T10:00"):
        drill.chosen(history(), NOON - timedelta(days=1))
    with pytest.raises(drill.DrillError, match=r"no backup that ended that could be used$"):
        drill.chosen([], None)


def test_a_restore_to_a_point_names_it_and_one_to_a_time_gives_its_zone(drill: Any) -> None:
    point = drill.Point("drill-1", "0/1", NOON, drill.Snapshot(1, ()))
    assert {"--set=first", "--type=name", "--target=drill-1"} <= set(drill.restore_command("first", point))
    assert "--target=2026-03-31 12:00:00.000000+00:00" in drill.restore_command("first", NOON)
    assert not [word for word in drill.restore_command("first", None) if "target" in word]


def test_the_scratch_server_knows_no_live_host(drill: Any) -> None:
    text = "[global]\nrepo1-path=/r\ntls-server-port=1\n[workflow]\npg1-host=live\npg2-host=live\n"
    assert drill.config_without_hosts(text, Path("/s")) == "[global]\nrepo1-path=/r\n[workflow]\npg1-path=/s\n"


def table(drill: Any, name: str = "runs", *, inserted: str | None = "created_at", deletable: bool = False) -> Any:
    return drill.Table("public", name, ("created_at",), inserted, deletable)


def figures(drill: Any, rows: int = 3, content: int = 1, newest: str = "2026-03-31 12:00:00+00") -> Any:
    return drill.Figures(rows, content, {"created_at": newest})


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"rows": 2}, "3 rows live, 2 restored"),
        ({"newest": "2026-03-31 11:00:00+00"}, "the newest created_at is 2026-03-31 12:00:00+00 live, 2026-03-31 11"),
        ({"content": 2}, "as many rows, with another content"),
    ],
)
def test_rows_newest_times_and_content_must_be_the_same(drill: Any, changed: dict[str, Any], why: str) -> None:
    (entry,) = drill.compared_now({table(drill): figures(drill)}, {table(drill): figures(drill, **changed)})
    assert entry["same"] is (not why)
    assert entry["why"].startswith(why)
    assert bool(why) == bool(drill.differing([entry]))


def test_a_table_that_is_missing_differs(drill: Any) -> None:
    live = {table(drill): figures(drill), table(drill, "users"): figures(drill)}
    entries = drill.compared_now(live, {table(drill): figures(drill)})
    assert drill.differing(entries) == ["users"]


def test_of_an_earlier_time_only_rows_that_nobody_deletes_are_judged(drill: Any) -> None:
    known = [
        table(drill), table(drill, "outbox", deletable=True), table(drill, "settings", inserted=None),
    ]  # fmt: skip
    live = {each: figures(drill, rows=3, content=1) for each in known}
    restored = {each: figures(drill, rows=3 if each.name == "runs" else 9, content=2) for each in known}
    entries = {each["table"]: each for each in drill.compared_until(NOON, live, restored)}
    assert {name: each["same"] for name, each in entries.items()} == {"runs": True, "outbox": None, "settings": None}
    assert entries["runs"]["compared"] == "rows up to 2026-03-31T12:00:00+00:00"
    assert entries["outbox"]["restored"]["rows"] == 9


def test_of_an_earlier_time_a_missing_row_differs(drill: Any) -> None:
    entries = drill.compared_until(NOON, {table(drill): figures(drill)}, {table(drill): figures(drill, rows=2)})
    assert drill.differing(entries) == ["runs"]


def test_a_tables_content_leaves_the_server_only_as_one_number(drill: Any) -> None:
    said = json.dumps(drill.compared_now({table(drill): figures(drill)}, {table(drill): figures(drill, content=77)}))
    assert "77" not in said


def test_odd_names_are_quoted(drill: Any) -> None:
    session = Session(hashtextextended=[(0, None, None)])
    odd = drill.Table("Odd", 'a"b', ("the time",))
    assert odd.name == 'Odd.a"b'
    assert drill.figures_of(session, odd).rows == 0
    assert drill.quoted(odd.relation) == '"a""b"'


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(["--to", "2026-03-31T12:00:00"], "needs an offset"), (["--to", "noon"], "invalid"), ([], "--database is needed")],
)
def test_a_command_line_that_says_too_little_is_refused(
    drill: Any, arguments: list[str], why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("POSTGRES_DB", raising=False)
    given = [*arguments, "--database", "x"] if arguments else []
    with pytest.raises(SystemExit) as refused:
        drill.parse(given)
    assert refused.value.code == 2
    assert why in capsys.readouterr().err


def test_what_a_pod_is_told_by_its_environment_needs_no_arguments(drill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"POSTGRES_DB": "d", "PGHOST": "postgres", "DRILL_SCRATCH": "/var/lib/drill"}.items():
        monkeypatch.setenv(name, value)
    found = drill.parse([])
    assert (found.database, found.live, found.scratch, found.to) == ("d", "postgres", "/var/lib/drill", None)

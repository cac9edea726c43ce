"""The commands of backups on a toy cluster: what runs, what is listed, proved and recorded, and each refusal."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.postgres import names
from ops import backups, cli, cli_backup
from ops.errors import OperatorError
from ops.home import Home
from ops.live_kubernetes import KubernetesStack
from ops.restore_drill import drill, drill_lines, point_in_time

pytestmark = [pytest.mark.ring("unit"), pytest.mark.item("backup-restore-tested")]


def info(label: str = "20260331-011500F", kind: str = "full") -> dict[str, Any]:
    return {
        "label": label,
        "type": kind,
        "error": False,
        "timestamp": {"start": 1774919700, "stop": 1774919714},
        "info": {"size": 31 * 1024**2, "repository": {"size": 4 * 1024**2, "delta": 1024**2}},
    }


REPORT: dict[str, Any] = {
    "database": "d",
    "startedAt": "2026-03-31T12:00:00+00:00",
    "endedAt": "2026-03-31T12:00:09+00:00",
    "target": {"kind": "point", "name": "drill-1", "lsn": "0/1C2C2850", "time": "2026-03-31T12:00:01+00:00"},
    "reached": {"lastTransaction": "2026-03-31T11:59:59+00:00", "stopped": 'at restore point "drill-1"'},
    "backup": {
        "label": "20260331-011500F", "type": "full", "endedAt": "2026-03-31T01:15:14+00:00",
        "databaseBytes": 31 * 1024**2, "repositoryBytes": 4 * 1024**2,
    },
    "restoredBytes": 40 * 1024**2,
    "seconds": {"live": 1.6, "restore": 2.1, "recovery": 4.5, "comparison": 0.5, "total": 8.8},
    "compared": True,
    "same": True,
    "tables": [
        {
            "table": "runs", "compared": "everything", "same": True, "why": "",
            "live": {"rows": 3, "newest": {"created_at": "2026-03-31 11:59:59+00"}},
            "restored": {"rows": 3, "newest": {"created_at": "2026-03-31 11:59:59+00"}},
        }
    ],
}  # fmt: skip


def differing() -> dict[str, Any]:
    runs = {**REPORT["tables"][0], "same": False, "why": "3 rows live, 2 restored"}
    return {**REPORT, "same": False, "tables": [runs]}


class Toy:
    """A stack whose jobs say what a test tells them; `ran` is what was asked for."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, tuple[str, ...] | None]] = []
        self.says: dict[str, tuple[int, list[str]]] = {}
        self.listed: list[dict[str, Any]] = [info()]
        self.jobs = {"backup-full", "backup-incremental", "restore-drill"}
        self.closed = 0

    def has_job(self, part: str) -> bool:
        return part in self.jobs

    def run_again(
        self,
        part: str,
        write: Callable[[str], None],
        arguments: Sequence[str] | None = None,
        seconds: float = 0,
    ) -> tuple[int, str]:
        self.ran.append((part, tuple(arguments) if arguments else None))
        asked_for_list = bool(arguments) and arguments[0] == "pgbackrest"  # type: ignore[index]
        code, lines = (0, [json.dumps([{"backup": self.listed}])]) if asked_for_list else self.says.get(part, (0, []))
        for line in lines:
            write(line)
        return code, "BackoffLimitExceeded: it failed" if code else ""

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy()
    monkeypatch.setattr(KubernetesStack, "of", lambda *_: made)
    return made


@pytest.fixture
def described() -> SimpleNamespace:
    return SimpleNamespace(name="t", target="kubernetes", postgres=SimpleNamespace(provision=True))


@pytest.fixture
def context(tmp_path: Path, described: SimpleNamespace) -> Any:
    from ops.console import Progress

    record = SimpleNamespace(write=lambda _line: None)
    return SimpleNamespace(
        home=Home(tmp_path), progress=Progress(), record=record, log="a log", stack=lambda _name: described
    )


def test_the_schedules_have_the_names_that_the_program_gives_them() -> None:
    given = (names.FULL_BACKUP, names.INCREMENTAL_BACKUP, names.RESTORE_DRILL)
    assert given == (backups.FULL, backups.INCREMENTAL, backups.DRILL)


@pytest.mark.parametrize(("full", "part"), [(True, "backup-full"), (False, "backup-incremental")])
def test_a_backup_is_a_run_of_its_schedule_and_then_the_list(toy: Toy, context: Any, full: bool, part: str) -> None:
    toy.listed.append(info("20260331-011500F_20260331-124500I", "incr"))
    made, found = backups.back_up(context, "t", full)
    assert toy.ran == [(part, None), ("backup-full", backups.LIST)]
    assert made == "20260331-011500F_20260331-124500I"
    assert [each.kind for each in found] == ["full", "incr"]
    assert toy.closed == 1


def test_listing_makes_no_backup(toy: Toy, context: Any) -> None:
    (found,) = backups.backups_of(context, "t")
    assert toy.ran == [("backup-full", backups.LIST)]
    assert found.as_json() == {
        "label": "20260331-011500F", "type": "full", "startedAt": "2026-03-31T01:15:00+00:00",
        "endedAt": "2026-03-31T01:15:14+00:00", "databaseBytes": 31 * 1024**2, "repositoryBytes": 1024**2,
        "faulty": False,
    }  # fmt: skip


def test_a_backup_that_fails_is_told_with_its_last_words(toy: Toy, context: Any) -> None:
    toy.says["backup-incremental"] = (75, ["backup-run: another backup has been running for 10 minutes"])
    with pytest.raises(OperatorError, match="the backup failed: backup-run: another backup has been running"):
        backups.back_up(context, "t", full=False)
    assert toy.closed == 1


def test_a_repository_that_tells_nothing_is_no_empty_one(toy: Toy, context: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(toy, "run_again", lambda *_: (0, ""))
    with pytest.raises(OperatorError, match="the repository can't be read"):
        backups.backups_of(context, "t")


def test_a_stack_without_a_cluster_is_refused_with_what_to_do(toy: Toy, context: Any, described: Any) -> None:
    described.target = "docker"
    for command in (lambda: backups.back_up(context, "t", full=True), lambda: drill(context, "t", None)):
        with pytest.raises(OperatorError, match="is on docker and keeps no backups") as refused:
            command()
        assert refused.value.mend == "name one of those, say prod"
    assert toy.ran == []


def test_backups_of_somebody_elses_server_are_somebody_elses(toy: Toy, context: Any, described: Any) -> None:
    described.postgres.provision = False
    with pytest.raises(OperatorError, match="run by somebody else"):
        drill(context, "t", None)


def test_a_stack_from_before_the_drill_is_to_be_deployed_first(toy: Toy, context: Any) -> None:
    toy.jobs.discard("restore-drill")
    with pytest.raises(OperatorError, match="no schedule restore-drill") as refused:
        drill(context, "t", None)
    assert refused.value.mend == "./deploy-api.sh up t"
    assert toy.closed == 1


@pytest.mark.item("data-recovery-procedure-tested")
def test_a_drill_to_now_runs_what_the_schedule_runs_and_is_recorded(toy: Toy, context: Any) -> None:
    toy.says["restore-drill"] = (0, ["restore-drill: restoring backup x", json.dumps(REPORT)])
    result = drill(context, "t", None)
    assert toy.ran == [("restore-drill", None)]
    assert result["passed"] is True
    (path,) = context.home.drills("t").iterdir()
    assert path.name == "20260331T120000Z.json"
    assert path.stat().st_mode & 0o077 == 0
    kept = json.loads(path.read_text())
    assert (kept["stack"], kept["startedAt"], kept["endedAt"]) == ("t", REPORT["startedAt"], REPORT["endedAt"])
    assert kept["target"] == REPORT["target"]


def test_a_drill_to_a_time_gives_the_time_with_its_zone(toy: Toy, context: Any) -> None:
    toy.says["restore-drill"] = (0, [json.dumps(REPORT)])
    drill(context, "t", datetime(2026, 3, 31, 12, tzinfo=UTC))
    assert toy.ran == [("restore-drill", ("restore-drill", "--to", "2026-03-31T12:00:00+00:00"))]


def test_a_difference_fails_the_drill_and_is_recorded_too(toy: Toy, context: Any) -> None:
    toy.says["restore-drill"] = (3, [json.dumps(differing())])
    result = drill(context, "t", None)
    assert result["passed"] is False
    assert drill_lines(result)[-1] == "FAILED        1 of 1 tables compared, 1 differ"
    assert len(list(context.home.drills("t").iterdir())) == 1


def test_a_drill_that_compared_nothing_proves_nothing(toy: Toy, context: Any) -> None:
    toy.says["restore-drill"] = (0, [json.dumps({**REPORT, "compared": False, "same": None})])
    assert drill(context, "t", None)["passed"] is False


def test_a_drill_that_could_not_be_done_is_told_with_the_servers_words(toy: Toy, context: Any) -> None:
    said = ["restore-drill: restoring backup x", "restore-drill: the restored server ended:", "FATAL:  no such file"]
    toy.says["restore-drill"] = (1, said)
    with pytest.raises(OperatorError) as refused:
        drill(context, "t", None)
    reason = "the drill could not be done: the restored server ended: FATAL: no such file"
    assert refused.value.reason == reason
    assert not context.home.drills("t").exists()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("yesterday", "is no time in the form of ISO 8601"),
        ("2026-01-31T12:00:00", "has no zone"),
        ("2999-01-31T12:00:00+00:00", "is still to come"),
    ],
)
def test_a_time_that_can_not_be_meant_is_refused(given: str, why: str) -> None:
    with pytest.raises(OperatorError, match=why):
        point_in_time(given)


def test_a_time_with_any_zone_is_taken() -> None:
    assert point_in_time(None) is None
    assert point_in_time("2026-01-31T12:00:00Z") == point_in_time("2026-01-31T13:00:00+01:00")


@pytest.mark.parametrize(("found", "code"), [(REPORT, 0), (differing(), 1)])
def test_the_command_ends_with_1_when_something_differs(
    found: dict[str, Any],
    code: int,
    toy: Toy,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toy.says["restore-drill"] = (0 if found["same"] else 3, [json.dumps(found)])
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli_backup, "context_of", lambda _command: context)
    assert cli.main(["restore-drill", "t", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["passed"] is (code == 0)
    assert cli.main(["restore-drill", "t"]) == code
    shown = capsys.readouterr().out
    assert "20260331-011500F" in shown
    assert "restore point drill-1 at 0/1C2C2850" in shown
    assert ("3 rows live, 2 restored" in shown) is (code == 1)


def test_the_list_is_for_people_and_for_programs(
    toy: Toy, context: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
    monkeypatch.setattr(cli_backup, "context_of", lambda _command: context)
    assert cli.main(["backup", "t", "--list", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["made"], [each["label"] for each in answer["backups"]]) == (None, ["20260331-011500F"])
    assert cli.main(["backup", "t", "--full"]) == 0
    shown = capsys.readouterr().out
    assert "31.0 MiB" in shown
    assert "made 20260331-011500F" in shown

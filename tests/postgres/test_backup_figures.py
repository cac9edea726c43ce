"""What the repository's host tells Prometheus of its backups."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from infra.postgres.names import BACKUP_FIGURES_PORT
from tests.infra.support import exposition

pytestmark = pytest.mark.ring("unit")

SCRIPT = Path(__file__).parents[2] / "images/postgres/files/usr/local/lib/workflow/backup_figures.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("backup_figures", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def backup(kind: str, end: int, error: bool = False) -> dict[str, Any]:
    return {"type": kind, "error": error, "timestamp": {"start": end - 60, "stop": end}}


def stanza(*backups: dict[str, Any], code: int = 0) -> list[dict[str, Any]]:
    return [{"name": "workflow", "status": {"code": code, "message": "-"}, "backup": list(backups)}]


@pytest.mark.item("backup-daily-full", "backup-hourly-incremental")
def test_the_newest_full_backup_and_the_newest_of_all_are_told(script: Any) -> None:
    told = stanza(backup("full", 100), backup("incr", 200), backup("full", 300), backup("incr", 400))
    metrics = exposition.parse(script.rendered(script.figures(told)))
    assert metrics.total("backup_newest_end_seconds", type="full") == 300
    assert metrics.total("backup_newest_end_seconds", type="any") == 400
    assert metrics.total("backup_repository_ok") == 1
    assert metrics.kind("backup_newest_end_seconds") == "gauge"


def test_a_full_backup_is_one_of_any_kind_too(script: Any) -> None:
    found = script.figures(stanza(backup("incr", 200), backup("full", 300)))
    assert found['backup_newest_end_seconds{type="any"}'] == 300


def test_a_damaged_backup_does_not_count(script: Any) -> None:
    found = script.figures(stanza(backup("full", 100), backup("full", 300, error=True)))
    assert found['backup_newest_end_seconds{type="full"}'] == 100


@pytest.mark.item("backup-automated-running")
@pytest.mark.parametrize(
    "told",
    [[], stanza(code=2), stanza(backup("full", 100), code=99), stanza(backup("full", 100, error=True))],
    ids=["no answer", "no backup", "not readable", "damaged only"],
)
def test_a_repository_without_a_whole_full_backup_is_not_in_order(script: Any, told: Any) -> None:
    assert exposition.parse(script.rendered(script.figures(told))).samples[0] == ("backup_repository_ok", {}, 0)


def test_what_pgbackrest_can_not_tell_is_said_in_the_log(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "INFO", ("sh", "-c", "echo no passphrase >&2; exit 41"))
    assert script.asked() == []
    assert "no passphrase" in capsys.readouterr().err


def test_prometheus_is_told_the_port_that_is_served(script: Any) -> None:
    assert script.PORT == BACKUP_FIGURES_PORT

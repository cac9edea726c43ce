"""Which full backups the image's retention keeps."""

import importlib.util
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.ring("unit")

SCRIPT = Path(__file__).parents[2] / "images/postgres/files/usr/local/lib/workflow/retention.py"


@pytest.fixture(scope="module")
def retention() -> Any:
    spec = importlib.util.spec_from_file_location("retention", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def daily(days: int) -> list[str]:
    """Labels of one full backup a day, the last on 2026-03-31."""
    last = datetime(2026, 3, 31, 1, 15)
    return [f"{last - timedelta(days=back):%Y%m%d-%H%M%SF}" for back in range(days)]


def test_days_weeks_and_months_each_keep_their_newest(retention: Any) -> None:
    kept = sorted(retention.kept(daily(365), daily=3, weekly=2, monthly=3), reverse=True)
    # Of the weeks 14 and 13, and of March, February and January.
    wanted = ["20260331", "20260330", "20260329", "20260228", "20260131"]
    assert [label[:8] for label in kept] == wanted


def test_of_several_on_one_day_the_newest_stays(retention: Any) -> None:
    kept = retention.kept(["20260331-011500F", "20260331-131500F"], daily=14, weekly=8, monthly=12)
    assert kept == {"20260331-131500F"}


def test_the_documented_retention_keeps_what_it_promises(retention: Any) -> None:
    labels = daily(500)
    kept = retention.kept(labels, daily=14, weekly=8, monthly=12)
    assert set(labels[:14]) <= kept
    assert len({retention.WEEK(retention.taken_at(label)) for label in kept}) >= 8
    assert len({label[:6] for label in kept}) == 12


def test_the_only_backup_is_never_deleted(retention: Any) -> None:
    assert retention.kept(["20200101-000000F"], daily=1, weekly=0, monthly=0) == {"20200101-000000F"}
    assert retention.kept([], daily=14, weekly=8, monthly=12) == set()

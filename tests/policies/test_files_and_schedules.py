"""How config files, schedules and routes are read."""

from datetime import timedelta

import pytest

from policies.view.alert_routes import receivers_of
from policies.view.files import ini_of, properties_of, yaml_of
from policies.view.schedules import longest_gap
from policies.view.values import ABSENT, UNKNOWN, Value

pytestmark = pytest.mark.ring("unit")


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ("45 * * * *", 1),
        ("*/20 * * * *", 1 / 3),
        ("15 1 * * *", 24),
        ("0 6-20 * * *", 10),
        ("0 0,12 * * *", 12),
        ("30 3 * * 0", 7 * 24),
        ("30 3 * * SUN", 7 * 24),
        ("30 3 * * 7", 7 * 24),
        ("0 1 * * 1-5", 3 * 24),
        ("0 0 1 * *", 31 * 24),
        ("0 0 1 jan *", 366 * 24),
        ("0 0 1,15 * 1", 7 * 24),
        ("@hourly", 1),
        ("@daily", 24),
    ],
)
def test_the_longest_time_between_two_runs_is_told(schedule: str, hours: float) -> None:
    assert longest_gap(schedule) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text", ["", "hourly", "* * * *", "61 * * * *", "0 0 31 2 *", "5-1 * * * *", "*/0 * * * *", "@x"]
)
def test_what_is_no_schedule_or_never_comes_true_has_no_gap(text: str) -> None:
    assert longest_gap(text) is None


def test_a_file_that_is_not_known_stays_unknown_below_and_one_that_is_not_there_is_absent() -> None:
    for read in (yaml_of, properties_of, ini_of):
        assert read(Value(UNKNOWN, "files.x"))["a"]["b"].is_unknown
        assert read(Value(ABSENT, "files.x"))["a"].is_absent


def test_what_is_no_yaml_is_absent() -> None:
    assert yaml_of(Value("a: [", "files.x")).is_absent


def test_a_path_leads_into_the_file() -> None:
    assert yaml_of(Value("a: {b: 1}", "files.x"))["a"]["b"].path == "files.x.a.b"


def test_properties_are_read_with_their_dots_and_without_remarks() -> None:
    found = properties_of(Value("# a=1\na.b=1\na.b = 2\n", "f"))
    assert found["a.b"].number() == 2
    assert list(found.entries()) == ["a.b"]


def test_an_option_that_comes_twice_has_both_values() -> None:
    found = ini_of(Value("[global]\nx=1\nx=2\n[db]\ny=a=b\n", "f"))
    assert found["global"]["x"].texts() == ["1", "2"]
    assert found["db"]["y"].text() == "a=b"


ROUTES = {
    "route": {
        "receiver": "default",
        "routes": [
            {"receiver": "pager", "matchers": ['severity="critical"'], "routes": [{"match": {"team": "db"}}]},
            {"receiver": "log", "matchers": ["severity =~ 'warn.*'"], "continue": True},
            {"receiver": "mail", "match_re": {"severity": "warning|info"}},
        ],
    }
}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"severity": "critical"}, ["pager"]),
        ({"severity": "critical", "team": "db"}, ["pager"]),
        ({"severity": "warning"}, ["log", "mail"]),
        ({"severity": "info"}, ["mail"]),
        ({}, ["default"]),
    ],
)
def test_an_alert_goes_where_alertmanager_would_send_it(labels: dict[str, str], names: list[str]) -> None:
    assert receivers_of(Value(ROUTES), labels) == names

"""The alert rules as data: complete, tied to the catalogue, and each with a promtool test on both sides of its line."""

from typing import Any

import pytest
import yaml

from checklist.catalogue import load
from infra.monitoring import rules

pytestmark = pytest.mark.ring("unit")

PROMTOOL_TESTS = rules.FOLDER.parent / "tests"


def all_rules() -> list[dict[str, Any]]:
    return [
        rule for text in rules.files().values() for group in yaml.safe_load(text)["groups"] for rule in group["rules"]
    ]


ALERTS = {rule["alert"]: rule for rule in all_rules()}


def expectations(alert: str) -> list[list[Any]]:
    """What the promtool tests expect of one alert, one list of firing alerts for each moment asked."""
    return [
        question["exp_alerts"]
        for path in PROMTOOL_TESTS.glob("*.yml")
        for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
        for question in case["alert_rule_test"]
        if question["alertname"] == alert
    ]


def test_no_two_rules_share_a_name() -> None:
    assert len(ALERTS) == len(all_rules())


@pytest.mark.item("alert-rules-loaded")
@pytest.mark.parametrize("alert", ALERTS)
def test_each_rule_says_how_bad_it_is_what_it_proves_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["labels"]["item"] in load()
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert all(text.strip() for text in rule["annotations"].values())


@pytest.mark.parametrize("alert", ALERTS)
def test_each_rule_has_been_seen_to_fire_and_to_stay_silent(alert: str) -> None:
    found = expectations(alert)
    assert any(found), "no series fires it"
    assert not all(found), "no series leaves it silent"


def test_each_threshold_of_the_catalogue_has_its_rule_with_the_documented_severity() -> None:
    named = {
        entry.id: entry.title.split(":")[0].lower()
        for entry in load().values()
        if entry.phase == "alerting" and entry.how == ("alert",)
    }
    by_item: dict[str, set[str]] = {}
    for rule in ALERTS.values():
        by_item.setdefault(rule["labels"]["item"], set()).add(rule["labels"]["severity"])
    assert set(named) <= set(by_item)
    for item, severity in named.items():
        assert severity in by_item[item], item


def test_the_files_are_named_as_prometheus_looks_for_them() -> None:
    assert set(rules.files()) == {"critical.yml", "warning.yml"}

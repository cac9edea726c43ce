"""The access job's arithmetic: what is made, what is left alone, what is taken away."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.cli import main
from service.kafka_access.changes import Changes, ClusterState, Rule, TopicState, changes_to, rules_of
from service.kafka_access.plan import AccessPlan, InvalidPlanError, load_plan

pytestmark = pytest.mark.ring("unit")

TOPIC = {"name": "t", "partitions": 6, "replication": 3, "min_in_sync": 2, "retention_hours": 1}
SETTINGS = {"min.insync.replicas": "2", "retention.ms": "3600000"}
RELAY = {
    "user": "relay-2",
    "password_file": "/secrets/relay-2",
    "grants": [{"on": "topic", "name": "t", "operations": ["WRITE"]}],
}
MAY_WRITE = Rule("User:relay-2", "TOPIC", "t", "WRITE")


def plan(**changes: Any) -> AccessPlan:
    return AccessPlan.model_validate({"brokers": ["k:9094"], "topics": [TOPIC], "logins": [RELAY], **changes})


def as_planned(**changes: Any) -> ClusterState:
    there = {"topics": {"t": TopicState(6, 3, SETTINGS)}, "users": frozenset({"relay-2"}), "rules": rules_of(plan())}
    return ClusterState(**{**there, **changes})


def test_an_empty_cluster_gets_everything() -> None:
    changes = changes_to(plan(), ClusterState())
    assert [topic.name for topic in changes.new_topics] == ["t"]
    assert [login.user for login in changes.logins] == ["relay-2"]
    assert changes.new_rules == (MAY_WRITE,)


def test_a_cluster_as_planned_is_left_alone_but_for_the_passwords() -> None:
    changes = changes_to(plan(), as_planned())
    assert changes == Changes(logins=plan().logins)


def test_logins_and_rights_that_are_not_planned_are_taken_away() -> None:
    by_hand = Rule("User:*", "TOPIC", "t", "ALL", pattern="PREFIXED", host="10.0.0.1", permission="DENY")
    state = as_planned(users=frozenset({"relay-1", "relay-2"}), rules=frozenset({MAY_WRITE, by_hand}))
    changes = changes_to(plan(), state)
    assert changes.old_users == ("relay-1",)
    assert changes.old_rules == (by_hand,)


def test_a_topic_that_is_not_planned_is_never_touched() -> None:
    assert changes_to(plan(topics=[]), as_planned()).topic_settings == {}


def test_a_topic_grows_and_its_settings_follow() -> None:
    changes = changes_to(plan(), as_planned(topics={"t": TopicState(3, 3, {**SETTINGS, "retention.ms": "1"})}))
    assert [topic.partitions for topic in changes.wider_topics] == [6]
    assert changes.topic_settings == {"t": {"retention.ms": "3600000"}}


def test_what_only_a_person_can_change_is_said() -> None:
    changes = changes_to(plan(), as_planned(topics={"t": TopicState(8, 1, SETTINGS)}))
    assert not changes.wider_topics
    assert ["8 partitions" in changes.remarks[0], "1 copies" in changes.remarks[1]] == [True, True]


@pytest.mark.parametrize("user", ["kafka", "kafka-access", "relay", "Relay-1", "relay-0"])
def test_a_login_without_a_generation_is_refused(user: str) -> None:
    """So that no login can be taken for the brokers' own names, which may do everything."""
    with pytest.raises(ValueError, match="user"):
        plan(logins=[{**RELAY, "user": user}])


def test_a_faulty_plan_is_told_with_the_place_of_each_fault(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"brokers": [], "topics": [{**TOPIC, "partitions": 0}]}))
    with pytest.raises(InvalidPlanError) as caught:
        load_plan(path)
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["brokers", "topics.0.partitions"]


@pytest.mark.parametrize("content", [None, "\n"])
def test_a_password_that_is_not_there_ends_the_job_before_kafka_is_asked(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password = tmp_path / "relay-2"
    if content is not None:
        password.write_text(content)
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"brokers": ["k:9094"], "logins": [{**RELAY, "password_file": str(password)}]}))
    assert main(["kafka-access", "--plan", str(path)]) == 2
    assert f"the password of relay-2 {'in' if content else 'cannot be read from'} {password}" in capsys.readouterr().err

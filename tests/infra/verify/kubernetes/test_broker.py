"""Kafka as a cluster: copied, encrypted, and open to each program for its own work only."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.support import kafka_inside
from tests.infra.support.stack_outputs import StackOutputs

pytestmark = [
    pytest.mark.ring("verify"),
    pytest.mark.target("kubernetes", why="on one machine there is a single broker on a private network"),
]

LEAST_COPIES = 3
REFUSED_TOPIC = "TopicAuthorizationFailedError"


@pytest.fixture(scope="module")
def topics(environment: Callable[[str], dict[str, str]]) -> list[str]:
    """Both topics of the service."""
    given = environment("api")
    return [given["KAFKA_EXECUTION_TOPIC"], given["KAFKA_CANCELLATION_TOPIC"]]


@pytest.fixture(scope="module")
def as_executor(ask_kafka: Callable[..., Any], topics: list[str]) -> dict[str, str]:
    """What an executor is refused."""
    return dict(ask_kafka("rights", topics[0]))


@pytest.mark.item("kafka-reachable")
def test_all_brokers_are_in_the_cluster(ask_kafka: Callable[..., Any], outputs: StackOutputs) -> None:
    assert ask_kafka("state")["brokers"] == outputs.inventory["kafka"].replicas >= LEAST_COPIES


@pytest.mark.item("kafka-topics-exist", "kafka-reachable")
def test_every_partition_has_three_copies_in_sync(
    ask_kafka: Callable[..., Any], topics: list[str], eventually: Callable[..., Any]
) -> None:
    def lacking() -> list[str]:
        return [
            f"{topic}/{number}: {in_sync} of {copies} copies in sync"
            for topic, partitions in ask_kafka("copies", *topics).items()
            for number, copies, in_sync in partitions
            if in_sync < copies or copies < LEAST_COPIES
        ]

    found = ask_kafka("copies", *topics)
    # A topic that is not there is told as one without partitions.
    assert {topic for topic, partitions in found.items() if partitions} == set(topics)
    eventually(lambda: not lacking(), 60, "every copy in sync", interval=3)


@pytest.mark.item("kafka-reachable")
def test_every_program_has_a_login_of_its_own_over_tls(
    outputs: StackOutputs, environment: Callable[[str], dict[str, str]]
) -> None:
    for part in outputs.programs:
        given = environment(part)
        assert (given["KAFKA_SECURITY_PROTOCOL"], given["KAFKA_SASL_MECHANISM"]) == ("SASL_SSL", "SCRAM-SHA-512"), part
        assert given["KAFKA_SASL_USERNAME"].rpartition("-")[0] == part


@pytest.mark.item("role-permissions-enforced", "kafka-reachable")
def test_an_executor_may_read_and_not_write(as_executor: dict[str, str]) -> None:
    assert (as_executor["read"], as_executor["write"]) == ("allowed", REFUSED_TOPIC)


@pytest.mark.item("role-permissions-enforced", "kafka-reachable")
def test_the_api_may_neither_read_nor_write(in_api: Callable[..., str], topics: list[str]) -> None:
    found = json.loads(in_api(kafka_inside.SOURCE, "rights", topics[0]))
    assert (found["read"], found["write"]) == (REFUSED_TOPIC, REFUSED_TOPIC)


@pytest.mark.item("kafka-reachable")
@pytest.mark.parametrize("how", ["log in with a wrong password", "come without a login", "come in the clear"])
def test_nobody_comes_in_without_tls_and_a_login(how: str, as_executor: dict[str, str]) -> None:
    assert as_executor["read"] == "allowed", "not even the right login is let in"
    assert as_executor[how] != "allowed"

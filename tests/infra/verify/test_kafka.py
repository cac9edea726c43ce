"""Kafka as the programs of the stack see it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.support.workflow_api import WorkflowApi, step

pytestmark = pytest.mark.ring("verify")

BURST = 20  # runs
CATCH_UP = 20.0  # seconds


@pytest.fixture(scope="module")
def topics(environment: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The configured names of the execution and the cancellation topic."""
    given = environment("api")
    return {
        "execution": given.get("KAFKA_EXECUTION_TOPIC", "workflow.execution.requests"),
        "cancellation": given.get("KAFKA_CANCELLATION_TOPIC", "workflow.cancellation.requests"),
    }


@pytest.fixture
def state(ask_kafka: Callable[..., Any]) -> Callable[[], dict[str, Any]]:
    """Brokers, topics and groups as they are now."""
    return lambda: dict(ask_kafka("state"))


@pytest.mark.item("kafka-reachable", "kafka-brokers-set")
def test_every_program_reaches_the_brokers_it_was_given(
    connections: dict[str, dict[str, str]], environment: Callable[[str], dict[str, str]]
) -> None:
    for part in connections:
        brokers = environment(part)["KAFKA_BROKERS"]
        assert all(address.rpartition(":")[2].isdigit() for address in brokers.split(",")), brokers
    unreachable = {part: said["kafka"] for part, said in connections.items() if said["kafka"]}
    assert connections
    assert not unreachable


@pytest.mark.item("kafka-topics-exist")
def test_the_execution_and_the_cancellation_topic_exist(
    topics: dict[str, str], state: Callable[[], dict[str, Any]]
) -> None:
    known = state()["topics"]
    for name in topics.values():
        assert known.get(name), f"the topic {name} is not there; known are {sorted(known)}"


@pytest.mark.item("dependencies-connected")
def test_a_consumer_group_with_members_reads_the_execution_topic(
    topics: dict[str, str], state: Callable[[], dict[str, Any]], eventually: Callable[..., Any]
) -> None:
    def readers() -> list[str]:
        groups = state()["groups"]
        return [name for name, group in groups.items() if group["members"] and topics["execution"] in group["lag"]]

    eventually(readers, timeout=20, what="a consumer group on the execution topic", interval=1)


@pytest.mark.item("kafka-throughput")
def test_a_burst_of_runs_is_taken_up(
    admin: WorkflowApi,
    topics: dict[str, str],
    state: Callable[[], dict[str, Any]],
    eventually: Callable[..., Any],
) -> None:
    workflow = admin.workflow(step("only", admin.agent()))
    runs = [admin.execute(workflow) for _ in range(BURST)]
    assert {admin.finished(run, CATCH_UP)["status"] for run in runs} == {"completed"}

    def lag() -> int:
        return sum(group["lag"].get(topics["execution"], 0) for group in state()["groups"].values())

    eventually(lambda: lag() == 0, timeout=CATCH_UP, what="an empty backlog on the execution topic", interval=1)

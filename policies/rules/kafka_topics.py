"""The topics by which accepted runs reach the executors."""

from __future__ import annotations

import json
from collections.abc import Iterator

from policies.engine.rule import Fault, rule
from policies.view.parts import Platform, PlatformPart
from policies.view.scale import most_replicas
from policies.view.settings import effective, executors, programs, runs_the_service
from policies.view.targets import place
from policies.view.values import Value

NAMES, PARTITIONS = "kafka-topic-names-per-environment", "kafka-partitions"
TOPICS = ("KAFKA_EXECUTION_TOPIC", "KAFKA_CANCELLATION_TOPIC")
PREFIX = "prod."
PLAN = "plan.json"
"""What the job is told that makes topics, logins and rights of a cluster."""


@rule(
    NAMES, on=Platform, wanted="the same names in every program", mend="kafka.executionTopic, kafka.cancellationTopic"
)
def all_programs_use_the_same_topics(platform: Platform) -> Iterator[Fault]:
    """What one side writes to a topic that the other does not read is lost without an error anywhere."""
    for name in TOPICS:
        given = [(part, effective(part, name)) for part in programs(platform)]
        for part, value in given[1:]:
            if value.text() != given[0][1].text():
                yield Fault(place(part.resource, value), f"{name} differs from that of {given[0][0].name}")


@rule(
    NAMES, on=PlatformPart, where=runs_the_service, environments=["prod"], wanted=f"names that begin with {PREFIX}",
    mend="kafka.executionTopic, kafka.cancellationTopic",
)  # fmt: skip
def productions_topics_are_its_own(part: PlatformPart) -> Iterator[Fault]:
    """On brokers that several environments share only the name keeps their runs apart."""
    for name in TOPICS:
        topic = effective(part, name)
        if not (topic.text() or "").startswith(PREFIX):
            yield Fault(topic, f"{name} does not begin with {PREFIX}")


@rule(NAMES, on=PlatformPart, parts=["api"], wanted="two topics", mend="kafka.executionTopic, kafka.cancellationTopic")
def requests_and_cancellations_have_topics_of_their_own(api: PlatformPart) -> Iterator[Fault]:
    """An executor that finds a cancellation among the requests takes it for a broken request."""
    first, second = (effective(api, name) for name in TOPICS)
    if first.text() == second.text():
        yield Fault(second, "both kinds of messages go to one topic")


@rule(
    PARTITIONS,
    on=Platform,
    wanted="a partition for each executor",
    mend="kafka.partitions, or executor.autoscaling.most",
)
def every_executor_can_have_a_partition(platform: Platform) -> Iterator[Fault]:
    """A partition is read by one executor of the group at a time: one more than there are partitions gets nothing."""
    migrations = platform.parts.get("migrations")
    if migrations is None:
        return
    partitions = effective(migrations, "KAFKA_TOPIC_PARTITIONS")
    most = sum(most_replicas(platform.snapshot, each.pod) for each in executors(platform))
    if (partitions.number() or 0) < most:
        yield Fault(place(migrations.resource, partitions), f"there can be {most} executors, and fewer partitions")


def _has_a_plan(platform: Platform) -> bool:
    return "kafka-access" in platform.parts and "migrations" in platform.parts


@rule(PARTITIONS, on=Platform, where=_has_a_plan, wanted="one number everywhere", mend="kafka.partitions")
def topics_are_made_with_the_described_partitions(platform: Platform) -> Iterator[Fault]:
    """Two programs that make the same topic differently disagree at every start, and the larger number stays."""
    described = effective(platform.parts["migrations"], "KAFKA_TOPIC_PARTITIONS").number()
    access = platform.parts["kafka-access"]
    plan = access.file(PLAN)
    for number, topic in enumerate(_topics(plan)):
        if topic["partitions"].number() != described:
            what = "a topic is planned with another number of partitions than the migrations are told"
            yield Fault(place(access.resource, f"{plan.path} topics[{number}]"), what)


def _topics(plan: Value) -> list[Value]:
    try:
        return Value(json.loads(plan.text() or "{}"))["topics"].items()
    except ValueError:
        return []

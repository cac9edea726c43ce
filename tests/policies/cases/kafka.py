"""Brokers and what survives the loss of one."""

from policies.view.values import ABSENT, UNKNOWN
from tests.policies.changes import Case, config, env, put
from tests.policies.edits import entry, setting

FILE = "server.properties"


def _set(check: str, name: str, to: str | None, environment: str = "prod", why: str = "") -> Case:
    return Case(check, config("kafka", FILE, setting(name, to)), environment=environment, path=name, why=why)


def _hidden(check: str, environment: str = "prod") -> Case:
    return Case(check, config("kafka", FILE, UNKNOWN), "not evaluated", environment)


CASES = [
    Case("three_brokers_run", put("StatefulSet", "kafka", "spec.replicas", 2), path="spec.replicas"),
    Case("three_brokers_run", put("StatefulSet", "kafka", "spec.replicas", UNKNOWN), "not evaluated"),
    Case("programs_know_three_brokers", env("relay", "KAFKA_BROKERS", "a:9092,a:9092,b:9092"), path="env"),
    Case("programs_know_three_brokers", env("api", "KAFKA_BROKERS", ABSENT), why="none"),
    Case("programs_know_three_brokers", env("api", "KAFKA_BROKERS", UNKNOWN), "not evaluated"),
    _set("new_topics_have_three_copies", "default.replication.factor", "2"),
    _set("new_topics_have_three_copies", "default.replication.factor", None, why="default"),
    _hidden("new_topics_have_three_copies"),
    _set("a_message_counts_when_two_brokers_have_it", "min.insync.replicas", "1"),
    _hidden("a_message_counts_when_two_brokers_have_it"),
    _set("one_broker_may_be_away", "min.insync.replicas", "3"),
    _hidden("one_broker_may_be_away"),
    _set("kafkas_own_topics_have_three_copies", "offsets.topic.replication.factor", "1"),
    _set("kafkas_own_topics_have_three_copies", "transaction.state.log.replication.factor", "2", why="transactions"),
    _hidden("kafkas_own_topics_have_three_copies"),
    Case(
        "topics_of_the_platform_have_three_copies",
        config("kafka-access", "plan.json", entry("topics[0].replication", 1)),
        path="replication",
    ),
    Case(
        "topics_of_the_platform_have_three_copies",
        config("kafka-access", "plan.json", entry("topics[1].min_in_sync", 1)),
        path="min_in_sync",
        why="in sync",
    ),
    Case("topics_of_the_platform_have_three_copies", config("kafka-access", "plan.json", UNKNOWN), "not evaluated"),
    _set("a_stale_copy_never_becomes_the_leader", "unclean.leader.election.enable", "true"),
    _hidden("a_stale_copy_never_becomes_the_leader"),
    _set("topics_are_only_made_on_purpose", "auto.create.topics.enable", "true"),
    _set("topics_are_only_made_on_purpose", "auto.create.topics.enable", None, why="default"),
    _hidden("topics_are_only_made_on_purpose"),
    _set("controllers_keep_a_majority", "controller.quorum.voters", "0@a:9093,1@b:9093,2@c:9093,3@d:9093", why="even"),
    _set("controllers_keep_a_majority", "controller.quorum.voters", "0@a:9093", why="one"),
    _hidden("controllers_keep_a_majority"),
    _set("kafka_keeps_no_more_than_its_disk_holds", "log.retention.bytes", None, why="unbounded"),
    _set("kafka_keeps_no_more_than_its_disk_holds", "log.retention.bytes", "-1", why="without end"),
    Case(
        "kafka_keeps_no_more_than_its_disk_holds",
        put("StatefulSet", "kafka", "spec.volumeClaimTemplates[0].spec.resources.requests.storage", "8Gi"),
        path="storage",
    ),
    Case(
        "kafka_keeps_no_more_than_its_disk_holds",
        put("StatefulSet", "kafka", "spec.volumeClaimTemplates[0].spec.resources.requests.storage", UNKNOWN),
        "not evaluated",
    ),
    _set("kafka_is_reached_on_the_network", "advertised.listeners", "INTERNAL://kafka:9092", "dev"),
    _hidden("kafka_is_reached_on_the_network", "dev"),
    _set("kafka_is_reached_from_the_machine", "advertised.listeners", "INTERNAL://kafka:29092", "dev"),
    _set("kafka_is_reached_from_the_machine", "advertised.listeners", "HOST://localhost:9192", "dev", why="other port"),
    Case("kafka_is_reached_from_the_machine", put("Container", "kafka", "ports", []), environment="dev", path="ports"),
    _hidden("kafka_is_reached_from_the_machine", "dev"),
    Case(
        "kafka_listens_where_it_says",
        config("kafka", FILE, setting("listeners", "INTERNAL://:29092")),
        environment="dev",
        path="advertised.listeners",
    ),
    _hidden("kafka_listens_where_it_says", "dev"),
    Case(
        "kafkas_plain_listener_stays_on_the_machine",
        put("Container", "kafka", "ports[0].ip", "0.0.0.0"),  # noqa: S104 - what must be seen
        environment="dev",
        path="ports[0].ip",
    ),
    Case(
        "kafkas_plain_listener_stays_on_the_machine",
        put("Container", "kafka", "ports[0].ip", UNKNOWN),
        "not evaluated",
        "dev",
    ),
]

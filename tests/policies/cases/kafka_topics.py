"""The topics by which accepted runs reach the executors."""

import json

from policies.view.values import UNKNOWN
from tests.policies.changes import Case, Change, both, config, env, put


def _planned(partitions: int) -> Change:
    def change(text: str) -> str:
        plan = json.loads(text)
        plan["topics"][1]["partitions"] = partitions
        return json.dumps(plan)

    return config("kafka-access", "plan.json", change)


def _everywhere(name: str, to: str) -> Change:
    return both(*(env(part, name, to) for part in ("migrations", "api", "relay", "executor")))


CASES = [
    Case("all_programs_use_the_same_topics", env("executor", "KAFKA_EXECUTION_TOPIC", "prod.other"), path="executor"),
    Case("all_programs_use_the_same_topics", env("relay", "KAFKA_CANCELLATION_TOPIC", "prod.other"), path="relay"),
    Case("all_programs_use_the_same_topics", env("relay", "KAFKA_CANCELLATION_TOPIC", UNKNOWN), "not evaluated"),
    Case("productions_topics_are_its_own", _everywhere("KAFKA_EXECUTION_TOPIC", "workflow.execution.requests")),
    Case("productions_topics_are_its_own", env("api", "KAFKA_EXECUTION_TOPIC", UNKNOWN), "not evaluated"),
    Case(
        "requests_and_cancellations_have_topics_of_their_own",
        env("api", "KAFKA_CANCELLATION_TOPIC", "prod.workflow.execution.requests"),
    ),
    Case(
        "requests_and_cancellations_have_topics_of_their_own",
        env("api", "KAFKA_CANCELLATION_TOPIC", UNKNOWN),
        "not evaluated",
    ),
    Case("every_executor_can_have_a_partition", env("migrations", "KAFKA_TOPIC_PARTITIONS", "8")),
    Case(
        "every_executor_can_have_a_partition",
        put("HorizontalPodAutoscaler", "executor-autoscaler", "spec.maxReplicas", 10),
        why="scaled further",
    ),
    Case("every_executor_can_have_a_partition", env("migrations", "KAFKA_TOPIC_PARTITIONS", "0"), environment="dev"),
    Case("every_executor_can_have_a_partition", env("migrations", "KAFKA_TOPIC_PARTITIONS", UNKNOWN), "not evaluated"),
    Case("topics_are_made_with_the_described_partitions", _planned(3), path="topics[1]"),
    Case(
        "topics_are_made_with_the_described_partitions", config("kafka-access", "plan.json", UNKNOWN), "not evaluated"
    ),
]

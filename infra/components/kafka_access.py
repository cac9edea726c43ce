"""Who may do what with Kafka: the plan that the access job carries out."""

import json
from collections.abc import Iterable, Mapping, Sequence

from infra.components.kafka_settings import INTERNAL_PORT, ClusterLayout
from infra.endpoints import Login
from infra.workload import secret_path
from stacks.model import Stack

EXECUTOR_GROUP = "workflow-executor"
"""The consumer group of the executors; the service's own name for it."""

REPLY_GROUP = "workflow-replies"
"""The one in which they read replies; the service's own name for it."""

PROGRAMS = ("api", "relay", "executor", "migrations")
"""Who logs in. Each has only the rights its work needs."""


def access_plan(stack: Stack, layout: ClusterLayout, logins: Mapping[str, Sequence[Login]]) -> str:
    """The plan as `python -m service kafka-access` reads it. It names passwords' files, never passwords.

    `logins` are those of each program that are valid at present: the current one and, after a rotation, the one before.
    """
    settings = stack.kafka
    topics = [
        {
            "name": name,
            "partitions": settings.partitions,
            "replication": settings.replication,
            "min_in_sync": settings.min_in_sync,
            "retention_hours": settings.retention_hours,
        }
        for name in (settings.execution_topic, settings.cancellation_topic, *_of_agents(stack))
    ]
    plan = {
        "brokers": layout.addresses(INTERNAL_PORT),
        "log_level": stack.logging.level,
        "log_format": stack.logging.format,
        "topics": topics,
        "logins": [
            {"user": login.user, "password_file": secret_path(login.user), "grants": _grants(stack, program)}
            for program in PROGRAMS
            for login in logins[program]
        ],
    }
    return json.dumps(plan, indent=1) + "\n"


def _grants(stack: Stack, program: str) -> list[dict[str, object]]:
    topics = (stack.kafka.execution_topic, stack.kafka.cancellation_topic)
    match program:
        case "relay":
            # The right to write holds the one to do so idempotently.
            return list(_on("topic", topics, "WRITE"))
        case "executor":
            published = _on("topic", stack.executor.kafka_topics, "WRITE")
            replies = stack.executor.kafka_reply_topics
            groups = [EXECUTOR_GROUP, REPLY_GROUP] if replies else [EXECUTOR_GROUP]
            return [*_on("topic", (*topics, *replies), "READ"), *_on("group", groups, "READ"), *published]
        case "api":
            # It sends and reads nothing itself; operators look at topics and lag from its container.
            return [*_on("topic", topics, "DESCRIBE"), *_on("group", [EXECUTOR_GROUP], "DESCRIBE")]
        case "migrations":
            return list(_on("topic", (*topics, *_of_agents(stack)), "DESCRIBE"))
    raise KeyError(program)


def _of_agents(stack: Stack) -> Iterable[str]:
    """Each once: a topic may be written to and read from."""
    return dict.fromkeys((*stack.executor.kafka_topics, *stack.executor.kafka_reply_topics))


def _on(kind: str, names: Iterable[str], operation: str) -> Iterable[dict[str, object]]:
    for name in names:
        yield {"on": kind, "name": name, "operations": [operation]}

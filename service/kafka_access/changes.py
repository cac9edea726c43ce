"""What must be done so that a cluster is as its plan says. Pure: no Kafka here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from service.kafka_access.plan import AccessPlan, PlannedLogin, PlannedTopic

EVERYWHERE = "*"


@dataclass(frozen=True, order=True)
class Rule:
    """An entry of the cluster's access list, in Kafka's words."""

    principal: str
    resource: str
    name: str
    operation: str
    pattern: str = "LITERAL"
    host: str = EVERYWHERE
    permission: str = "ALLOW"


@dataclass(frozen=True)
class TopicState:
    """A topic as it is; `settings` are those that are set for the topic itself."""

    partitions: int
    replication: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ClusterState:
    """What a cluster knows."""

    topics: Mapping[str, TopicState] = field(default_factory=dict)
    users: frozenset[str] = frozenset()
    rules: frozenset[Rule] = frozenset()


@dataclass(frozen=True)
class Changes:
    """In the order in which they are safe: what is new comes first, what is taken away last."""

    new_topics: tuple[PlannedTopic, ...] = ()
    wider_topics: tuple[PlannedTopic, ...] = ()
    topic_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    logins: tuple[PlannedLogin, ...] = ()
    """All of them: no cluster tells whether it knows the right password, and setting the same one disturbs nobody."""
    new_rules: tuple[Rule, ...] = ()
    old_rules: tuple[Rule, ...] = ()
    old_users: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """What the plan wants and no change can give without a person's decision."""


def rules_of(plan: AccessPlan) -> frozenset[Rule]:
    """The access list that the plan describes."""
    return frozenset(
        Rule(f"User:{login.user}", grant.on.upper(), grant.name, operation)
        for login in plan.logins
        for grant in login.grants
        for operation in grant.operations
    )


def changes_to(plan: AccessPlan, state: ClusterState) -> Changes:
    """The difference between the plan and the cluster."""
    there = {topic.name: state.topics[topic.name] for topic in plan.topics if topic.name in state.topics}
    known = [topic for topic in plan.topics if topic.name in there]
    wanted = rules_of(plan)
    settings = {topic.name: _other(topic.settings, there[topic.name].settings) for topic in known}
    return Changes(
        new_topics=tuple(topic for topic in plan.topics if topic.name not in there),
        wider_topics=tuple(topic for topic in known if topic.partitions > there[topic.name].partitions),
        topic_settings={name: values for name, values in settings.items() if values},
        logins=plan.logins,
        new_rules=tuple(sorted(wanted - state.rules)),
        old_rules=tuple(sorted(state.rules - wanted)),
        old_users=tuple(sorted(state.users - {login.user for login in plan.logins})),
        remarks=tuple(_remarks(known, there)),
    )


def _other(wanted: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if found.get(name) != value}


def _remarks(topics: list[PlannedTopic], there: Mapping[str, TopicState]) -> Iterator[str]:
    for topic in topics:
        found = there[topic.name]
        if found.partitions > topic.partitions:
            yield (
                f"topic {topic.name} has {found.partitions} partitions and the plan says {topic.partitions}: "
                "partitions cannot be taken away; raise the number in the stack"
            )
        if found.replication != topic.replication:
            yield (
                f"topic {topic.name} has {found.replication} copies and the plan says {topic.replication}: "
                "move its partitions with Kafka's reassignment tool"
            )

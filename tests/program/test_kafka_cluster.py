"""Kafka of the production stack: what the program registers, and what the brokers and the access job are told."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra.components.kafka_access import EXECUTOR_GROUP, PROGRAMS, REPLY_GROUP, access_plan
from infra.components.kafka_settings import ClusterLayout, cluster, java_options
from infra.endpoints import Login
from service.executor.consumer import GROUP
from service.executor.replies import GROUP as GROUP_OF_REPLIES
from service.kafka_access.changes import rules_of
from service.kafka_access.plan import AccessPlan
from stacks.load import load_stack
from stacks.model import Stack
from stacks.parts.common import Resources
from stacks.parts.kafka import ExternalKafka, Kafka
from tests.program.conftest import Deploy, Engine

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]
DOMAIN = "kafka-nodes.workflow-prod.svc.cluster.local"
EXECUTION, CANCELLATION = "prod.workflow.execution.requests", "prod.workflow.cancellation.requests"


@pytest.fixture(scope="module")
def stack() -> Stack:
    return load_stack("prod", ROOT)


@pytest.fixture
def prod(deploy: Deploy, stack: Stack) -> Engine:
    return deploy(stack=stack, grafana="left out for the test")


@pytest.fixture(scope="module")
def settings(stack: Stack) -> dict[str, str]:
    text = cluster(stack, ClusterLayout(3, DOMAIN))
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture(scope="module")
def plan(stack: Stack) -> AccessPlan:
    logins = {each: [Login(f"{each}-2", secret()), Login(f"{each}-1", secret())] for each in PROGRAMS}
    return AccessPlan.model_validate_json(access_plan(stack, ClusterLayout(3, DOMAIN), logins))


def secret() -> pulumi.Output[str]:
    return pulumi.Output.from_input("never to be seen")


def container(engine: Engine, kind: str, part: str) -> dict[str, Any]:
    (found,) = engine.kubernetes(kind)[part]["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


@pytest.mark.item("kafka-broker-count-prod")
def test_three_members_are_placed_and_named_to_the_programs(prod: Engine) -> None:
    assert prod.kubernetes("StatefulSet")["kafka"]["spec"]["replicas"] == 3
    env = {each["name"]: each.get("value") for each in container(prod, "Deployment", "relay")["env"]}
    assert env["KAFKA_BROKERS"] == ",".join(f"kafka-{number}.{DOMAIN}:9092" for number in range(3))
    assert (env["KAFKA_SECURITY_PROTOCOL"], env["KAFKA_SASL_USERNAME"]) == ("SASL_SSL", "relay-1")


def test_a_member_counts_as_started_once_it_is_level_with_the_others(prod: Engine) -> None:
    probes = container(prod, "StatefulSet", "kafka")
    assert probes["startupProbe"]["exec"]["command"] == ["kafka-health", "caught-up"]
    assert probes["readinessProbe"]["tcpSocket"]["port"] == 9092
    assert probes["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": 9404, "scheme": "HTTPS"}


def test_every_listener_is_encrypted_and_those_of_the_brokers_want_certificates(settings: dict[str, str]) -> None:
    protocols = dict(each.split(":") for each in settings["listener.security.protocol.map"].split(","))
    assert protocols == {"CLIENTS": "SASL_SSL", "CONTROLLER": "SSL", "INTERNAL": "SSL"}
    assert settings["ssl.client.auth"] == "required"
    assert settings["listener.name.clients.ssl.client.auth"] == "none"


def test_what_no_rule_allows_is_refused(settings: dict[str, str]) -> None:
    assert settings["authorizer.class.name"].endswith(".StandardAuthorizer")
    assert settings["allow.everyone.if.no.acl.found"] == "false"
    assert settings["super.users"] == "User:kafka;User:kafka-access"


def test_no_message_that_was_taken_can_be_lost_with_one_member(settings: dict[str, str]) -> None:
    for name in ("default.replication.factor", "offsets.topic.replication.factor"):
        assert settings[name] == "3", name
    for name in ("min.insync.replicas", "transaction.state.log.min.isr"):
        assert settings[name] == "2", name
    assert settings["unclean.leader.election.enable"] == "false"
    assert settings["auto.create.topics.enable"] == "false"


@pytest.mark.parametrize(("cores", "compiler"), [(1, " -XX:TieredStopAtLevel=1"), (2, "")])
def test_a_small_broker_spends_no_time_on_optimising_itself(stack: Stack, cores: float, compiler: str) -> None:
    kafka = stack.kafka.model_copy(update={"heap": 256, "resources": Resources(cpus=cores, memory=640)})
    assert java_options(stack.model_copy(update={"kafka": kafka})) == f"-Xms256m -Xmx256m{compiler}"


@pytest.mark.item("kafka-partitions")
def test_both_topics_are_declared(plan: AccessPlan) -> None:
    assert [(topic.name, topic.partitions, topic.replication, topic.min_in_sync) for topic in plan.topics] == [
        (EXECUTION, 9, 3, 2),
        (CANCELLATION, 9, 3, 2),
    ]


def test_the_topics_of_agents_are_made_and_only_executors_may_write_to_them(stack: Stack) -> None:
    executor = stack.executor.model_copy(update={"kafka_topics": ("shop.orders",)})
    logins = {each: [Login(f"{each}-1", secret())] for each in PROGRAMS}
    changed = stack.model_copy(update={"executor": executor})
    made = AccessPlan.model_validate_json(access_plan(changed, ClusterLayout(3, DOMAIN), logins))
    assert [(topic.name, topic.partitions, topic.replication) for topic in made.topics][2:] == [("shop.orders", 9, 3)]
    rights = {(rule.principal, rule.operation) for rule in rules_of(made) if rule.name == "shop.orders"}
    assert rights == {("User:executor-1", "WRITE"), ("User:migrations-1", "DESCRIBE")}


def test_the_topics_of_replies_are_made_once_and_only_executors_may_read_from_them(stack: Stack) -> None:
    both = {"kafka_topics": ("shop.both",), "kafka_reply_topics": ("shop.both", "shop.answers")}
    logins = {each: [Login(f"{each}-1", secret())] for each in PROGRAMS}
    changed = stack.model_copy(update={"executor": stack.executor.model_copy(update=both)})
    made = AccessPlan.model_validate_json(access_plan(changed, ClusterLayout(3, DOMAIN), logins))
    assert [topic.name for topic in made.topics][2:] == ["shop.both", "shop.answers"]
    rights = {(rule.principal, rule.operation) for rule in rules_of(made) if rule.name == "shop.answers"}
    assert rights == {("User:executor-1", "READ"), ("User:migrations-1", "DESCRIBE")}
    groups = {(rule.principal, rule.name) for rule in rules_of(made) if rule.resource == "GROUP"}
    assert groups >= {("User:executor-1", "workflow-replies"), ("User:executor-1", "workflow-executor")}
    assert REPLY_GROUP == GROUP_OF_REPLIES


def test_each_login_has_only_the_rights_of_its_work(plan: AccessPlan) -> None:
    found = {(rule.principal, rule.resource, rule.name, rule.operation) for rule in rules_of(plan)}
    topics = (EXECUTION, CANCELLATION)
    wanted = set()
    for generation in (1, 2):
        wanted |= {(f"User:relay-{generation}", "TOPIC", name, "WRITE") for name in topics}
        wanted |= {(f"User:executor-{generation}", "TOPIC", name, "READ") for name in topics}
        wanted |= {(f"User:migrations-{generation}", "TOPIC", name, "DESCRIBE") for name in topics}
        wanted |= {(f"User:api-{generation}", "TOPIC", name, "DESCRIBE") for name in topics}
        wanted |= {(f"User:executor-{generation}", "GROUP", EXECUTOR_GROUP, "READ")}
        wanted |= {(f"User:api-{generation}", "GROUP", EXECUTOR_GROUP, "DESCRIBE")}
    assert found == wanted


def test_the_group_is_the_one_that_executors_join() -> None:
    assert EXECUTOR_GROUP == GROUP


def test_the_access_job_finds_each_password_in_a_file_of_its_own(prod: Engine) -> None:
    planned = json.loads(prod.kubernetes("ConfigMap")["kafka-access-config"]["data"]["plan.json"])
    (files,) = [
        volume["projected"]
        for volume in prod.kubernetes("Job")["kafka-access"]["spec"]["template"]["spec"]["volumes"]
        if "projected" in volume
    ]
    (secrets,) = [source["secret"] for source in files["sources"] if "secret" in source]
    found = {f"/config/{item['path']}" for item in secrets["items"]}
    assert {login["password_file"] for login in planned["logins"]} <= found


def test_brokers_of_somebody_else_are_used_with_their_login(deploy: Deploy, stack: Stack, tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("PEM")
    external = ExternalKafka(brokers=("broker.example.com:9094",), username="workflow", ca_file=str(authority))
    kafka = stack.kafka.model_copy(update={"provision": False, "external": external})
    pulumi.runtime.set_config("workflow-platform:kafkaPassword", "the-password-of-somebody-else")
    engine = deploy(stack=stack.model_copy(update={"kafka": kafka}), grafana="left out for the test")
    assert "kafka" not in engine.kubernetes("StatefulSet")
    env = {each["name"]: each.get("value") for each in container(engine, "Deployment", "relay")["env"]}
    assert env["KAFKA_BROKERS"] == "broker.example.com:9094"
    assert env["KAFKA_SASL_USERNAME"] == "workflow"


@pytest.mark.parametrize(
    ("kafka", "message"),
    [
        (Kafka(nodes=3, replication=3, min_in_sync=3), "kafka.minInSync is 3; it must be less than"),
        (Kafka(nodes=1, replication=3), "kafka.replication is 3; it must not exceed kafka.nodes = 1"),
        (Kafka(provision=False), "kafka.external must say where the brokers are"),
        (
            Kafka(provision=False, external=ExternalKafka(brokers=("k:9092",))),
            "kafka.external.username must be given with SASL_SSL",
        ),
    ],
)
def test_a_description_that_cannot_work_is_refused(kafka: Kafka, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stack(name="test", target="kubernetes", kafka=kafka)

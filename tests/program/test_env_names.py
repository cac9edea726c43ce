"""The variables that the stack renders are those that the service reads, in both directions."""

from pathlib import Path

import pulumi
import pytest

from infra.components.service import api_env, common_env
from infra.endpoints import KafkaEndpoint, Login
from service.platform.settings import Settings
from stacks.load import load_stack
from stacks.model import Stack
from stacks.parts.service import Pool
from tests.program.conftest import CONTAINER, Deploy

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]
PARTS = ("migrations", "api", "relay", "executor")

NOT_FROM_THE_STACK = {
    "GRACEFUL_SHUTDOWN_SECONDS",
    "READINESS_REQUIRES_KAFKA",
    "RUN_CANCEL_DEADLINE_SECONDS",
    "JWT_PREVIOUS_SECRET",
}
"""Read by the service, left at their defaults by every stack as it is first deployed."""


def known() -> set[str]:
    return {name.upper() for name in Settings.model_fields}


def rendered(deploy: Deploy) -> set[str]:
    containers = deploy().of(CONTAINER)
    return {read_as(env.split("=")[0]) for part in PARTS for env in containers[part]["envs"]}


def rendered_on_a_cluster(deploy: Deploy) -> set[str]:
    engine = deploy(stack=load_stack("prod", ROOT), grafana="left out for the test")
    found: set[str] = set()
    for kind in ("Deployment", "Job"):
        for part, inputs in engine.kubernetes(kind).items():
            if part in PARTS:
                (container,) = inputs["spec"]["template"]["spec"]["containers"]
                found |= {read_as(each["name"]) for each in container["env"]}
    return found


def read_as(variable: str) -> str:
    """The setting that the variable gives: X_FILE is a file that holds X, unless the setting is a path itself."""
    return variable if variable in known() else variable.removesuffix("_FILE")


@pytest.mark.item("config-values-validated")
def test_every_rendered_variable_is_read_by_the_service(deploy: Deploy) -> None:
    assert rendered(deploy) - known() == set()


@pytest.mark.item("config-values-validated")
def test_every_variable_of_the_service_is_rendered_or_left_on_purpose(deploy: Deploy) -> None:
    assert known() - rendered(deploy) - rendered_on_a_cluster(deploy) == NOT_FROM_THE_STACK


def test_every_variable_of_a_kafka_cluster_is_read_by_the_service() -> None:
    secret = pulumi.Output.from_input("x")
    cluster = KafkaEndpoint("k:9092", {"api": Login("api-1", secret)}, ca="PEM", protocol="SASL_SSL")
    assert {read_as(name) for name in cluster.env("api")} - known() == set()
    assert cluster.secret_files("api").keys() == {"kafka_password", "kafka-ca.crt"}


def test_the_default_stack_renders_the_documented_values() -> None:
    stack = Stack(name="dev")
    kafka = KafkaEndpoint("kafka:29092")
    env = {**common_env(stack, Pool()), **kafka.env("api"), **api_env(stack)}
    assert env["KAFKA_BROKERS"] == "kafka:29092"
    assert (env["DATABASE_POOL_SIZE"], env["DATABASE_MAX_OVERFLOW"]) == ("10", "20")
    assert env["CORS_ORIGINS"] == "http://localhost:3000"
    assert (env["LOG_LEVEL"], env["LOG_FORMAT"]) == ("INFO", "json")

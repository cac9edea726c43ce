"""The variables that the stack renders are those that the service reads, in both directions."""

import pytest

from infra.components.service import api_env, common_env
from infra.endpoints import KafkaEndpoint
from service.platform.settings import Settings
from stacks.model import Stack
from stacks.parts import Pool
from tests.program.conftest import CONTAINER, Deploy

pytestmark = pytest.mark.ring("unit")

NOT_FROM_THE_STACK = {
    "GRACEFUL_SHUTDOWN_SECONDS",
    "READINESS_REQUIRES_KAFKA",
}
"""Read by the service, left at their defaults by every stack."""


def known() -> set[str]:
    return {name.upper() for name in Settings.model_fields}


def rendered(deploy: Deploy) -> set[str]:
    containers = deploy().of(CONTAINER)
    parts = ("migrations", "api", "relay", "executor")
    return {env.split("=")[0].removesuffix("_FILE") for part in parts for env in containers[part]["envs"]}


@pytest.mark.item("config-values-validated")
def test_every_rendered_variable_is_read_by_the_service(deploy: Deploy) -> None:
    assert rendered(deploy) - known() == set()


@pytest.mark.item("config-values-validated")
def test_every_variable_of_the_service_is_rendered_or_left_on_purpose(deploy: Deploy) -> None:
    assert known() - rendered(deploy) == NOT_FROM_THE_STACK


def test_the_default_stack_renders_the_documented_values() -> None:
    stack = Stack(name="dev")
    kafka = KafkaEndpoint("kafka:29092")
    env = {**common_env(stack, Pool()), **kafka.env("api"), **api_env(stack)}
    assert env["KAFKA_BROKERS"] == "kafka:29092"
    assert (env["DATABASE_POOL_SIZE"], env["DATABASE_MAX_OVERFLOW"]) == ("10", "20")
    assert env["CORS_ORIGINS"] == "http://localhost:3000"
    assert (env["LOG_LEVEL"], env["LOG_FORMAT"]) == ("INFO", "json")

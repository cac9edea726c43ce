"""The relations inside a description, each seen to fail."""

from typing import Any

import pytest

from stacks.errors import StackError
from stacks.load import parse_stack
from stacks.model import PROJECT, Stack

pytestmark = pytest.mark.ring("unit")


def refusal(**config: Any) -> str:
    with pytest.raises(StackError) as refused:
        parse_stack("dev", {f"{PROJECT}:{key}": value for key, value in config.items()})
    return "\n".join(refused.value.faults)


def test_the_defaults_alone_are_a_valid_stack() -> None:
    assert Stack(name="dev").api.port == 8000


@pytest.mark.parametrize(
    ("config", "key", "item"),
    [
        ({"api": {"workers": 2, "reload": True}}, "api.reload", "api-reload-off"),
        ({"api": {"workers": 4, "pool": {"size": 10, "overflow": 20}}}, "api.workers", "api-workers-formula"),
        ({"api": {"workers": 3, "pool": {"size": 5, "overflow": 10}}}, "api.pool.size", "database-pool-size-formula"),
        ({"api": {"pool": {"size": 10, "overflow": 5}}}, "api.pool.overflow", "database-max-overflow-formula"),
        ({"api": {"defaultPageSize": 200}}, "api.defaultPageSize", "page-size-settings"),
        ({"api": {"cors": {"origins": ["*"]}}}, "api.cors.origins", "cors-credentials-safe"),
        ({"postgres": {"maxConnections": 30}}, "postgres.maxConnections", "pool-not-exhausted"),
        ({"postgres": {"sharedBuffers": "400Mi"}}, "postgres.sharedBuffers", "resource-limits-set"),
        ({"kafka": {"heap": "1Gi"}}, "kafka.heap", "resource-limits-set"),
        ({"prometheus": {"publishedPort": 8000}}, "api.publishedPort", "required-ports-free"),
    ],
)
def test_a_wrong_relation_names_its_key_and_its_checklist_item(config: dict[str, Any], key: str, item: str) -> None:
    faults = refusal(**config)
    assert f"{PROJECT}:{key} is" in faults
    assert f"[{item}]" in faults


def test_a_wildcard_origin_without_credentials_is_allowed() -> None:
    stack = parse_stack("dev", {f"{PROJECT}:api": {"cors": {"origins": ["*"], "allowCredentials": False}}})
    assert stack.api.cors.origins == ("*",)


def test_every_wrong_relation_is_told_at_once() -> None:
    faults = refusal(api={"defaultPageSize": 200, "cors": {"origins": ["*"]}}, postgres={"maxConnections": 20})
    assert faults.count("\n") == 2


def test_the_advice_for_connections_is_enough() -> None:
    advised = int(refusal(postgres={"maxConnections": 30}).split("raise it to ")[1].split(" ")[0])
    assert parse_stack("dev", {f"{PROJECT}:postgres": {"maxConnections": advised}}).postgres.max_connections == advised


def test_a_stack_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Stack(name="dev").api.port = 1  # type: ignore[misc]

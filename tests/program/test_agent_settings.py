"""What agents may use: secrets as files of the executors alone, and topics."""

import base64
from typing import Any

import pulumi
import pytest

from infra.components.service import AGENT_SECRETS
from service.executor.kinds.secrets import NAME_PATTERN
from stacks.load import load_stack
from stacks.model import PROJECT
from tests.program.conftest import CONTAINER, Deploy
from tests.program.test_env_names import ROOT

pytestmark = pytest.mark.ring("unit")

SECRET_MARK = "4dabf18193072939515e22adb298388d"
VALUE = "sesame-open-sesame"
EXECUTOR = {"agentSecrets": ["shop", "Bank.token"], "kafkaTopics": ["shop.orders", "shop.bills"]}


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator has given both secrets."""
    values = {f"{PROJECT}:agentSecret-shop": VALUE, f"{PROJECT}:agentSecret-Bank.token": VALUE.upper()}
    monkeypatch.setattr(pulumi.Config, "get_secret", lambda self, key: _output(values.get(f"{PROJECT}:{key}")))


def _output(value: str | None) -> pulumi.Output[str] | None:
    return None if value is None else pulumi.Output.secret(value)


def env(container: dict[str, Any]) -> dict[str, str]:
    return dict(each.split("=", 1) for each in container["envs"])


def test_on_docker_each_executor_has_the_files_and_nobody_else(deploy: Deploy) -> None:
    containers = deploy({"executor": {**EXECUTOR, "instances": 2}}).of(CONTAINER)
    for part in ("executor", "executor-2"):
        assert env(containers[part])["AGENT_SECRETS_DIR"] == "/config/secrets/agents"
        uploads = {each["file"].partition("/secrets/")[2]: each["content"] for each in _uploads(containers, part)}
        assert (uploads["agents/shop"], uploads["agents/Bank.token"]) == (VALUE, VALUE.upper())
    holders = {name for name, each in containers.items() if VALUE in str(each)}
    assert holders == {"executor-config", "executor-2-config"}


def _uploads(containers: dict[str, dict[str, Any]], part: str) -> list[dict[str, str]]:
    return list(_plain(containers[f"{part}-config"]["uploads"]))


def _plain(recorded: Any) -> Any:
    """What the engine was told is secret comes with a mark around it."""
    return recorded["value"] if isinstance(recorded, dict) and SECRET_MARK in recorded else recorded


def test_on_a_cluster_they_are_in_the_executors_secret_and_no_pod_is_rolled_for_them(deploy: Deploy) -> None:
    stack = load_stack("prod", ROOT)
    chosen = {"agent_secrets": ("shop", "Bank.token"), "kafka_topics": ("shop.orders",)}
    executor = stack.executor.model_copy(update=chosen)
    described = stack.model_copy(update={"executor": executor})
    engine = deploy(stack=described, grafana="left out for the test")
    encoded = base64.b64encode(VALUE.encode()).decode()
    data = _plain(engine.kubernetes("Secret")["executor-secrets"]["data"])
    assert data["agents__shop"] == encoded
    assert {name for name, each in engine.kubernetes("Secret").items() if encoded in str(each)} == {"executor-secrets"}
    template = engine.kubernetes("Deployment")["executor"]["spec"]["template"]
    paths = {
        item["key"]: item["path"]
        for volume in template["spec"]["volumes"]
        for source in (volume.get("projected") or {}).get("sources", ())
        for item in (source.get("secret") or {}).get("items", ())
    }
    assert paths["agents__Bank.token"] == f"secrets/{AGENT_SECRETS}/Bank.token"
    without = deploy(
        stack=stack.model_copy(update={"executor": executor.model_copy(update={"agent_secrets": ("shop",)})}),
        grafana="left out for the test",
    ).kubernetes("Deployment")["executor"]["spec"]["template"]
    assert without["metadata"] == template["metadata"]


def test_a_secret_that_was_not_given_is_named_with_the_command_that_gives_it(deploy: Deploy) -> None:
    with pytest.raises(Exception, match="`pulumi config set --secret agentSecret-absent`"):
        deploy({"executor": {"agentSecrets": ["absent"]}})


def test_the_allowed_topics_reach_executors_and_migrations_and_nobody_else(deploy: Deploy) -> None:
    containers = deploy({"executor": EXECUTOR}).of(CONTAINER)
    told = {name: env(each).get("KAFKA_AGENT_TOPICS") for name, each in containers.items() if each.get("envs")}
    assert {name: value for name, value in told.items() if value} == dict.fromkeys(
        ("executor", "migrations"), "shop.orders,shop.bills"
    )


def test_the_topics_of_replies_reach_executors_and_migrations_and_nobody_else(deploy: Deploy) -> None:
    containers = deploy({"executor": {"kafkaReplyTopics": ["shop.answers"]}}).of(CONTAINER)
    told = {name: env(each).get("KAFKA_AGENT_REPLY_TOPICS") for name, each in containers.items() if each.get("envs")}
    assert {name: value for name, value in told.items() if value} == dict.fromkeys(
        ("executor", "migrations"), "shop.answers"
    )


def test_by_default_agents_may_use_nothing(deploy: Deploy) -> None:
    executor = env(deploy().of(CONTAINER)["executor"])
    assert (executor["AGENT_SECRETS_DIR"], executor["KAFKA_AGENT_TOPICS"]) == ("", "")


def test_a_name_that_a_stack_takes_is_one_that_the_service_takes() -> None:
    assert NAME_PATTERN == r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$", "stacks.parts.service has a narrower one"

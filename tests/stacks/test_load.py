"""From config files to a Stack."""

import json
from pathlib import Path

import pytest

from stacks.ephemeral import ephemeral_stack
from stacks.errors import StackError
from stacks.load import SECRET_KEYS, config_file, load_release, load_stack, load_stack_of_program, parse_stack
from stacks.model import PROJECT

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]


@pytest.mark.item("stack-config-dev-complete")
def test_the_dev_stack_is_valid() -> None:
    assert load_stack("dev", ROOT).name == "dev"


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(StackError, match=f"{PROJECT}:api.replicaz is not a setting"):
        parse_stack("dev", {f"{PROJECT}:api": {"replicaz": 2}})


def test_an_unknown_part_is_refused_by_name() -> None:
    with pytest.raises(StackError, match=f"{PROJECT}:mongodb is not a setting"):
        parse_stack("dev", {f"{PROJECT}:mongodb": {}})


def test_a_wrong_amount_of_memory_says_what_would_be_right() -> None:
    with pytest.raises(StackError, match="512Mi"):
        parse_stack("dev", {f"{PROJECT}:kafka": {"resources": {"memory": "1 GB"}}})


@pytest.mark.parametrize("key", sorted(SECRET_KEYS))
def test_a_secret_in_plain_text_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(StackError, match="--secret") as refused:
        parse_stack("dev", {f"{PROJECT}:{key}": "hunter2-hunter2-hunter2-hunter2-"})
    assert "hunter2" not in str(refused.value)


def test_an_encrypted_secret_is_left_to_the_engine() -> None:
    key = f"{PROJECT}:jwtSecret"
    assert parse_stack("dev", {key: {"secure": "v1:abc"}}, [key]).name == "dev"


def test_an_encrypted_setting_that_is_no_secret_is_refused() -> None:
    key = f"{PROJECT}:api"
    with pytest.raises(StackError, match="is encrypted"):
        parse_stack("dev", {key: {"secure": "v1:abc"}}, [key])


AGENTS = {f"{PROJECT}:executor": {"agentSecrets": ["shop"]}}


def test_a_secret_of_agents_is_left_to_the_engine_like_the_others() -> None:
    key = f"{PROJECT}:agentSecret-shop"
    assert parse_stack("dev", {**AGENTS, key: {"secure": "v1:abc"}}, [key]).executor.agent_secrets == ("shop",)


def test_a_secret_of_agents_in_plain_text_is_refused_without_being_shown() -> None:
    with pytest.raises(StackError, match="`pulumi config set --secret agentSecret-shop`") as refused:
        parse_stack("dev", {**AGENTS, f"{PROJECT}:agentSecret-shop": "hunter2-hunter2"})
    assert "hunter2" not in str(refused.value)


def test_a_secret_of_agents_that_nobody_may_use_is_refused() -> None:
    key = f"{PROJECT}:agentSecret-other"
    with pytest.raises(StackError, match=r"executor\.agentSecrets does not name other"):
        parse_stack("dev", {**AGENTS, key: {"secure": "v1:abc"}}, [key])


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ""])
def test_the_name_of_a_secret_of_agents_is_that_of_a_file(name: str) -> None:
    with pytest.raises(StackError, match=r"executor\.agentSecrets"):
        parse_stack("dev", {f"{PROJECT}:executor": {"agentSecrets": [name]}})


def test_agents_may_not_be_let_at_the_services_own_topics() -> None:
    with pytest.raises(StackError, match=r"executor\.kafkaTopics is workflow\.execution\.requests"):
        parse_stack("dev", {f"{PROJECT}:executor": {"kafkaTopics": ["workflow.execution.requests"]}})
    with pytest.raises(StackError, match=r"executor\.kafkaReplyTopics is workflow\.execution\.requests"):
        parse_stack("dev", {f"{PROJECT}:executor": {"kafkaReplyTopics": ["workflow.execution.requests"]}})


def test_keys_of_other_namespaces_are_left_alone() -> None:
    assert parse_stack("dev", {"docker:host": "unix:///var/run/docker.sock"}).name == "dev"


def test_a_missing_file_names_the_stacks_there_are(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}")
    with pytest.raises(StackError, match=r"Pulumi\.prod\.yaml does not exist; there are: dev"):
        load_stack("prod", tmp_path)


def test_broken_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  a: [1\n")
    with pytest.raises(StackError, match="line 3"):
        load_stack("dev", tmp_path)


def test_the_program_reads_what_the_engine_hands_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({f"{PROJECT}:api": json.dumps({"port": 8080})}))
    monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", "[]")
    assert load_stack_of_program("dev", ROOT).api.port == 8080


def test_a_copy_of_a_stack_has_names_and_ports_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text((ROOT / "Pulumi.dev.yaml").read_text())
    dev = load_stack("dev", tmp_path)
    with ephemeral_stack(tmp_path) as name:
        copy = load_stack(name, tmp_path)
        assert copy.docker.prefix != dev.docker.prefix
        assert copy.docker.network != dev.docker.network
        assert not set(copy.published_ports.values()) & set(dev.published_ports.values())
        assert copy.api.pool == dev.api.pool
    assert not config_file(name, tmp_path).exists()


@pytest.mark.parametrize("name", ["prod", "rehearsal"])
def test_the_stacks_on_kubernetes_are_valid(name: str) -> None:
    assert load_stack(name, ROOT).target == "kubernetes"


def test_the_rehearsal_is_the_production_with_other_sizes_only() -> None:
    def without_sizes(name: str) -> dict[str, object]:
        stack = load_stack(name, ROOT)
        document = stack.model_dump(exclude={"name", "kubernetes"})
        return _without(document, SIZES)

    assert without_sizes("rehearsal") == without_sizes("prod")


def _without(document: dict[str, object], names: set[str]) -> dict[str, object]:
    """The document without fields of these names, however deep they are."""
    return {
        name: _without(value, names) if isinstance(value, dict) else value
        for name, value in document.items()
        if name not in names
    }


SIZES = {
    "size", "resources", "pool", "workers", "heap", "max_connections", "shared_buffers", "instances", "autoscaling",
    "retention_days", "storage", "partitions",
    # The rehearsal says that it is one, and is reached under other names.
    "environment", "hosts", "origins", "service_type", "published_port", "published_http_port",
}  # fmt: skip


def write(folder: Path, name: str, config: str) -> None:
    (folder / f"Pulumi.{name}.yaml").write_text(f"config:\n{config}")


def test_a_stack_that_extends_another_replaces_only_what_it_says(tmp_path: Path) -> None:
    write(tmp_path, "base", f"  {PROJECT}:api: {{workers: 1, port: 8080}}\n  {PROJECT}:relay: {{replicas: 1}}\n")
    write(tmp_path, "small", f"  {PROJECT}:extends: base\n  {PROJECT}:api: {{port: 9000}}\n")
    stack = load_stack("small", tmp_path)
    assert (stack.name, stack.api.port, stack.api.workers) == ("small", 9000, 1)


def test_secrets_are_not_inherited(tmp_path: Path) -> None:
    write(tmp_path, "base", f"  {PROJECT}:jwtSecret: {{secure: v1:abc}}\n")
    write(tmp_path, "small", f"  {PROJECT}:extends: base\n")
    assert load_stack("small", tmp_path).name == "small"


def test_extending_a_stack_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    write(tmp_path, "small", f"  {PROJECT}:extends: nowhere\n")
    with pytest.raises(StackError, match=r"Pulumi.nowhere.yaml does not exist; there are: small"):
        load_stack("small", tmp_path)


def test_a_chain_of_extensions_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "one", f"  {PROJECT}:extends: two\n")
    write(tmp_path, "two", f"  {PROJECT}:extends: three\n")
    with pytest.raises(StackError, match="which itself extends three"):
        load_stack("one", tmp_path)


def test_the_program_sees_the_extended_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "base", f"  {PROJECT}:api: {{port: 8080}}\n")
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({f"{PROJECT}:extends": "base"}))
    assert load_stack_of_program("small", tmp_path).api.port == 8080


def test_a_quota_that_all_parts_together_exceed_is_refused() -> None:
    config = {f"{PROJECT}:target": "kubernetes", f"{PROJECT}:kubernetes": {"quota": {"memory": "1Gi"}}}
    with pytest.raises(StackError, match=r"kubernetes.quota.memory is 1024Mi; all parts together can take \d+Mi"):
        parse_stack("prod", config)


def test_a_quota_without_room_for_what_runs_on_every_node_is_refused() -> None:
    config = {f"{PROJECT}:target": "kubernetes", f"{PROJECT}:kubernetes": {"nodes": 200}}
    with pytest.raises(StackError, match=r"kubernetes.quota.pods is 100; all parts together can take 2\d\d"):
        parse_stack("prod", config)


def record(folder: Path, **changes: object) -> Path:
    """A release record of the stack rehearsal as the commands write it."""
    described = load_stack("rehearsal", ROOT).model_dump(mode="json", by_alias=True, exclude={"name"})
    document = {"stack": "rehearsal", "description": described, "images": {"api": "r.test/api@sha256:ab"}, **changes}
    path = folder / "record.json"
    path.write_text(json.dumps(document))
    return path


def test_a_release_record_gives_the_description_back_with_its_images(tmp_path: Path) -> None:
    stack = load_release("rehearsal", record(tmp_path))
    described = load_stack("rehearsal", ROOT)
    assert stack.images == {"api": "r.test/api@sha256:ab"}
    assert stack == described.model_copy(update={"images": stack.images})


def test_the_program_deploys_the_release_that_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKFLOW_RELEASE", str(record(tmp_path)))
    monkeypatch.setenv("PULUMI_CONFIG", "{}")
    assert load_stack_of_program("rehearsal", tmp_path).images == {"api": "r.test/api@sha256:ab"}


def test_a_release_of_another_stack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="is a release of stack prod"):
        load_release("rehearsal", record(tmp_path, stack="prod"))


@pytest.mark.parametrize("text", ["{", "[]", '{"stack": "rehearsal"}'])
def test_what_is_no_release_record_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(StackError, match="is not a release record"):
        load_release("rehearsal", path)

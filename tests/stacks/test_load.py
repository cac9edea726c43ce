"""From config files to a Stack."""

import json
from pathlib import Path

import pytest

from stacks.ephemeral import ephemeral_stack
from stacks.errors import StackError
from stacks.load import SECRET_KEYS, config_file, load_stack, load_stack_of_program, parse_stack
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
    assert load_stack_of_program("dev").api.port == 8080


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

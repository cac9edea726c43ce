"""What commands read of a stack's config without loading its description."""

from pathlib import Path

import pytest

from ops.stack_config import target_of

pytestmark = pytest.mark.ring("unit")

PREFIX = "workflow-platform"


def write(folder: Path, name: str, **values: str) -> None:
    lines = [f"  {PREFIX}:{key}: {value}" for key, value in values.items()]
    (folder / f"Pulumi.{name}.yaml").write_text("\n".join(["config:", *lines, ""]))


def test_the_target_is_the_one_that_the_config_names(tmp_path: Path) -> None:
    write(tmp_path, "prod", target="kubernetes")
    assert target_of("prod", tmp_path) == "kubernetes"


def test_a_stack_that_extends_another_has_its_target(tmp_path: Path) -> None:
    write(tmp_path, "prod", target="kubernetes")
    write(tmp_path, "rehearsal", extends="prod")
    assert target_of("rehearsal", tmp_path) == "kubernetes"


def test_stacks_that_extend_each_other_come_to_an_end(tmp_path: Path) -> None:
    write(tmp_path, "a", extends="b")
    write(tmp_path, "b", extends="a")
    assert target_of("a", tmp_path) == "docker"


@pytest.mark.parametrize("text", [None, "config: {", "- a list", "config: text"])
def test_a_config_that_is_missing_or_broken_is_taken_for_docker(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "Pulumi.t.yaml").write_text(text)
    assert target_of("t", tmp_path) == "docker"

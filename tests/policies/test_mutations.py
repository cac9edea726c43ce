"""Each requirement's mutation turns exactly that requirement red: by the command, and in the engine's preview."""

import random
from pathlib import Path

import pytest

from ops.home import PROJECT_DIR
from tests.policies.mutations import all_mutations
from tests.policies.mutations.harness import Mutation, judged, mutated, previewed

MUTATIONS = all_mutations()
SAMPLE = random.Random(20261122).sample(MUTATIONS, min(5, len(MUTATIONS)))  # noqa: S311 - the same every time
PREVIEWED = [each for each in SAMPLE if each.stack == "dev"][:2]


def caught(mutation: Mutation, folder: Path) -> None:
    """AssertionError unless the mutation blocks with its own requirement and nothing unexpected."""
    with mutated(mutation, folder) as copy:
        judgement = judged(copy, mutation.stack)
    found = {each["item"] for each in judgement["findings"] if each["blocks"]}
    assert found == {mutation.item, *mutation.consequences}


@pytest.mark.ring("policies")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=[each.id for each in MUTATIONS])
def test_a_mutation_is_caught(mutation: Mutation, tmp_path: Path) -> None:
    caught(mutation, tmp_path)


@pytest.mark.ring("unit")
@pytest.mark.parametrize("mutation", SAMPLE, ids=[each.id for each in SAMPLE])
def test_a_mutation_of_the_sample_is_caught(mutation: Mutation, tmp_path: Path) -> None:
    caught(mutation, tmp_path)


@pytest.mark.ring("stack")
def test_the_good_dev_stack_previews_under_the_pack(tmp_path: Path) -> None:
    with mutated(None, tmp_path) as copy:
        done = previewed(copy, "dev", tmp_path / "state")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "[mandatory]" not in done.stdout
    assert "workflow-platform@v" in done.stdout, "the pack was not run"


@pytest.mark.ring("stack")
@pytest.mark.parametrize("mutation", PREVIEWED, ids=[each.id for each in PREVIEWED])
def test_a_preview_of_a_mutation_fails_with_its_name(mutation: Mutation, tmp_path: Path) -> None:
    with mutated(mutation, tmp_path) as copy:
        done = previewed(copy, mutation.stack, tmp_path / "state")
    assert done.returncode != 0
    assert f"  {mutation.item}" in done.stdout or f"[{mutation.item}]" in done.stdout + done.stderr


@pytest.mark.ring("unit")
def test_no_mutation_is_left_in_the_project() -> None:
    for mutation in MUTATIONS:
        text = (PROJECT_DIR / mutation.file).read_text(encoding="utf-8")
        assert text.count(mutation.old) == 1, f"{mutation.id}: {mutation.file} has not once: {mutation.old}"

"""Each requirement's mutation turns exactly that requirement red: by the command, and in the engine's preview."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import cluster as cluster_commands
from ops.console import Progress
from ops.context import Context
from ops.home import PROJECT_DIR, Home
from ops.records import CommandLog
from ops.release_tools import ClusterTools
from policies.engine.rule import all_rules
from policies.view.project import Project
from tests.policies.mutations import all_mutations
from tests.policies.mutations.good_tree import GoodTree, good_tree
from tests.policies.mutations.harness import REPORTS, Mutation, judged, mutated, previewed, told_by
from tests.policies.mutations.try_out import what_is_wrong

MUTATIONS = all_mutations()
IDS = [each.id for each in MUTATIONS]
SAMPLE = random.Random(20261122).sample(MUTATIONS, min(6, len(MUTATIONS)))  # noqa: S311 - the same every time
OF_FILES = {rule.name for rule in all_rules() if rule.on is Project}
"""Rules about the project's files, the reports and the history: the engine sees resources only."""
DEPLOYED = [each for each in MUTATIONS if each.check not in OF_FILES]
OF_GRAFANA = {rule.name for rule in all_rules() if rule.parts == {"grafana"} or rule.name.startswith("grafana_")}
PREVIEWED = [each for each in DEPLOYED if each.stack == "dev"][:2]
"""Seen by the engine in a test of every change; all of DEPLOYED are in the ring `policies`."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoodTree]:
    """One copy for all: each mutation is taken back."""
    with good_tree(tmp_path_factory.mktemp("mutated")) as made:
        yield made


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the states of its stacks."""
    return tmp_path_factory.mktemp("states")


@pytest.mark.ring("policies")
@pytest.mark.parametrize("mutation", MUTATIONS, ids=IDS)
def test_a_mutation_is_found_and_nothing_else(mutation: Mutation, tree: GoodTree) -> None:
    assert what_is_wrong(mutation, tree) == ""


@pytest.mark.ring("unit")
@pytest.mark.parametrize("mutation", SAMPLE, ids=[each.id for each in SAMPLE])
def test_a_mutation_of_the_sample_is_found_and_nothing_else(mutation: Mutation, tree: GoodTree) -> None:
    assert what_is_wrong(mutation, tree) == ""


@pytest.mark.ring("unit")
@pytest.mark.parametrize("stack", ["dev", "prod"])
@pytest.mark.parametrize("as_released", [False, True], ids=["as-proposed", "as-released"])
def test_nothing_is_found_in_the_good_tree(stack: str, as_released: bool, tree: GoodTree) -> None:
    assert judged(tree, stack, as_released=as_released)["findings"] == []


@pytest.mark.ring("stack")
def test_the_good_dev_stack_previews_under_the_pack(tree: GoodTree, states: Path) -> None:
    done = previewed(tree, "dev", states / "dev")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert told_by(done) == set()
    assert "workflow-platform@v" in done.stdout, "the pack was not run"


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One that a preview of prod can ask, with this tree's images; taken down again if it did not run before."""
    home = Home.of().make()
    started_here = not cluster_commands.status(home)["running"]
    cluster_commands.up(home, Progress())
    ClusterTools(Context(home, CommandLog(home.logs, "push")), "prod").images()
    yield
    if started_here:
        cluster_commands.down(home, Progress(), purge=False)


@pytest.mark.ring("policies")
@pytest.mark.usefixtures("cluster")
def test_the_good_prod_stack_previews_under_the_pack(tree: GoodTree, states: Path) -> None:
    done = previewed(tree, "prod", states / "prod")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert told_by(done) == set()


@pytest.mark.ring("stack")
@pytest.mark.parametrize("mutation", PREVIEWED, ids=[each.id for each in PREVIEWED])
def test_a_preview_of_the_sample_fails_with_its_name(mutation: Mutation, tree: GoodTree, states: Path) -> None:
    preview_fails(mutation, tree, states)


@pytest.mark.ring("policies")
@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("mutation", DEPLOYED, ids=[each.id for each in DEPLOYED])
def test_a_preview_of_a_mutation_fails_with_its_name(mutation: Mutation, tree: GoodTree, states: Path) -> None:
    preview_fails(mutation, tree, states)


def preview_fails(mutation: Mutation, tree: GoodTree, states: Path) -> None:
    """AssertionError unless the engine's preview of it is blocked by exactly its requirement."""
    with mutated(mutation, tree):
        done = previewed(tree, mutation.stack, states / mutation.stack)
    told = done.stdout + done.stderr
    if "Grafana is left out" in told and mutation.check in OF_GRAFANA:
        pytest.skip("Grafana's image can't be had here, so that there is no Grafana whose fault could be seen")
    if mutation.check == "model":
        assert f"[{mutation.item}]" in told, told[-3000:]
    else:
        # Consequences may be of rules that need no resource, and so not the engine's.
        assert {mutation.item} <= told_by(done) <= {mutation.item, *mutation.consequences}, told[-3000:]
    assert done.returncode != 0


@pytest.mark.ring("unit")
def test_no_mutation_is_left_in_the_project() -> None:
    for mutation in MUTATIONS:
        if mutation.file and not mutation.file.startswith(REPORTS):
            text = (PROJECT_DIR / mutation.file).read_text(encoding="utf-8")
            assert text.count(mutation.old) == 1, f"{mutation.id}: {mutation.file} has not once: {mutation.old}"


@pytest.mark.ring("unit")
def test_every_requirement_with_rules_has_a_mutation() -> None:
    assert {each.item for each in MUTATIONS} == {rule.item for rule in all_rules()}

"""The pack judges programs that are not ours: what is generic is found, what is about our settings does not apply."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from policies.engine.findings import Judgement
from policies.engine.judge import judge
from policies.engine.rule import all_rules
from policies.engine.subjects import NOTHING
from policies.errors import PolicyError
from policies.sources.manifests import manifests_of, read_manifests
from policies.sources.program import record
from policies.view.parts import Platform, PlatformPart
from tests.policies.conftest import profiles, recorded, through_the_sdk
from tests.policies.foreign import docker_shop, kubernetes_shop

pytestmark = pytest.mark.ring("unit")


def judged(program: Callable[[], None]) -> Judgement:
    deployment = through_the_sdk(record(program, "shop", "live"))
    return judge(deployment, all_rules(), profiles())


@pytest.mark.parametrize("program", [docker_shop.careless, kubernetes_shop.careless], ids=["docker", "kubernetes"])
def test_rules_about_our_own_settings_are_told_as_not_applicable(program: Callable[[], None]) -> None:
    found = judged(program)
    ours = {rule.item for rule in all_rules() if rule.on in (Platform, PlatformPart)}
    others = {rule.item for rule in all_rules() if rule.on not in (Platform, PlatformPart)}
    asked = {item for item in ours - others if profiles().demand(item).levels["prod"] != "off"}
    assert asked - set(found.not_applicable) == set()
    reasons = {NOTHING[Platform], NOTHING[PlatformPart]}
    assert {found.not_applicable[item] for item in asked} <= reasons
    assert found.blocked


def test_a_careless_program_on_docker_is_told_what_is_wrong() -> None:
    found = {(each.check, each.resource.rpartition("::")[2]) for each in judged(docker_shop.careless).findings}
    assert ("containers_are_not_privileged", "shop-web") in found
    assert ("containers_drop_all_rights_of_root", "shop-db") in found


def test_a_careless_program_on_kubernetes_is_told_what_is_wrong_in_its_init_container_too() -> None:
    findings = judged(kubernetes_shop.careless).findings
    found = {(each.check, each.path) for each in findings}
    privileged = "spec.template.spec.initContainers[0].securityContext.privileged"
    assert ("containers_are_not_privileged", privileged) in found
    assert "containers_cannot_change_their_own_files" in {each.check for each in findings}


def test_rendered_manifests_are_judged_like_the_program_that_made_them(tmp_path: Path) -> None:
    documents = manifests_of(record(kubernetes_shop.careless, "shop", "live"))
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    of_files = judge(read_manifests(tmp_path, "live"), all_rules(), profiles())
    of_program = judged(kubernetes_shop.careless)
    assert {(each.check, each.path) for each in of_files.findings} == {
        (each.check, each.path) for each in of_program.findings
    }


def test_our_own_manifests_have_every_object_that_the_program_registers() -> None:
    production = recorded("prod")
    objects = [each for each in production.resources if each.target == "kubernetes"]
    assert len(manifests_of(production)) == len(objects)


def test_our_own_manifests_are_judged_as_their_stack_and_not_by_what_manifests_cannot_tell(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(manifests_of(recorded("prod"))))
    deployment = read_manifests(tmp_path)
    assert deployment.stack == "prod"
    judgement = judge(deployment, all_rules(), profiles())
    # Whether another stack has the same key is known by fingerprints only.
    assert {each.item for each in judgement.findings} == {"jwt-secret-unique-per-environment"}
    assert {"infrastructure-first", "monitoring-urls-exported"} <= set(judgement.not_applicable)


def test_manifests_name_the_namespace_of_the_provider() -> None:
    spaces = {each["kind"]: each["metadata"].get("namespace") for each in manifests_of(recorded("prod"))}
    assert spaces["StatefulSet"] == "workflow-prod"
    assert spaces["Namespace"] is None


@pytest.mark.parametrize(
    ("text", "what"),
    [("a: [", "not YAML"), ("- 1", "is no object"), ("kind: Pod", "no `apiVersion`"), ("", "has no manifests")],
)
def test_wrong_manifests_are_refused(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(PolicyError, match=what):
        read_manifests(tmp_path)

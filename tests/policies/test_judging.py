"""What a rule's answer means for the gate."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies.engine.findings import Judgement
from policies.engine.judge import judge
from policies.engine.profiles import Demand, Profiles
from policies.engine.rule import PRODUCTION_ITSELF, Check, Fault, Rule, rule
from policies.engine.waivers import WAIVER_ITEM, Waiver
from policies.view.deployment import Deployment
from policies.view.parts import PlatformPart
from policies.view.pods import Container
from policies.view.project import Project
from policies.view.resources import Resource
from policies.view.targets import place
from policies.view.tokens import CONTAINER
from policies.view.values import UNKNOWN, Value

pytestmark = pytest.mark.ring("unit")

TODAY = date(2026, 6, 1)


def privileged(container: Container) -> Iterator[Fault]:
    """A toy rule."""
    if container.privileged.flag():
        yield Fault(container.privileged, "is privileged")


def broken(_container: Container) -> Iterator[Fault]:
    """A rule with a bug."""
    raise KeyError("secret-value")


def toy(check: Check, on: type = Container, **named: Any) -> Rule:
    given: dict[str, Any] = {
        "item": "toy",
        "name": check.__name__,  # type: ignore[attr-defined]
        "on": on,
        "check": check,
        "wanted": "not that",
        "mend": "change it",
        "parts": frozenset(),
        "environments": frozenset(),
        "kinds": frozenset(),
        "where": lambda _subject: True,
    }
    return Rule(**{**given, **named})


def container(name: str, **inputs: Any) -> Resource:
    return Resource(f"urn:pulumi:t::p::{CONTAINER}::{name}", CONTAINER, name, Value({"name": name, **inputs}))


def profiles(level: Any = "mandatory", waivable: bool = True) -> Profiles:
    demand = Demand("high", waivable, dict.fromkeys(("dev", "prod", "rehearsal"), level), {"dev": "why", "prod": "why"})
    return Profiles({"dev": ("t",)}, {"toy": demand})


def judged(*resources: Resource, check: Check = privileged, level: Any = "mandatory", **named: Any) -> Judgement:
    rules = [named.pop("rule", None) or toy(check)]
    return judge(Deployment("t", resources), rules, profiles(level, named.pop("waivable", True)), today=TODAY, **named)


def test_what_is_right_passes_and_is_counted() -> None:
    found = judged(container("a"), container("b", privileged=False))
    assert (found.blocked, found.passed) == (False, {"toy": 2})


def test_a_fault_blocks_and_says_where_and_what_would_be_right() -> None:
    (finding,) = judged(container("a", privileged=True)).findings
    assert finding.blocks
    assert (finding.place, finding.what, finding.wanted) == ("Container a: privileged", "is privileged", "not that")
    assert finding.reference == "docs/policies.md#toy"


def test_a_fault_of_several_resources_names_the_one_and_can_be_waived_by_it() -> None:
    def together(deployment: Deployment) -> Iterator[Fault]:
        yield from (Fault(place(each, "privileged"), "is privileged") for each in deployment.resources[1:])

    together.__doc__ = "A toy rule about the whole."
    deployment = Deployment("t", [container("a"), container("b")])
    (found,) = judge(deployment, [toy(together, on=Deployment)], profiles()).findings
    assert found.resource == deployment.resources[1].urn
    assert found.place == "Container b: privileged"


def test_an_unknown_field_blocks_as_not_evaluated_and_hides_nothing_else() -> None:
    found = judged(container("a", privileged=UNKNOWN), container("b", privileged=True))
    assert [(each.status, each.place, each.blocks) for each in found.findings] == [
        ("not evaluated", "Container a: privileged", True),
        ("fail", "Container b: privileged", True),
    ]


def test_a_broken_rule_blocks_and_tells_no_value() -> None:
    (finding,) = judged(container("a"), check=broken).findings
    assert (finding.status, finding.blocks) == ("not evaluated", True)
    assert "secret-value" not in str(finding)


def test_an_advisory_finding_is_told_and_does_not_block() -> None:
    found = judged(container("a", privileged=True), level="advisory")
    assert (found.blocked, len(found.findings)) == (False, 1)


def test_what_a_profile_leaves_out_is_told_with_its_reason() -> None:
    found = judged(container("a", privileged=True), level="off")
    assert (found.findings, found.off) == ([], {"toy": "why"})


def test_a_stack_that_no_pattern_names_is_judged_as_production() -> None:
    assert profiles().environment_of("somebody-elses") == "prod"


@pytest.mark.parametrize("on", [PlatformPart, Project])
def test_a_rule_that_finds_nothing_to_look_at_is_not_applicable_and_has_not_passed(on: type) -> None:
    found = judged(container("a"), rule=toy(privileged, on))
    assert (found.passed, list(found.not_applicable)) == ({}, ["toy"])


def test_what_a_rule_does_not_look_at_is_not_counted_as_right() -> None:
    found = judged(
        container("a"), container("b"), rule=toy(privileged, where=lambda each: each.spec["name"].text() == "a")
    )
    assert found.passed == {"toy": 1}


def waiver(urn: str = "*::a", until: date = date(2026, 6, 1)) -> Waiver:
    return Waiver("toy", urn, "a test", "me", until, "waivers.yaml:3")


def test_a_waiver_lets_pass_what_it_matches_and_nothing_else() -> None:
    found = judged(container("a", privileged=True), container("b", privileged=True), waivers=[waiver()])
    assert [(each.resource[-1], each.blocks) for each in found.findings] == [("a", False), ("b", True)]
    assert found.findings[0].waiver == "a test (me, until 2026-06-01)"


@pytest.mark.parametrize(
    ("given", "waivable", "what"),
    [
        (waiver(until=date(2026, 5, 31)), True, "has expired"),
        (waiver(urn="*::nobody"), True, "covers nothing"),
        (waiver(), False, "can't be waived"),
    ],
)
def test_a_waiver_that_must_not_count_is_itself_a_finding(given: Waiver, waivable: bool, what: str) -> None:
    found = judged(container("a", privileged=True), waivers=[given], waivable=waivable)
    assert [each.blocks for each in found.findings] == [True, True]
    about = found.findings[1]
    assert (about.item, about.path) == (WAIVER_ITEM, "waivers.yaml:3")
    assert what in about.what


def test_a_waiver_for_another_stack_is_passed_over() -> None:
    found = judged(container("a", privileged=True), waivers=[waiver(urn="urn:pulumi:other::*")])
    assert [each.item for each in found.findings] == ["toy"]
    assert found.blocked


def test_a_waiver_is_not_called_needless_where_its_rule_could_not_be_asked() -> None:
    of_files = toy(broken, on=Project)
    assert judged(rule=of_files, waivers=[waiver()]).findings == []


def test_a_rehearsal_is_judged_as_production_where_nothing_else_is_said() -> None:
    asked = toy(privileged, environments=frozenset({"prod"}))
    found = judged(container("a", privileged=True), rule=asked, environment="rehearsal")
    assert found.blocked


@pytest.mark.parametrize(("environment", "blocks"), [("prod", True), ("rehearsal", False), ("dev", False)])
def test_a_rule_about_production_itself_is_not_asked_of_its_rehearsals(environment: str, blocks: bool) -> None:
    only = toy(privileged, environments=frozenset({PRODUCTION_ITSELF}))
    deployment = Deployment("any", [container("a", privileged=True)])
    assert judge(deployment, [only], profiles(), environment=environment).blocked == blocks


def test_a_rule_without_a_reason_is_refused() -> None:
    with pytest.raises(TypeError, match="has no docstring"):

        @rule("toy", on=Container, wanted="x")
        def nothing_said(_container: Container) -> Iterator[Fault]:
            yield from ()


def reported(project: Project) -> Iterator[Fault]:
    """A rule about a report."""
    if project.report("tests") is None:
        yield Fault("tests.json", "is missing")


def test_without_reports_a_rule_about_them_is_not_applicable(tmp_path: Path) -> None:
    asked = toy(reported, Project)
    found = judged(container("a"), rule=asked, project=Project(tmp_path, "t"))
    assert (found.findings, found.passed) == ([], {})
    assert "were not given" in found.not_applicable["toy"]
    found = judged(container("a"), rule=asked, project=Project(tmp_path, "t", tmp_path))
    assert [each.what for each in found.findings] == ["is missing"]

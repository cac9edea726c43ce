"""Every rule passes the good deployments and turns red under its cases, and nothing else of its name does."""

from collections.abc import Sequence

import pytest

from policies.engine.rule import all_rules
from policies.view.project import Project
from policies.view.resources import Resource
from tests.policies.cases import all_cases
from tests.policies.changes import Case
from tests.policies.conftest import Judge, profiles, recorded, rules_by_name

pytestmark = pytest.mark.ring("unit")

CASES = all_cases()


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_good_deployments_have_no_finding(environment: str, findings: Judge) -> None:
    assert [f"{each.item}: {each.place}: {each.what}" for each in findings(recorded(environment))] == []


@pytest.mark.parametrize("case", CASES, ids=[each.id for each in CASES])
def test_a_rule_sees_the_change(case: Case, findings: Judge) -> None:
    found = findings(case.change(recorded(case.environment)), case.check)
    assert {each.status for each in found} == {case.status}, found
    assert {each.check for each in found} == {case.check}
    if case.path is not None:
        assert all(case.path in each.place for each in found), found
    assert all(each.what and each.wanted for each in found if each.status == "fail"), found


@pytest.mark.parametrize("case", CASES, ids=[each.id for each in CASES])
def test_no_finding_tells_a_value(case: Case, findings: Judge) -> None:
    before = recorded(case.environment)
    after = case.change(before)
    # A copy shares what was not changed.
    same = {id(each) for each in before.resources}
    changed = [each for each in after.resources if id(each) not in same]
    added = texts_of(changed) - texts_of(before.resources)
    if not added:
        return
    told = [f"{each.what} {each.wanted} {each.mend}" for each in findings(after, case.check)]
    assert [text for text in added if any(text in each for each in told)] == []


def texts_of(resources: Sequence[Resource]) -> set[str]:
    """Every text in them that is long enough to be recognised."""
    leaves = (leaf for each in resources for leaf in each.inputs.walk() if not leaf.path.endswith(".name"))
    return {leaf.content for leaf in leaves if isinstance(leaf.content, str) and len(leaf.content) > 5}


def test_every_rule_has_a_case_that_fails_and_one_that_is_not_known() -> None:
    bare = {
        (name, status)
        for name, rule in rules_by_name().items()
        for status in ("fail", "not evaluated")
        if rule.on is not Project
        if not any(case.check == name and case.status == status for case in CASES)
    }
    assert sorted(bare) == []


def test_every_case_names_a_rule() -> None:
    assert {case.check for case in CASES} - set(rules_by_name()) == set()


def test_every_rule_is_of_an_item_that_the_profiles_have() -> None:
    assert {rule.item for rule in all_rules()} - set(profiles().demands) == set()

"""Every check that only a stack on a cluster has is green on a recorded stack and red on the smallest fault."""

from typing import Any

import pytest

from tests.infra.unit.red import of_broker, of_cluster, of_database, of_entry, of_network_rules, of_settings
from tests.infra.unit.red.stage import (
    FAILURES,
    FOLDER,
    Check,
    Red,
    checks,
    failed_at,
    name_of,
    outcome,
    parameters,
    run,
    sites,
)

pytestmark = pytest.mark.ring("unit")

CASES: list[Red] = [
    case
    for part in (of_broker, of_cluster, of_database, of_entry, of_network_rules, of_settings)
    for case in part.red.cases
]
GREEN = [(check, given) for check in checks().values() for given in parameters(check)]


@pytest.mark.parametrize(
    ("check", "given"), GREEN, ids=[f"{name_of(check)} {list(given.values()) or ''}" for check, given in GREEN]
)
def test_a_check_passes_on_a_stack_as_it_should_be(check: Check, given: dict[str, Any]) -> None:
    error = run(check, given)
    if error is not None:
        raise error


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_check_fails_on_its_fault(case: Red) -> None:
    for given, error in zip(parameters(case.check), outcome(case), strict=True):
        assert error is not None, f"it passes {given}"
        assert isinstance(error, FAILURES), f"{given}: {error!r} is no failed assertion"


def test_every_check_has_a_red_case_and_every_red_case_a_check() -> None:
    assert {name_of(case.check) for case in CASES} == checks().keys()


def test_every_assertion_of_the_checks_has_been_seen_red() -> None:
    seen = {place for case in CASES for error in outcome(case) if error is not None for place in failed_at(error)}
    never = [
        site
        for path in FOLDER.glob("test_*.py")
        for site in sites(path)
        if not any(file == site.file and site.first <= line <= site.last for file, line in seen)
    ]
    assert not never, "never seen red:\n" + "\n".join(str(site) for site in sorted(never))

"""The page about the rules is that of the rules there are."""

import pytest

from checklist.catalogue import load
from ops.home import PROJECT_DIR
from policies.engine.rule import all_rules
from tests.policies.mutations import table

pytestmark = pytest.mark.ring("unit")


def test_the_page_is_up_to_date() -> None:
    page = (PROJECT_DIR / "docs" / "policies.md").read_text(encoding="utf-8")
    assert page == table.page(), "python -m tests.policies.mutations.table > docs/policies.md"


def test_every_requirement_that_policies_prove_is_bound_and_no_other() -> None:
    asked = {entry.id for entry in load().values() if "policy" in entry.how}
    assert {rule.item for rule in all_rules()} == asked

"""Wrong profiles and waivers are refused with file, line and field, and nothing is judged."""

from pathlib import Path

import pytest

from checklist.catalogue import load
from policies.engine.profiles import load_profiles
from policies.engine.rule import all_rules
from policies.engine.waivers import WAIVERS, load_waivers
from policies.errors import PolicyError

pytestmark = pytest.mark.ring("unit")

GOOD_WAIVER = """
- item: toy
  urn: "*"
  reason: a test
  owner: me
  expires: 2027-01-31
"""
GOOD_PROFILES = """
stacks:
  dev: [dev]
items:
  toy:
    severity: high
    dev: advisory
    prod: mandatory
    reason: a toy
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text)
    return path


def test_a_good_waiver_is_read(tmp_path: Path) -> None:
    (found,) = load_waivers(written(tmp_path, GOOD_WAIVER), {"toy"})
    assert (found.item, str(found.expires), found.at) == ("toy", "2027-01-31", "file.yaml:2")


def test_no_file_means_no_waivers(tmp_path: Path) -> None:
    assert load_waivers(tmp_path / "none.yaml", {"toy"}) == []


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("item: toy", "item: tOy", "file.yaml:2", "names no item"),
        ("owner: me", "ownr: me", "file.yaml:5", "is not known here"),
        ("  owner: me\n", "", "file.yaml:2", "has no `owner`"),
        ("2027-01-31", "next year", "file.yaml:6", "is no date"),
        ("owner: me", "owner: ''", "file.yaml:5", "must be a text that is not empty"),
        ("owner: me", "owner: me\n  owner: you", "file.yaml:6", "is given twice"),
        ("owner: me", "owner: [me", "file.yaml", "not YAML"),
        ("- item", "all: [a]\n- item", "file.yaml", "not YAML"),
    ],
)
def test_a_wrong_waiver_is_refused_with_its_line(tmp_path: Path, old: str, new: str, where: str, what: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load_waivers(written(tmp_path, GOOD_WAIVER.replace(old, new)), {"toy"})
    assert refused.value.reason.startswith(where)
    assert what in refused.value.reason
    assert refused.value.mend


def test_waivers_that_are_no_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"file\.yaml:1: the file must be a list"):
        load_waivers(written(tmp_path, "toy: a\n"), {"toy"})


def test_good_profiles_are_read(tmp_path: Path) -> None:
    found = load_profiles(written(tmp_path, GOOD_PROFILES))
    assert found.environment_of("dev") == "dev"
    assert found.demand("toy").reasons == {"dev": "a toy"}


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("severity: high", "severity: huge", "file.yaml:6", "is not a word that is known here"),
        ("    severity: high\n", "", "file.yaml:6", "has no `severity`"),
        ("dev: advisory", "dev: maybe", "file.yaml:7", "is not a word that is known here"),
        ("    reason: a toy\n", "", "file.yaml:6", "without a `reason`"),
        ("reason: a toy", "reason: a toy\n    extra: 1", "file.yaml:10", "is not known here"),
        ("dev: [dev]", "test: [dev]", "file.yaml:3", "is no environment"),
        ("items:", "things:", "file.yaml", "is not known here"),
    ],
)
def test_wrong_profiles_are_refused_with_their_line(tmp_path: Path, old: str, new: str, where: str, what: str) -> None:
    with pytest.raises(PolicyError) as refused:
        load_profiles(written(tmp_path, GOOD_PROFILES.replace(old, new)))
    assert refused.value.reason.startswith(where)
    assert what in refused.value.reason


def test_an_item_without_a_profile_stops_the_judgement(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="says nothing of other"):
        load_profiles(written(tmp_path, GOOD_PROFILES)).demand("other")


def test_the_projects_own_files_are_right() -> None:
    profiles = load_profiles()
    asked = {entry.id for entry in load().values() if "policy" in entry.how}
    assert set(profiles.demands) == asked
    load_waivers(WAIVERS, {rule.item for rule in all_rules()})


def test_what_the_catalogue_asks_of_one_environment_is_off_in_the_other() -> None:
    profiles = load_profiles()
    for entry in load().values():
        if entry.id not in profiles.demands:
            continue
        for environment in ("dev", "prod"):
            level = profiles.demands[entry.id].levels[environment]
            assert entry.proven_in(environment) or level == "off", f"{entry.id} in {environment}"

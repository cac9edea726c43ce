"""Releases and rollbacks with toy tools: order of the steps, each failure, what is recorded, what one goes back to."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.errors import OperatorError
from ops.release import make_release
from ops.release_report import releases_table, render
from ops.release_steps import Origin
from ops.releases import Release, Releases, last_good_before, of_json
from ops.rollback import roll_back

pytestmark = pytest.mark.ring("unit")

STEPS = ["validate", "images", "policies", "backup", "up", "schema after", "verify", "watch"]


class Toys:
    """Tools that only note what they were asked for; `fail` names those that fail, once for each naming."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fail: dict[str, list[BaseException]] = {}
        self.commit = "1111111111"
        self.live = True
        self.revision: str | None = "0001"
        self.after_up = "0001"
        self.lossy = False
        self.gone: list[str] = []
        self.verified: list[bool] = []
        self.description: dict[str, Any] = {"target": "kubernetes", "api": {"replicas": 3}}
        self.deployed: list[dict[str, Any]] = []

    def _do(self, what: str) -> None:
        self.done.append(what)
        if self.fail.get(what):
            raise self.fail[what].pop(0)

    def origin(self) -> Origin:
        return Origin(self.commit, False, "me@here")

    def describe(self) -> dict[str, Any]:
        self._do("describe")
        return dict(self.description)

    def images(self) -> dict[str, str]:
        self._do("images")
        return {"api": f"registry.test/api@sha256:{self.commit}"}

    def images_gone(self, images: Mapping[str, str]) -> list[str]:
        return [reference for reference in images.values() if reference in self.gone]

    def policies(self) -> str:
        self._do("policies")
        return "passed, 2 advisory findings"

    def is_live(self) -> bool:
        return self.live

    def schema(self) -> str | None:
        self._do("schema")
        return self.revision

    def backup(self) -> str | None:
        self._do("backup")
        return "backup-1"

    def up(self, record: Path) -> str:
        self._do("up")
        document = json.loads(record.read_text())
        self.deployed.append(document)
        if document["kind"] == "release":
            self.revision = self.after_up
        return "3 updated"

    def verify(self) -> dict[str, Any]:
        self._do("verify")
        passed = self.verified.pop(0) if self.verified else True
        failed = {} if passed else {"api-health": "503"}
        return {"passed": passed, "summary": "97 catalogue entries", "failed": failed}

    def watch(self, seconds: float) -> dict[str, Any]:
        self._do("watch")
        return {"passed": True, "summary": f"{seconds:g} s", "why": []}

    def loses_data(self, revision: str) -> bool:
        self._do("loses data?")
        return self.lossy

    def downgrade(self, revision: str) -> None:
        self._do(f"downgrade {revision}")
        self.revision = revision


def silent(_line: str) -> None:
    pass


@pytest.fixture
def toys() -> Toys:
    return Toys()


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases" / "t")


Ship = Callable[..., Release]


@pytest.fixture
def ship(toys: Toys, releases: Releases) -> Ship:
    """Releases a commit with the toys as they are."""

    def one(commit: str | None = None) -> Release:
        toys.commit = commit or toys.commit
        toys.done.clear()
        return make_release(toys, releases, "t", silent, 60)

    return one


def statuses(release: Release) -> dict[str, str]:
    return {step.name: step.status for step in release.steps}


def test_a_release_goes_through_all_steps_in_order(ship: Ship, toys: Toys) -> None:
    release = ship()
    assert release.outcome == "verified"
    assert [step.name for step in release.steps] == STEPS
    assert toys.done == [
        "describe", "images", "policies", "schema", "backup", "up", "schema", "verify", "watch",
    ]  # fmt: skip


def test_the_record_says_what_was_deployed_and_nothing_is_deployed_but_what_it_says(
    ship: Ship, toys: Toys, releases: Releases
) -> None:
    toys.after_up = "0002"
    release = ship()
    record = json.loads((releases.path(release) / "record.json").read_text())
    assert of_json(record) == release
    assert toys.deployed[0]["images"] == record["images"] == {"api": "registry.test/api@sha256:1111111111"}
    assert toys.deployed[0]["description"] == record["description"] == toys.description
    assert (record["schemaBefore"], record["schemaAfter"], record["backup"]) == ("0001", "0002", "backup-1")
    assert (record["commit"], record["dirty"], record["by"]) == ("1111111111", False, "me@here")
    assert record["outcome"] == "verified"


def test_records_are_for_their_owner_only(ship: Ship, releases: Releases) -> None:
    path = releases.path(ship())
    assert path.stat().st_mode & 0o077 == 0
    assert (path / "record.json").stat().st_mode & 0o077 == 0


def test_what_the_policies_say_is_told(ship: Ship) -> None:
    release = ship()
    assert statuses(release)["policies"] == "done"
    assert "passed, 2 advisory findings" in render(release)


def test_a_stack_that_is_not_live_yet_is_not_backed_up(ship: Ship, toys: Toys) -> None:
    toys.live = False
    release = ship()
    assert "backup" not in toys.done
    assert statuses(release)["backup"] == "not run"


@pytest.mark.parametrize("step", ["describe", "images", "policies", "backup"])
def test_a_failure_before_the_first_change_is_raised_and_changes_nothing(
    ship: Ship, toys: Toys, releases: Releases, step: str
) -> None:
    ship("good000000")
    toys.fail[step] = [OperatorError("it broke", "mend it")]
    with pytest.raises(OperatorError, match="it broke"):
        ship("bad0000000")
    assert "up" not in toys.done
    current = releases.current()
    assert current
    assert current.commit == "good000000"


@pytest.mark.parametrize("step", ["up", "verify", "watch"])
def test_a_failure_after_the_first_change_goes_back_to_the_last_good_release(
    ship: Ship, toys: Toys, releases: Releases, step: str
) -> None:
    good = ship("good000000")
    toys.fail[step] = [OperatorError("it broke", "mend it")]
    failed = ship("bad0000000")
    assert failed.outcome == "rolled back"
    assert failed.rolled_back_to == good.id
    assert failed.reason
    assert "it broke" in failed.reason
    assert toys.deployed[-1]["images"] == good.images
    current = releases.current()
    assert current
    assert (current.kind, current.restores, current.outcome) == ("rollback", good.id, "verified")


def test_a_failed_verification_goes_back_and_names_what_failed(ship: Ship, toys: Toys, releases: Releases) -> None:
    ship("good000000")
    toys.verified = [False, True]
    failed = ship("bad0000000")
    assert failed.outcome == "rolled back"
    assert "- api-health: 503" in (releases.path(failed) / "report.md").read_text()


def test_without_a_good_release_a_failed_one_is_left_and_says_so(ship: Ship, toys: Toys) -> None:
    toys.verified = [False]
    failed = ship()
    assert failed.outcome == "failed"
    assert failed.reason
    assert "no verified release to go back to" in failed.reason
    assert toys.done.count("up") == 1


def test_a_rollback_that_fails_too_is_told(ship: Ship, toys: Toys) -> None:
    ship("good000000")
    toys.verified = [False, False]
    failed = ship("bad0000000")
    assert failed.outcome == "failed"
    assert failed.reason
    assert "going back failed" in failed.reason


def test_no_data_is_lost_by_a_rollback_that_nobody_asked_for(ship: Ship, toys: Toys) -> None:
    ship("good000000")
    toys.after_up, toys.lossy, toys.verified = "0002", True, [False]
    failed = ship("bad0000000")
    assert failed.outcome == "failed"
    assert failed.reason
    assert "would lose data" in failed.reason
    assert not [each for each in toys.done if each.startswith("downgrade")]


def test_an_interrupted_release_is_gone_on_with_and_keeps_the_backup_of_before_it(
    ship: Ship, toys: Toys, releases: Releases
) -> None:
    toys.fail["up"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        ship()
    (unfinished,) = releases.all()
    assert unfinished.outcome == "unfinished"
    toys.revision = "0002"
    release = ship()
    assert release.id == unfinished.id
    assert release.outcome == "verified"
    assert (release.backup, release.schema_before) == ("backup-1", "0001")
    assert "backup" not in toys.done


def test_another_release_after_an_interrupted_one_begins_afresh(ship: Ship, toys: Toys, releases: Releases) -> None:
    toys.fail["up"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        ship("1111111111")
    release = ship("2222222222")
    first, second = releases.all()
    assert second.id == release.id
    assert first.outcome == "failed"
    assert "backup" in toys.done


def test_a_rollback_brings_back_images_description_and_schema(ship: Ship, toys: Toys, releases: Releases) -> None:
    good = ship("good000000")
    toys.after_up, toys.description = "0002", {"target": "kubernetes", "api": {"replicas": 5}}
    ship("new0000000")
    toys.done.clear()
    back = roll_back(toys, releases, "t", silent)
    assert back.outcome == "verified"
    assert toys.done == ["schema", "loses data?", "downgrade 0001", "up", "schema", "verify"]
    assert toys.deployed[-1]["description"]["api"] == {"replicas": 3}
    assert toys.deployed[-1]["images"] == good.images


def test_a_rollback_never_takes_a_rotation_back(ship: Ship, toys: Toys, releases: Releases) -> None:
    ship("good000000")
    toys.description = {**toys.description, "secretGeneration": 4, "pki": {"generation": 3, "days": 90}}
    ship("new0000000")
    roll_back(toys, releases, "t", silent)
    described = toys.deployed[-1]["description"]
    assert (described["secretGeneration"], described["pki"]["generation"]) == (4, 3)


def test_a_rollback_that_would_lose_data_is_refused_until_that_is_accepted(
    ship: Ship, toys: Toys, releases: Releases
) -> None:
    ship("good000000")
    toys.after_up, toys.lossy = "0002", True
    ship("new0000000")
    count = len(releases.all())
    with pytest.raises(OperatorError, match="would lose data; nothing was changed") as refused:
        roll_back(toys, releases, "t", silent)
    assert "--yes" in refused.value.mend
    assert len(releases.all()) == count
    assert roll_back(toys, releases, "t", silent, accept_loss=True).outcome == "verified"


def test_a_release_whose_images_are_gone_is_not_gone_back_to(ship: Ship, toys: Toys, releases: Releases) -> None:
    good = ship("good000000")
    ship("new0000000")
    toys.gone = list(good.images.values())
    with pytest.raises(OperatorError, match="its registry does not give registry"):
        roll_back(toys, releases, "t", silent)


def test_a_stack_without_releases_has_nothing_to_go_back_to(toys: Toys, releases: Releases) -> None:
    with pytest.raises(OperatorError, match="nothing was released to stack t yet"):
        roll_back(toys, releases, "t", silent)


def test_an_unknown_release_is_named_with_the_known_ones(ship: Ship, toys: Toys, releases: Releases) -> None:
    only = ship()
    with pytest.raises(OperatorError, match="no release 2020") as refused:
        roll_back(toys, releases, "t", silent, to="2020")
    assert only.id in refused.value.mend


def test_one_goes_back_to_the_last_that_was_good_and_not_to_a_failed_one(
    ship: Ship, toys: Toys, releases: Releases
) -> None:
    good = ship("good000000")
    toys.verified = [False]
    toys.fail["up"] = []
    ship("bad0000000")
    ship("new0000000")
    assert roll_back(toys, releases, "t", silent).restores == good.id


def test_a_second_rollback_goes_further_back_and_not_forward_again(ship: Ship, toys: Toys, releases: Releases) -> None:
    first, second, _third = ship("1111111111"), ship("2222222222"), ship("3333333333")
    assert roll_back(toys, releases, "t", silent).restores == second.id
    assert roll_back(toys, releases, "t", silent).restores == first.id
    with pytest.raises(OperatorError, match=f"no verified release before {first.id}"):
        roll_back(toys, releases, "t", silent)


def test_a_release_that_was_gone_back_from_is_not_taken_for_a_good_one_later(
    ship: Ship, toys: Toys, releases: Releases
) -> None:
    first = ship("1111111111")
    ship("2222222222")
    roll_back(toys, releases, "t", silent)
    toys.verified = [False, True]
    assert ship("3333333333").rolled_back_to == first.id


def test_a_release_of_the_same_again_is_nothing_to_go_back_to(ship: Ship, releases: Releases) -> None:
    ship("1111111111")
    again = ship("1111111111")
    assert last_good_before(again, releases.all()) is None


def test_any_release_can_be_named(ship: Ship, toys: Toys, releases: Releases) -> None:
    first, _second, third = ship("1111111111"), ship("2222222222"), ship("3333333333")
    assert roll_back(toys, releases, "t", silent, to=first.id).restores == first.id
    assert roll_back(toys, releases, "t", silent, to=third.id).restores == third.id


def test_after_going_back_to_a_named_release_the_default_is_older_than_that_one(
    ship: Ship, toys: Toys, releases: Releases
) -> None:
    first, _second, _third = ship("1111111111"), ship("2222222222"), ship("3333333333")
    roll_back(toys, releases, "t", silent, to=first.id)
    with pytest.raises(OperatorError, match=f"no verified release before {first.id}"):
        roll_back(toys, releases, "t", silent)


def test_a_rollback_to_a_release_that_was_itself_gone_back_from_is_no_way_to_it(
    ship: Ship, toys: Toys, releases: Releases
) -> None:
    first = ship("1111111111")
    ship("2222222222")
    ship("3333333333")
    roll_back(toys, releases, "t", silent)
    roll_back(toys, releases, "t", silent)
    toys.verified = [False, True]
    assert ship("4444444444").rolled_back_to == first.id


def test_an_interrupted_rollback_is_gone_on_with(ship: Ship, toys: Toys, releases: Releases) -> None:
    ship("1111111111")
    second = ship("2222222222")
    ship("3333333333")
    toys.fail["up"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        roll_back(toys, releases, "t", silent)
    assert roll_back(toys, releases, "t", silent).restores == second.id


def test_the_list_of_releases_marks_what_runs(ship: Ship, releases: Releases) -> None:
    ship("1111111111")
    last = ship("2222222222")
    table = releases_table(releases.all(), releases.current())
    assert list(table.columns[0].cells) == ["", "→"]
    assert list(table.columns[1].cells)[-1] == last.id


def test_a_damaged_record_is_passed_over(ship: Ship, releases: Releases) -> None:
    kept = ship()
    (releases.folder / "20200101-000000-x").mkdir()
    (releases.folder / "20200101-000000-x" / "record.json").write_text("{")
    assert [each.id for each in releases.all()] == [kept.id]

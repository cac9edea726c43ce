"""The life of a copy of the rehearsal on a real cluster: up, verified, upgraded under load, broken, destroyed.

The tests of this file are one story and run in this order. All changes and all faults: test_changes_under_load.py and
test_faults_under_load.py, of the ring `faults`.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cluster.production import STEADY, Production
from tests.infra.support.waiting import eventually

pytestmark = pytest.mark.ring("cluster")

Note = Callable[[str, object], None]


@pytest.mark.item("infrastructure-test-suite", "e2e-tests-pass", "deploy-command-tested")
def test_the_first_release_makes_the_stack_and_proves_it(production: Production, record_property: Note) -> None:
    release = production.release()
    assert release["outcome"] == "verified", release
    assert len(release["verification"]["items"]) > 100
    for step in release["steps"]:
        record_property(f"{step['name']}_seconds", step["seconds"])


@pytest.mark.item("deploy-command-tested")
def test_a_second_up_changes_nothing(production: Production, record_property: Note) -> None:
    changes = production.operator.engine.up(production.operator.stack)
    record_property("no_op_up_seconds", round(changes.seconds, 1))
    assert changes.drift == {}
    assert changes.total == 0
    assert changes.counts["same"] > 100


@pytest.mark.item("deploy-command-tested")
def test_objects_changed_or_deleted_by_hand_are_seen_and_mended(production: Production) -> None:
    production.kubectl("scale", "deployment/relay", "--replicas=1")
    production.kubectl("delete", "configmap", "edge-config")
    production.kubectl("patch", "service", "api", "-p", '{"spec":{"selector":{"app.kubernetes.io/name":"nobody"}}}')
    engine, stack = production.operator.engine, production.operator.stack
    seen = engine.preview(stack, refresh=True).drift
    assert {"relay", "edge-config", "api"} <= seen.keys(), f"the preview sees only {seen}"
    engine.up(stack)
    assert len(production.pods("relay")) == 2
    assert "nobody" not in production.kubectl("get", "service", "api", "-o", "yaml")
    assert engine.up(stack).total == 0


@pytest.mark.item("zero-5xx-first-hour")
def test_another_image_rolls_out_without_a_failed_request(production: Production, tmp_path: Path) -> None:
    image = production.other_api_image(tmp_path)
    before = {part: production.pods(part) for part in ("api", "executor", "relay")}
    with production.flawless_load():
        production.describe("images", api=image)
        production.up()

    def are_replaced() -> bool:
        return not any(old.items() & production.pods(part).items() for part, old in before.items())

    # A pod that has been told to go is there while it answers what it was asked before.
    eventually(are_replaced, 90, "all pods being others than before", interval=1)
    assert production.operator.outputs()["inventory"]["api"]["image"] == image


@pytest.mark.item("failover-tested")
@pytest.mark.parametrize(
    ("part", "labels"), [("postgres", "role=master"), ("executor", "")], ids=["postgres-primary", "executor"]
)
def test_a_killed_program_loses_no_run(part: str, labels: str, production: Production, record_property: Note) -> None:
    report = production.survives(lambda: production.kill_pod(part, labels), part)
    record_property(f"{part}_longest_write_gap_seconds", report.longest_write_gap_seconds)


@pytest.mark.item("backup-restore-tested", "data-recovery-procedure-tested")
def test_a_backup_is_restored_to_a_point_in_time(production: Production, record_property: Note) -> None:
    between = datetime.now(UTC)
    made = production.told("backup")["made"]
    drill = production.told("restore-drill")
    record_property("restore_drill_seconds", drill["seconds"]["command"])
    assert drill["backup"]["label"] == made
    assert drill["target"]["name"] in drill["reached"]["stopped"]
    tables = {each["table"]: each for each in drill["tables"]}
    assert [name for name, each in tables.items() if each["same"] is not True] == []
    assert tables["runs"]["restored"]["rows"] > STEADY
    earlier = production.told("restore-drill", "--to", between.isoformat())
    then = {each["table"]: each for each in earlier["tables"]}
    # Its months are compared one by one.
    audited = [each for name, each in then.items() if name.startswith("audit_log_")]
    assert audited
    assert all(each["same"] is True for each in audited)
    assert then["runs"]["compared"].startswith("rows up to")
    eventually(lambda: not production.pods("restore-drill"), 60, "the drills' pods being gone", interval=1)


@pytest.mark.item("deploy-command-tested")
def test_destroy_leaves_nothing(production: Production) -> None:
    operator = production.operator
    answer = operator.run("destroy", "--yes")
    assert answer.code == 0, str(answer)
    everything = production.cluster.kubectl(
        "get", "namespaces,priorityclasses,persistentvolumes,clusterroles", "-o", "json"
    )
    mine = [each["metadata"]["name"] for each in json.loads(everything)["items"] if operator.stack in json.dumps(each)]
    assert mine == []
    assert not operator.engine.exists(operator.stack)

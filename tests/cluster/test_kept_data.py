"""A stack that ends and comes back with the data it had, because its description says that data is kept."""

import json

import pytest

from tests.cluster.production import Production

pytestmark = [pytest.mark.ring("faults"), pytest.mark.item("data-recovery-procedure-tested")]


def rows(production: Production, table: str) -> int:
    """How many rows a table has, by a restore drill: backups, their passphrase and the log are good too."""
    drill = production.told("restore-drill")
    found = {each["table"]: each for each in drill["tables"]}
    assert [name for name, each in found.items() if each["same"] is not True] == []
    return int(found[table]["restored"]["rows"])


def backups(production: Production) -> set[str]:
    """The labels of all backups."""
    return {each["label"] for each in production.told("backup", "--list")["backups"]}


def left(production: Production) -> list[str]:
    """The stack's objects that no namespace holds, and the namespace."""
    kinds = "namespaces,priorityclasses,persistentvolumes,clusterroles"
    found = json.loads(production.cluster.kubectl("get", kinds, "-o", "json"))["items"]
    return sorted({each["kind"] for each in found if production.operator.stack in json.dumps(each)})


def test_kept_data_is_used_again_by_the_next_up_and_ends_when_it_is_told_to(deployed: Production) -> None:
    operator = deployed.operator
    deployed.describe("kubernetes", keepData=True)
    deployed.up()
    with deployed.flawless_load():
        pass
    deployed.told("backup", "--full")
    runs, made, password = rows(deployed, "runs"), backups(deployed), operator.outputs(secrets=True)["adminPassword"]
    assert runs > 0

    assert (answer := operator.run("destroy", "--yes")).code == 0, str(answer)
    assert left(deployed) == ["Namespace", "PersistentVolume"]
    assert (
        json.loads(deployed.kubectl("get", "all,secrets,configmaps", "-l", "workflow.stack", "-o", "json"))["items"]
        == []
    )
    assert operator.outputs() == {}
    assert "not deployed" in (told := operator.run("status")).err, str(told)

    deployed.up()
    assert operator.outputs(secrets=True)["adminPassword"] == password
    assert backups(deployed) >= made
    with deployed.flawless_load():
        pass
    assert rows(deployed, "runs") > runs

    assert (answer := operator.run("destroy", "--yes", "--with-data")).code == 0, str(answer)
    assert left(deployed) == []
    assert not operator.engine.exists(operator.stack)

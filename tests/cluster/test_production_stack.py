"""The life of a copy of the rehearsal on a real cluster: up, verified, changed under load, broken, destroyed.

The tests of this file are one story and run in this order.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
import yaml

from bench.steady_load import LoadReport, SteadyLoad, log_in
from ops.home import PROJECT_DIR
from stacks.ephemeral import ephemeral_stack, free_node_ports
from stacks.model import PROJECT
from tests.cluster.support import Cluster, kill_programs
from tests.infra.support.operator import Operator
from tests.infra.support.waiting import eventually

pytestmark = pytest.mark.ring("cluster")

READS_PER_SECOND, RUNS_PER_SECOND = 20.0, 5.0
"""What a test machine of two cores carries beside the cluster itself; the ring `faults` has the full load."""

LONGEST_RECOVERY = 30.0  # seconds until writes work again after a program was killed


@pytest.fixture(scope="module")
def operator(cluster: Cluster) -> Iterator[Operator]:
    """The operator of an ephemeral copy of the rehearsal, which is destroyed at the end whatever happened."""
    client = docker.from_env(timeout=120)
    https, http = free_node_ports(2)
    ports = {"publishedPort": https, "publishedHttpPort": http}
    with ephemeral_stack(PROJECT_DIR, base="rehearsal", edge=ports) as name:
        it = Operator(name, client)
        try:
            yield it
        finally:
            it.run("destroy", "--yes")
            client.close()


@pytest.fixture
def kubectl(cluster: Cluster, operator: Operator) -> Callable[..., str]:
    """Asks the cluster about the stack's namespace."""
    return lambda *words: cluster.kubectl("-n", f"workflow-{operator.stack}", *words)


@pytest.fixture
def loaded(operator: Operator) -> Iterator[Callable[[], SteadyLoad]]:
    """Starts a steady load on the stack; one that was not stopped is stopped at the end."""
    started: list[SteadyLoad] = []

    def start() -> SteadyLoad:
        outputs = operator.outputs(secrets=True)
        url, ca = outputs["urls"]["api"], outputs["authority"]
        headers = log_in(url, ca, outputs["adminUsername"], outputs["adminPassword"])
        load = SteadyLoad(
            url, headers=headers, ca=ca, reads_per_second=READS_PER_SECOND, runs_per_second=RUNS_PER_SECOND
        )
        load.start()
        started.append(load)
        return load

    yield start
    for load in started:
        if not load.report.seconds:
            load.stop(settle_seconds=1)


def flawless(load: SteadyLoad) -> LoadReport:
    """Ends the load; AssertionError with what failed unless nothing did."""
    report = load.stop()
    assert report.accepted_runs > 0, "no run was accepted, so nothing is shown"
    assert report.flawless, report
    return report


def describe(operator: Operator, part: str, **changes: Any) -> None:
    """Changes settings of a part in the stack's description."""
    describe_value(operator, part, lambda before: {**(before or {}), **changes})


def describe_value(operator: Operator, name: str, change: Callable[[Any], Any]) -> None:
    """Changes what the stack's description says under one key."""
    path = PROJECT_DIR / f"Pulumi.{operator.stack}.yaml"
    document = yaml.safe_load(path.read_text())
    key = f"{PROJECT}:{name}"
    document["config"][key] = change(document["config"].get(key))
    path.write_text(yaml.safe_dump(document))


def pods(kubectl: Callable[..., str], part: str) -> dict[str, str]:
    """Names and unique ids of a part's pods."""
    found = json.loads(kubectl("get", "pods", "-l", f"workflow.part={part}", "-o", "json"))["items"]
    return {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}


@pytest.mark.item("deploy-command-tested")
def test_the_first_up_makes_the_stack(operator: Operator, record_property: Callable[[str, object], None]) -> None:
    assert operator.run("push").code == 0
    began = time.monotonic()
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    record_property("up_seconds", round(time.monotonic() - began))


@pytest.mark.item("infrastructure-test-suite", "e2e-tests-pass", "deploy-command-tested")
def test_the_live_checks_pass(operator: Operator) -> None:
    record = operator.record()
    assert len(record["items"]) > 100


@pytest.mark.item("deploy-command-tested")
def test_a_second_up_changes_nothing(operator: Operator, record_property: Callable[[str, object], None]) -> None:
    changes = operator.engine.up(operator.stack)
    record_property("no_op_up_seconds", round(changes.seconds, 1))
    assert changes.drift == {}
    assert changes.total == 0
    assert changes.counts["same"] > 100


@pytest.mark.item("deploy-command-tested")
def test_objects_changed_or_deleted_by_hand_are_seen_and_mended(
    operator: Operator, kubectl: Callable[..., str]
) -> None:
    kubectl("scale", "deployment/relay", "--replicas=1")
    kubectl("delete", "configmap", "edge-config")
    kubectl("patch", "service", "api", "-p", '{"spec":{"selector":{"app.kubernetes.io/name":"nobody"}}}')
    seen = operator.engine.preview(operator.stack, refresh=True).drift
    assert {"relay", "edge-config", "api"} <= seen.keys(), f"the preview sees only {seen}"
    operator.engine.up(operator.stack)
    assert len(pods(kubectl, "relay")) == 2
    assert "nobody" not in kubectl("get", "service", "api", "-o", "yaml")
    assert operator.engine.up(operator.stack).total == 0


@pytest.mark.item("zero-5xx-first-hour")
def test_a_changed_setting_rolls_api_and_executors_without_a_failed_request(
    operator: Operator, kubectl: Callable[..., str], loaded: Callable[[], SteadyLoad]
) -> None:
    before = {part: pods(kubectl, part) for part in ("api", "executor")}
    load = loaded()
    describe(operator, "logging", level="WARNING")
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    flawless(load)
    for part, old in before.items():
        assert not old.items() & pods(kubectl, part).items(), f"{part} was not replaced"


def test_renewed_certificates_reach_the_visitors_without_a_failed_request(
    operator: Operator, loaded: Callable[[], SteadyLoad]
) -> None:
    before = operator.outputs()["urls"]["api"]
    load = loaded()
    serial = _served_certificate(before)
    describe(operator, "pki", generation=2)
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    eventually(lambda: _served_certificate(before) != serial, 120, "the new certificate being served", interval=2)
    flawless(load)


def test_rotated_secrets_lock_nobody_out(operator: Operator, loaded: Callable[[], SteadyLoad]) -> None:
    load = loaded()
    describe_value(operator, "secretGeneration", lambda _before: 2)
    answer = operator.run("up")
    assert answer.code == 0, str(answer)
    flawless(load)


@pytest.mark.parametrize("part", ["postgres", "api", "executor"])
def test_a_killed_program_loses_no_run(
    part: str,
    operator: Operator,
    kubectl: Callable[..., str],
    loaded: Callable[[], SteadyLoad],
    record_property: Callable[[str, object], None],
) -> None:
    role = ",role=master" if part == "postgres" else ""
    victim = json.loads(kubectl("get", "pods", "-l", f"workflow.part={part}{role}", "-o", "json"))["items"][0]
    load = loaded()
    eventually(lambda: load.accepted > 20, 60, "the load running", interval=0.5)
    assert kill_programs(victim["metadata"]["uid"]) > 0
    accepted = load.accepted
    eventually(lambda: load.accepted > accepted + 20, 2 * LONGEST_RECOVERY, "writes being accepted again", interval=0.5)
    report = load.stop()
    record_property(f"{part}_longest_write_gap_seconds", report.longest_write_gap_seconds)
    assert report.lost_runs == []
    assert report.failed_runs == []
    assert report.longest_write_gap_seconds < LONGEST_RECOVERY


@pytest.mark.item("deploy-command-tested")
def test_destroy_leaves_nothing(operator: Operator, cluster: Cluster) -> None:
    answer = operator.run("destroy", "--yes")
    assert answer.code == 0, str(answer)
    everything = cluster.kubectl("get", "namespaces,priorityclasses,persistentvolumes,clusterroles", "-o", "json")
    mine = [each["metadata"]["name"] for each in json.loads(everything)["items"] if operator.stack in json.dumps(each)]
    assert mine == []
    assert not operator.engine.exists(operator.stack)


def _served_certificate(url: str) -> str:
    """The serial number of what the edge serves now."""
    host = url.removeprefix("https://")
    words = ["openssl", "s_client", "-connect", host, "-servername", "localhost"]
    done = subprocess.run(words, input=b"", capture_output=True, timeout=20, check=False)
    return done.stdout.decode(errors="replace").partition("BEGIN CERTIFICATE")[2].partition("END CERTIFICATE")[0]

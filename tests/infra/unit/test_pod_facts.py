"""Each judgement over a pod accepts a sound one and sees each planted fault."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.infra.support import pod_facts as facts
from tests.infra.unit.cluster_samples import CLAIMS, POD, SPEC, changed

pytestmark = pytest.mark.ring("unit")

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECURITY = "containers/0/securityContext"
STATUS = "status/containerStatuses/0"

CHECKS: list[Callable[[], list[str]]] = [
    lambda: facts.hardening_faults(SPEC),
    lambda: facts.limit_faults(SPEC),
    lambda: facts.state_faults(POD, NOW),
    lambda: facts.health_faults(POD),
    lambda: facts.volume_faults(POD, CLAIMS, "/data"),
    lambda: facts.health_timing_faults(SPEC, interval=30, timeout=10, start_period=40, retries=3),
    lambda: facts.job_faults({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}),
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_pod_has_no_fault(check: Callable[[], list[str]]) -> None:
    assert check() == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("hostNetwork", True, "hostNetwork"),
        ("hostPID", True, "hostPID"),
        ("volumes/0", {"name": "data", "hostPath": {"path": "/"}}, "folder of the machine"),
        (f"{SECURITY}/privileged", True, "privileged"),
        (f"{SECURITY}/allowPrivilegeEscalation", True, "new privileges"),
        (f"{SECURITY}/capabilities", {"drop": ["ALL"], "add": ["NET_ADMIN"]}, "NET_ADMIN"),
        (f"{SECURITY}/capabilities", {}, "does not drop all"),
        (f"{SECURITY}/seccompProfile", {"type": "Unconfined"}, "switched off"),
        (f"{SECURITY}/readOnlyRootFilesystem", False, "writable"),
        (f"{SECURITY}/runAsUser", 0, "root"),
        ("securityContext/runAsNonRoot", False, "root"),
        ("containers/0/ports/0/hostPort", 8000, "port 8000 of the machine"),
        ("initContainers", [{"name": "first", "securityContext": {"privileged": True}}], "privileged"),
    ],
)
def test_each_excess_of_privilege_is_seen(path: str, value: Any, words: str) -> None:
    assert words in "; ".join(facts.hardening_faults(changed(SPEC, path, value)))


@pytest.mark.parametrize("what", ["memory", "cpu"])
@pytest.mark.parametrize("kind", ["limits", "requests"])
def test_each_missing_bound_is_seen(what: str, kind: str) -> None:
    (fault,) = facts.limit_faults(changed(SPEC, f"containers/0/resources/{kind}/{what}", None))
    assert what in fault


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("status/phase", "Pending", "Pending"),
        (f"{STATUS}/state", {"waiting": {"reason": "CrashLoopBackOff"}}, "CrashLoopBackOff"),
        (f"{STATUS}/lastState", {"terminated": {"reason": "OOMKilled"}}, "too much memory"),
        (f"{STATUS}/lastState", {"terminated": {"finishedAt": "2026-11-22T11:59:30Z"}}, "restarted"),
    ],
)
def test_each_trouble_of_a_running_pod_is_seen(path: str, value: Any, words: str) -> None:
    (fault,) = facts.state_faults(changed(POD, path, value), NOW)
    assert words in fault


def test_a_restart_of_long_ago_is_no_fault() -> None:
    settled = changed(POD, f"{STATUS}/lastState", {"terminated": {"finishedAt": "2026-11-22T11:50:00Z"}})
    assert facts.state_faults(settled, NOW) == []


def test_a_pod_that_is_not_ready_or_not_probed_is_seen() -> None:
    assert facts.health_faults(changed(POD, "status/conditions/0/status", "False")) == ["it is not ready"]
    assert facts.health_faults(changed(POD, "spec/containers/0/livenessProbe", None)) == ["it has no health check"]


@pytest.mark.parametrize(
    ("pod", "claims", "words"),
    [
        (changed(POD, "spec/containers/0/volumeMounts", []), CLAIMS, "inside the container"),
        (changed(POD, "spec/volumes/0", {"name": "data", "emptyDir": {}}), CLAIMS, "goes with the pod"),
        (changed(POD, "spec/containers/0/volumeMounts/0/readOnly", True), CLAIMS, "read-only"),
        (POD, {}, "not there"),
        (POD, changed(CLAIMS, "data-api-0/status/phase", "Pending"), "Pending"),
    ],
)
def test_data_without_a_bound_claim_is_seen(pod: dict[str, Any], claims: dict[str, Any], words: str) -> None:
    (fault,) = facts.volume_faults(pod, claims, "/data")
    assert words in fault


@pytest.mark.parametrize(
    ("conditions", "words"),
    [([], "has not completed"), ([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}], "Deadline")],
)
def test_a_job_that_did_not_complete_is_seen(conditions: list[dict[str, str]], words: str) -> None:
    (fault,) = facts.job_faults({"status": {"conditions": conditions}})
    assert words in fault


def test_another_timing_is_seen_number_by_number() -> None:
    assert len(facts.health_timing_faults(SPEC, interval=5, timeout=10, start_period=40, retries=12)) == 2


def test_limits_question_and_variables_are_read() -> None:
    assert facts.limits(SPEC) == (320 * 1024**2, 1.5)
    assert facts.health_question(SPEC) == "GET https://:8000/health"
    assert facts.environment(SPEC) == {"API_PORT": "8000"}

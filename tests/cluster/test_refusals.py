"""What makes a deployment impossible is told in one line with its mend, and nothing is changed for it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ops.home import PROJECT_DIR
from tests.cluster.production import Production

pytestmark = [pytest.mark.ring("cluster"), pytest.mark.item("deploy-command-tested")]

REGISTRY = "localhost:5000/workflow"
"""Of the node."""

NO_SUCH_DIGEST = f"sha256:{'0' * 64}"


@pytest.fixture
def fit(production: Production) -> Iterator[Production]:
    """A stack that could be deployed and is not; its description is as before after the test."""
    description = PROJECT_DIR / f"Pulumi.{production.operator.stack}.yaml"
    before = description.read_text()
    yield production
    description.write_text(before)


def refused(fit: Production, *, reason: str, mend: str) -> None:
    """`up` says why not and what would help, and has made neither a namespace nor a state."""
    answer = fit.operator.run("up")
    assert answer.code == 1, str(answer)
    told = [line for line in answer.err.splitlines() if line.startswith(("error: ", "mend: "))]
    assert len(told) == 2, str(answer)
    assert reason in told[0]
    assert mend in told[1]
    assert "Traceback" not in answer.err
    spaces = json.loads(fit.cluster.kubectl("get", "namespaces", "-o", "json"))["items"]
    assert [each["metadata"]["name"] for each in spaces if fit.operator.stack in json.dumps(each)] == []
    assert not fit.operator.engine.exists(fit.operator.stack)


def test_a_cluster_that_is_away_is_told(fit: Production, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    away = yaml.safe_load(fit.cluster.kubeconfig.read_text())
    for each in away["clusters"]:
        each["cluster"]["server"] = "https://127.0.0.1:9"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(away))
    path.chmod(0o600)
    monkeypatch.setenv("KUBECONFIG", str(path))
    refused(fit, reason="https://127.0.0.1:9", mend="cluster")


def test_a_context_that_the_kubeconfig_does_not_have_is_told(fit: Production) -> None:
    fit.describe("kubernetes", context="elsewhere")
    refused(fit, reason="elsewhere", mend="kubernetes.context")


def test_a_missing_storage_class_is_told_with_those_there_are(fit: Production) -> None:
    fit.describe("kubernetes", storageClass="fast")
    refused(fit, reason="no storage class fast; there are: ", mend="kubernetes.storageClass")


def test_an_image_that_cannot_be_pulled_is_told(fit: Production) -> None:
    fit.describe("images", api=f"{REGISTRY}/workflow-api@{NO_SUCH_DIGEST}")
    refused(fit, reason=NO_SUCH_DIGEST, mend="images.api")


def test_a_quota_that_the_parts_do_not_fit_into_is_told(fit: Production) -> None:
    fit.describe("kubernetes", quota={"cpus": 1, "memory": "20Gi", "pods": 60})
    refused(fit, reason="kubernetes.quota.cpus", mend="Pulumi.")


def test_a_cluster_that_is_too_small_is_told(fit: Production) -> None:
    fit.describe("kubernetes", quota={"cpus": 96, "memory": "20Gi", "pods": 60})
    fit.describe("postgres", resources={"cpus": 8, "memory": "768Mi", "cpuRequest": 8})
    refused(fit, reason="processor cores", mend="smaller")


def test_a_namespace_of_somebody_else_is_told(fit: Production, namespace: str) -> None:
    fit.describe("kubernetes", namespace=namespace)
    refused(fit, reason=f"namespace {namespace} is there already", mend="kubernetes.namespace")

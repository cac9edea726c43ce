"""What the Kubernetes plugin asks an API server for, and what it makes of the answers."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc

from airgap.provider.wire import UNKNOWN, Secret, decode_map, reveal
from tests.airgap.fake_cluster import FakeCluster, refusal, serving
from tests.airgap.kubernetes_support import Kubernetes, configured, half_made
from tests.airgap.support import Process, eventually, start

pytestmark = pytest.mark.ring("airgap")

HIDDEN = "never-to-be-read"
NOTES: dict[str, Any] = {
    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"motto": "small"},
}  # fmt: skip
WEB: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {}}},
}
ROLLED_OUT = {"observedGeneration": 99, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}
MAP = "/api/v1/namespaces/shop/configmaps/notes"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    made = start("airgap.kubernetes_plugin.server", "127.0.0.1:1")
    yield made
    made.end()


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def plugin(process: Process, cluster: FakeCluster) -> Iterator[Kubernetes]:
    with serving(cluster) as config:
        yield configured(process, kubeconfig=config)


def annotated(item: dict[str, Any], **notes: str) -> dict[str, Any]:
    """The object with annotations of pulumi.com."""
    named = {f"pulumi.com/{key}": value for key, value in notes.items()}
    return {**item, "metadata": {**item["metadata"], "annotations": named}}


def with_status(status: dict[str, Any]) -> Any:
    """An `on_apply` that gives what is applied a status."""
    return lambda path, item: {**item, "status": status}


def propagation(cluster: FakeCluster) -> str:
    """What the deletion asked for."""
    sent: str = next(body for method, _, _, body in cluster.requests if method == "DELETE")["propagationPolicy"]
    return sent


def test_an_object_is_applied_in_the_namespace_of_the_context(plugin: Kubernetes, cluster: FakeCluster) -> None:
    identity, outputs = plugin.create(NOTES)
    assert identity == "shop/notes"
    assert outputs["metadata"]["uid"] == "uid-1"
    method, path, query, _ = cluster.requests[-1]
    assert (method, path, query["fieldValidation"]) == ("PATCH", MAP, "Strict")
    assert query["fieldManager"].startswith("pulumi-kubernetes-")
    assert "force" not in query


def test_the_bookkeeping_of_the_server_does_not_get_into_the_state(plugin: Kubernetes) -> None:
    assert "managedFields" not in plugin.create(NOTES)[1]["metadata"]


def test_an_object_that_exists_is_refused_and_left_alone(plugin: Kubernetes, cluster: FakeCluster) -> None:
    cluster.objects[MAP] = {**NOTES, "data": {"motto": "theirs"}}
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(NOTES)
    assert "ConfigMap shop/notes exists already" in caught.value.details()
    assert "upsertExistingObjects" in caught.value.details()
    assert cluster.objects[MAP]["data"] == {"motto": "theirs"}


def test_an_object_of_somebody_else_is_seen_in_the_preview(plugin: Kubernetes, cluster: FakeCluster) -> None:
    cluster.objects[MAP] = NOTES
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(NOTES, preview=True)
    assert "exists already" in caught.value.details()


def test_an_object_that_is_to_be_replaced_does_not_fail_the_preview(plugin: Kubernetes) -> None:
    plugin.create(NOTES)
    assert plugin.create(NOTES, preview=True)[1]["data"] == {"motto": "small"}


def test_an_existing_object_is_taken_over_when_that_is_asked_for(process: Process, cluster: FakeCluster) -> None:
    cluster.objects[MAP] = {**NOTES, "metadata": {"name": "notes", "uid": "theirs", "generation": 1}}
    with serving(cluster) as config:
        plugin = configured(process, kubeconfig=config, upsertExistingObjects=True)
        assert plugin.create(NOTES)[1]["metadata"]["uid"] == "theirs"


def test_a_preview_stores_nothing_and_shows_nothing_made_up(plugin: Kubernetes, cluster: FakeCluster) -> None:
    identity, outputs = plugin.create(NOTES, preview=True)
    assert (identity, cluster.objects) == ("", {})
    assert cluster.requests[-1][2]["dryRun"] == "All"
    assert outputs["metadata"]["uid"] is UNKNOWN
    assert "creationTimestamp" not in outputs["metadata"]


def test_a_preview_of_something_not_known_yet_asks_nobody(plugin: Kubernetes, cluster: FakeCluster) -> None:
    inputs = {**NOTES, "data": {"address": UNKNOWN}}
    assert plugin.create(inputs, preview=True)[1]["data"] == {"address": UNKNOWN}
    assert "PATCH" not in {method for method, *_ in cluster.requests}


def test_a_preview_in_a_namespace_that_is_yet_to_be_made_is_the_inputs(
    plugin: Kubernetes, cluster: FakeCluster
) -> None:
    cluster.on_apply = lambda path, item: refusal(404, "NotFound", 'namespaces "shop" not found')
    assert plugin.create(NOTES, preview=True)[1]["data"] == {"motto": "small"}


def test_a_preview_of_a_kind_that_is_yet_to_be_defined_is_the_inputs(plugin: Kubernetes) -> None:
    flower = {"apiVersion": "garden.io/v1", "kind": "Flower", "metadata": {"name": "rose"}, "spec": {"colour": "red"}}
    assert plugin.create(flower, preview=True)[1]["spec"] == {"colour": "red"}


def test_a_kind_that_is_defined_meanwhile_is_waited_for(plugin: Kubernetes, cluster: FakeCluster) -> None:
    flower = {"apiVersion": "garden.io/v1", "kind": "Flower", "metadata": {"name": "rose"}}
    timer = threading.Timer(0.5, lambda: cluster.served.update({"/apis/garden.io/v1": ("Flower*",)}))
    timer.start()
    assert plugin.create(flower)[0] == "rose"
    assert "/apis/garden.io/v1/flowers/rose" in cluster.objects, "it turned out to have no namespace"


def test_a_kind_that_is_never_defined_is_told_with_its_mend(plugin: Kubernetes) -> None:
    flower = {"apiVersion": "garden.io/v1", "kind": "Flower", "metadata": {"name": "rose"}}
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(flower, timeout=1)
    assert "not finished within 1 s" in caught.value.details() or "CustomResourceDefinition" in caught.value.details()


def test_a_refusal_in_the_preview_is_one_line_with_the_object(plugin: Kubernetes, cluster: FakeCluster) -> None:
    message = 'pods "x" is forbidden: exceeded quota: small'
    cluster.on_apply = lambda path, item: refusal(403, "Forbidden", message)
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(NOTES, preview=True)
    assert caught.value.details() == f"ConfigMap shop/notes: {message}"


def test_a_conflict_names_field_and_manager_and_the_ways_out(plugin: Kubernetes, cluster: FakeCluster) -> None:
    _, state = plugin.create(NOTES)
    cause = {
        "reason": "FieldManagerConflict",
        "field": ".data.motto",
        "message": 'conflict with "kubectl-edit" using v1',
    }
    cluster.on_apply = lambda path, item: refusal(409, "Conflict", "Apply failed", [cause])
    with pytest.raises(grpc.RpcError) as caught:
        plugin.update(NOTES, state)
    assert ".data.motto (kubectl-edit)" in caught.value.details()
    assert "pulumi.com/patchForce" in caught.value.details()
    assert "\n" not in caught.value.details()


def test_conflicts_are_overridden_only_by_the_annotation_or_the_providers_input(
    plugin: Kubernetes, process: Process, cluster: FakeCluster
) -> None:
    plugin.create(annotated(NOTES, patchForce="true"))
    assert cluster.requests[-1][2]["force"] == "true"
    with serving(FakeCluster()) as config:
        configured(process, kubeconfig=config, enablePatchForce="true").create(NOTES)


def test_a_new_field_manager_takes_over_from_the_recorded_one(plugin: Kubernetes, cluster: FakeCluster) -> None:
    _, state = plugin.create(NOTES)
    assert plugin.update(annotated(NOTES, patchFieldManager="me"), state)["__fieldManager"] == "me"
    managers = [query["fieldManager"] for method, _, query, _ in cluster.requests if method == "PATCH"]
    assert managers == [state["__fieldManager"], "me", state["__fieldManager"]]
    assert "data" not in cluster.requests[-1][3], "the old one gives up all that it held"


def test_an_immutable_field_that_is_on_no_list_is_told_with_its_mend(plugin: Kubernetes, cluster: FakeCluster) -> None:
    _, state = plugin.create(NOTES)
    cluster.on_apply = lambda path, item: refusal(422, "Invalid", "spec.x: Invalid value: field is immutable")
    with pytest.raises(grpc.RpcError) as caught:
        plugin.update(NOTES, state, preview=True)
    assert "pulumi up --replace" in caught.value.details()


def test_a_deployment_is_waited_for_until_it_is_rolled_out(plugin: Kubernetes, cluster: FakeCluster) -> None:
    looks = []

    def look(path: str) -> None:
        looks.append(path)
        if looks.count(DEPLOYMENT) == 4:  # the first one asks whether it exists already
            cluster.objects[DEPLOYMENT]["status"] = ROLLED_OUT

    cluster.on_get = look
    _, outputs = plugin.create(WEB)
    assert outputs["status"]["availableReplicas"] == 2


def test_a_failed_deployment_tells_the_pods_reason_and_is_recorded(plugin: Kubernetes, cluster: FakeCluster) -> None:
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    cluster.on_apply = with_status({"observedGeneration": 99, "conditions": [late]})
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    cluster.objects["/api/v1/namespaces/shop/pods/web-1"] = {
        "metadata": {"name": "web-1"},
        "status": {"containerStatuses": [{"name": "nginx", "state": waiting}]},
    }
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(WEB)
    line = caught.value.details()
    assert (
        "ProgressDeadlineExceeded: timed out; pod web-1: container nginx waits: ImagePullBackOff: no such image" in line
    )
    detail = half_made(caught.value)
    assert (detail.id, list(detail.reasons)) == ("shop/web", [line])
    assert decode_map(detail.properties)["spec"]["replicas"] == 2


@pytest.mark.parametrize("how", ["annotation", "option"])
def test_a_wait_is_bounded_and_says_what_was_missing(plugin: Kubernetes, how: str) -> None:
    item = annotated(WEB, timeoutSeconds="1") if how == "annotation" else WEB
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(item, timeout=0 if how == "annotation" else 1)
    assert "its controller has not seen it yet (not finished within 1 s" in caught.value.details()


def test_nothing_is_waited_for_when_that_is_asked_for(plugin: Kubernetes) -> None:
    assert plugin.create(annotated(WEB, skipAwait="true"))[0] == "shop/web"


def test_a_failed_job_tells_the_reason_and_the_pod(plugin: Kubernetes, cluster: FakeCluster) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"}, "spec": {"template": {}}}
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}
    cluster.on_apply = with_status({"conditions": [failed]})
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": HIDDEN}}
    cluster.objects["/api/v1/namespaces/shop/pods/sum-1"] = {
        "metadata": {"name": "sum-1", "ownerReferences": [{"uid": "uid-1"}]},
        "status": {"containerStatuses": [{"name": "main", "state": ended}]},
    }
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(job)
    assert "BackoffLimitExceeded: too often; pod sum-1: container main ended with exit code 3" in caught.value.details()
    assert HIDDEN not in caught.value.details(), "what a program says of its end may be secret"


def test_a_claim_that_waits_for_its_first_pod_is_not_waited_for(plugin: Kubernetes, cluster: FakeCluster) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"storageClassName": "late"},
    }  # fmt: skip
    cluster.objects["/apis/storage.k8s.io/v1/storageclasses/late"] = {"volumeBindingMode": "WaitForFirstConsumer"}
    assert plugin.create(claim)[0] == "shop/data"


def test_an_annotation_can_say_what_to_wait_for(plugin: Kubernetes, cluster: FakeCluster) -> None:
    cluster.on_apply = with_status({"phase": "Fine"})
    item = annotated(NOTES, waitFor="jsonpath={.status.phase}=Fine")
    assert plugin.create(item)[0] == "shop/notes"


def test_an_ingress_is_not_waited_for(plugin: Kubernetes) -> None:
    item = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "door"}, "spec": {}}
    assert plugin.create(item)[0] == "shop/door"


def test_a_namespace_is_waited_for_until_it_is_active(plugin: Kubernetes, cluster: FakeCluster) -> None:
    item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "garden"}}
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(item, timeout=1)
    assert "it is not active" in caught.value.details()
    cluster.objects.clear()
    cluster.on_apply = with_status({"phase": "Active"})
    assert plugin.create(item)[0] == "garden"


def test_the_field_manager_is_the_same_each_time(plugin: Kubernetes, cluster: FakeCluster) -> None:
    _, first = plugin.create(NOTES)
    cluster.objects.clear()
    _, second = plugin.create(NOTES)
    assert first["__fieldManager"] == second["__fieldManager"]
    _, other = plugin.create({**NOTES, "kind": "ServiceAccount"})
    assert other["__fieldManager"] != first["__fieldManager"]


def test_more_waits_than_usual_go_on_at_once(plugin: Kubernetes, cluster: FakeCluster) -> None:
    count = 100

    def create(number: int) -> str:
        item = {**WEB, "metadata": {"name": f"web-{number}"}}
        return plugin.create(item)[0]

    with ThreadPoolExecutor(count) as pool:
        made = [pool.submit(create, number) for number in range(count)]
        eventually(lambda: len(cluster.objects) == count)
        for item in list(cluster.objects.values()):
            item["status"] = ROLLED_OUT
        assert sorted(future.result() for future in made) == sorted(f"shop/web-{number}" for number in range(count))


class Engine(engine_pb2_grpc.EngineServicer):  # type: ignore[misc]
    """An engine that listens."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.lines.append(request.message)
        return empty_pb2.Empty()


@pytest.fixture
def engine() -> Iterator[tuple[Engine, Process]]:
    """An engine, and a plugin that it has started."""
    listening = Engine()
    server = grpc.server(ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(listening, server)
    process = start("airgap.kubernetes_plugin.server", f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    yield listening, process
    process.end()
    server.stop(0)


def test_what_the_server_remarks_is_told_without_secrets(engine: tuple[Engine, Process], cluster: FakeCluster) -> None:
    listening, process = engine
    cluster.warnings = [f"would violate PodSecurity {HIDDEN}", "v0 is deprecated"]
    with serving(cluster) as config:
        plugin = configured(process, kubeconfig=config, suppressDeprecationWarnings=True)
        plugin.create({**NOTES, "data": {"key": Secret(HIDDEN)}})
    assert listening.lines == ["would violate PodSecurity [secret]"]


def test_what_is_waited_for_is_told(engine: tuple[Engine, Process], cluster: FakeCluster) -> None:
    listening, process = engine
    with serving(cluster) as config, pytest.raises(grpc.RpcError):
        configured(process, kubeconfig=config).create(WEB, timeout=1)
    assert listening.lines == ["its controller has not seen it yet"]


def test_a_secret_in_a_rendered_file_is_warned_of(engine: tuple[Engine, Process], tmp_path: Path) -> None:
    listening, process = engine
    plugin = configured(process, renderYamlToDirectory=str(tmp_path))
    plugin.create({**NOTES, "data": {"key": Secret(HIDDEN)}})
    assert listening.lines == [
        f"rendered file {tmp_path}/1-manifest/v1-configmap-default-notes.yaml contains a secret value in plaintext"
    ]


def test_cancelling_ends_a_wait_and_what_is_there_is_recorded(cluster: FakeCluster) -> None:
    process = start("airgap.kubernetes_plugin.server", "127.0.0.1:1")
    caught: list[grpc.RpcError] = []
    with serving(cluster) as config:
        plugin = configured(process, kubeconfig=config)

        def create() -> None:
            try:
                plugin.create(WEB)
            except grpc.RpcError as error:
                caught.append(error)

        thread = threading.Thread(target=create)
        thread.start()
        eventually(lambda: DEPLOYMENT in cluster.objects)
        plugin.stub.Cancel(empty_pb2.Empty(), timeout=5)
        thread.join(5)
    process.end()
    assert "cancelled" in caught[0].details()
    assert half_made(caught[0]).id == "shop/web"


def test_a_refresh_takes_over_what_has_drifted_and_nothing_else(plugin: Kubernetes, cluster: FakeCluster) -> None:
    cluster.on_apply = with_status(ROLLED_OUT)
    _, state = plugin.create(WEB)
    live = cluster.objects[DEPLOYMENT]
    live["spec"]["replicas"] = 5
    live["spec"]["progressDeadlineSeconds"] = 600
    live["status"]["collisionCount"] = 1
    live["status"].update(updatedReplicas=5, replicas=5, availableReplicas=5)
    identity, inputs, outputs = plugin.read(WEB, "shop/web", state)
    assert identity == "shop/web"
    assert inputs["spec"] == {**WEB["spec"], "replicas": 5}
    assert outputs["spec"]["progressDeadlineSeconds"] == 600


def test_a_refresh_is_quiet_about_what_others_write(plugin: Kubernetes, cluster: FakeCluster) -> None:
    cluster.on_apply = with_status(ROLLED_OUT)
    _, state = plugin.create(WEB)
    live = cluster.objects[DEPLOYMENT]
    live["metadata"].update(resourceVersion="99", generation=7, labels={"theirs": "x"})
    live["status"]["conditions"] = [{"type": "Progressing", "status": "True"}]
    assert plugin.read(WEB, "shop/web", state) == ("shop/web", plugin.checked(WEB), state)


def test_a_refresh_of_a_workload_that_is_not_of_use_says_so(plugin: Kubernetes, cluster: FakeCluster) -> None:
    cluster.on_apply = with_status(ROLLED_OUT)
    _, state = plugin.create(WEB)
    cluster.objects[DEPLOYMENT]["status"] = {**ROLLED_OUT, "availableReplicas": 1}
    with pytest.raises(grpc.RpcError) as caught:
        plugin.read(WEB, "shop/web", state)
    assert "1 of 2 replicas are available" in half_made(caught.value).reasons[0]


def test_an_object_that_is_gone_reads_as_gone(plugin: Kubernetes) -> None:
    assert plugin.read(NOTES, "shop/notes")[0] == ""


def test_an_import_leaves_out_what_only_the_server_writes(plugin: Kubernetes, cluster: FakeCluster) -> None:
    plugin.create(NOTES)
    cluster.objects[MAP]["status"] = {"phase": "x"}
    _, inputs, _ = plugin.read(NOTES, "shop/notes", known=False)
    assert inputs == {**NOTES, "metadata": {"name": "notes", "namespace": "shop"}}


def test_a_deletion_waits_until_the_object_is_gone(plugin: Kubernetes, cluster: FakeCluster) -> None:
    plugin.create(NOTES)
    cluster.objects[MAP]["metadata"]["finalizers"] = ["example.com/hold"]
    threading.Timer(0.7, lambda: cluster.objects.pop(MAP)).start()
    plugin.delete(NOTES, "shop/notes")
    assert MAP not in cluster.objects
    assert (
        next(body for method, _, _, body in cluster.requests if method == "DELETE")["propagationPolicy"] == "Foreground"
    )


def test_a_deletion_that_hangs_names_the_finalizers(plugin: Kubernetes, cluster: FakeCluster) -> None:
    plugin.create(NOTES)
    cluster.objects[MAP]["metadata"]["finalizers"] = ["example.com/hold"]
    with pytest.raises(grpc.RpcError) as caught:
        plugin.delete(NOTES, "shop/notes", timeout=1)
    assert "finalizers example.com/hold hold it" in caught.value.details()


@pytest.mark.parametrize(("asked", "sent"), [("orphan", "Orphan"), ("background", "Background")])
def test_the_propagation_of_a_deletion_can_be_chosen(
    plugin: Kubernetes, cluster: FakeCluster, asked: str, sent: str
) -> None:
    plugin.create(NOTES)
    plugin.delete(annotated(NOTES, deletionPropagationPolicy=asked), "shop/notes")
    assert propagation(cluster) == sent


def test_deleting_what_is_gone_is_fine(plugin: Kubernetes) -> None:
    plugin.delete(NOTES, "shop/notes")


def test_the_data_of_a_secret_is_secret_whoever_wrote_it(plugin: Kubernetes, cluster: FakeCluster) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": HIDDEN}}
    inputs = plugin.checked(item)
    assert isinstance(inputs["stringData"]["key"], Secret)
    _, outputs = plugin.create(item)
    encoded = base64.b64encode(HIDDEN.encode()).decode()
    assert isinstance(outputs["data"]["key"], Secret)
    assert reveal(outputs["data"]) == {"key": encoded}
    assert cluster.requests[-1][3]["data"] == {"key": encoded}, "text is applied as data, so that it can be taken away"


def test_a_secret_stays_secret_wherever_it_is_in_an_object(plugin: Kubernetes) -> None:
    _, outputs = plugin.create({**NOTES, "data": {"url": Secret(f"https://me:{HIDDEN}@there")}})
    assert isinstance(outputs["data"]["url"], Secret)
    assert isinstance(outputs["__inputs"]["data"]["url"], Secret)


def test_a_secret_that_the_server_has_copied_elsewhere_stays_secret(plugin: Kubernetes, cluster: FakeCluster) -> None:
    cluster.on_apply = lambda path, item: {**item, "status": {"copy": f"was {HIDDEN}"}}
    _, outputs = plugin.create({**NOTES, "data": {"key": Secret(HIDDEN)}})
    assert isinstance(outputs["status"]["copy"], Secret)


def test_a_refusal_that_quotes_a_secret_is_covered(plugin: Kubernetes, cluster: FakeCluster) -> None:
    encoded = base64.b64encode(HIDDEN.encode()).decode()
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": HIDDEN}}
    cluster.on_apply = lambda path, item: refusal(422, "Invalid", f"{HIDDEN} and {encoded} are too short")
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create(item)
    assert caught.value.details() == "Secret shop/key: [secret] and [secret] are too short"


def test_drift_of_a_secret_is_seen_and_stays_secret(plugin: Kubernetes, cluster: FakeCluster) -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": HIDDEN}}
    _, state = plugin.create(item)
    assert plugin.read(item, "shop/key", state)[1] == plugin.checked(item)
    cluster.objects["/api/v1/namespaces/shop/secrets/key"]["data"]["key"] = base64.b64encode(b"else").decode()
    assert plugin.read(item, "shop/key", state)[1]["stringData"]["key"] == Secret("else")

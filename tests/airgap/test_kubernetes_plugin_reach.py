"""How the Kubernetes plugin finds its cluster, what it says when that is away, and YAML files in place of one."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pulumi_kubernetes
import pytest
import yaml
from pulumi._types import input_type_py_to_pulumi_names
from pulumi.runtime.proto import provider_pb2

from airgap.kubernetes_plugin.configuration import KNOWN, Settings, moved, settings
from airgap.kubernetes_plugin.kubeconfig import load
from airgap.provider.operation import ResourceError
from airgap.provider.wire import UNKNOWN, Secret, encode_map
from tests.airgap.fake_cluster import FakeCluster, kubeconfig, serving
from tests.airgap.kubernetes_support import Kubernetes, configured
from tests.airgap.support import Process, start

pytestmark = pytest.mark.ring("airgap")

NOBODY = "http://127.0.0.1:1"
NOTES: dict[str, Any] = {
    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes", "namespace": "shop"}, "data": {"a": "1"},
}  # fmt: skip


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    made = start("airgap.kubernetes_plugin.server", "127.0.0.1:1")
    yield made
    made.end()


def failures(plugin: Kubernetes, **inputs: Any) -> dict[str, str]:
    request = provider_pb2.CheckRequest(urn="urn:pulumi:dev::test::pulumi:providers:kubernetes::k")
    encode_map(request.news, inputs)
    return {item.property: item.reason for item in plugin.stub.CheckConfig(request, timeout=30).failures}


def test_the_known_provider_inputs_are_those_of_the_official_sdk() -> None:
    assert set(input_type_py_to_pulumi_names(pulumi_kubernetes.ProviderArgs).values()) == KNOWN


def test_a_provider_input_that_is_not_carried_out_is_refused_by_name(process: Process, tmp_path: Path) -> None:
    plugin = configured(process, renderYamlToDirectory=str(tmp_path))
    wrong = {"helmReleaseSettings": "{}", "kubeClientSettings": "{}", "enableServerSideApply": "false", "colour": "x"}
    found = failures(plugin, **wrong)
    assert found.keys() == wrong.keys()
    assert "official" in found["enableServerSideApply"]


def test_a_right_provider_input_is_accepted(process: Process, tmp_path: Path) -> None:
    plugin = configured(process, renderYamlToDirectory=str(tmp_path))
    assert failures(plugin, enableServerSideApply="true", context="prod", kubeconfig=UNKNOWN, version="4.34.2") == {}


def test_a_cluster_that_is_away_is_one_line_with_its_address_and_the_mend(process: Process) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        configured(process, kubeconfig=kubeconfig(NOBODY))
    line = caught.value.details()
    assert line.startswith(f"the Kubernetes cluster at {NOBODY} does not answer (Connection refused); start it, or")
    assert "context fake" in line
    assert "PULUMI_K8S_DELETE_UNREACHABLE" in line
    assert "\n" not in line


def test_credentials_that_are_not_accepted_are_told_so(process: Process) -> None:
    cluster = FakeCluster()
    cluster.answer = lambda *_: (401, {"kind": "Status"})  # type: ignore[method-assign]
    with serving(cluster) as config, pytest.raises(grpc.RpcError) as caught:
        configured(process, kubeconfig=config)
    assert "does not accept the credentials in the kubeconfig given" in caught.value.details()
    assert "let-me-in" not in caught.value.details()


def test_objects_of_a_lost_cluster_can_be_dropped_from_the_state(process: Process) -> None:
    plugin = configured(process, kubeconfig=kubeconfig(NOBODY), deleteUnreachable=True)
    assert plugin.read(NOTES, "shop/notes")[0] == ""
    plugin.delete(NOTES, "shop/notes")


def test_objects_of_a_lost_cluster_can_be_left_as_recorded(process: Process) -> None:
    plugin = configured(process, kubeconfig=kubeconfig(NOBODY), skipUpdateUnreachable=True)
    assert plugin.checked({**NOTES, "data": {"a": "2"}}, old=NOTES) == NOTES
    assert plugin.read(NOTES, "shop/notes")[1] == NOTES
    with pytest.raises(grpc.RpcError) as caught:
        plugin.delete(NOTES, "shop/notes")
    assert "does not answer" in caught.value.details()


def test_a_cluster_that_is_yet_to_be_made_previews_the_inputs(process: Process) -> None:
    plugin = configured(process, kubeconfig=UNKNOWN)
    assert plugin.create(NOTES, preview=True)[1]["data"] == NOTES["data"]


def test_the_kubeconfig_can_be_a_path_with_relative_paths_in_it(tmp_path: Path) -> None:
    config = json.loads(kubeconfig("https://there:6443/"))
    config["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    config["users"][0]["user"] = {"client-certificate-data": base64.b64encode(b"CERT").decode()}
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    (tmp_path / "ca.pem").write_text("CA")
    access = load(str(tmp_path / "config"))
    assert (access.server, access.authority, access.certificate) == ("https://there:6443", "CA", "CERT")


def test_several_kubeconfigs_are_joined_as_kubectl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = json.loads(kubeconfig("https://one")), json.loads(kubeconfig("https://other"))
    for section in ("contexts", "clusters"):
        other[section][0]["name"] = "other"
    other["contexts"][0]["context"]["cluster"] = "other"
    (tmp_path / "one").write_text(json.dumps(one))
    (tmp_path / "other").write_text(json.dumps(other))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one:{tmp_path}/none:{tmp_path}/other")
    assert load().server == "https://one"
    assert load(context="other").server == "https://other"
    assert load(cluster="other").server == "https://other"


@pytest.mark.parametrize(
    ("text", "context", "said"),
    [
        ("/nowhere/config", "", "/nowhere/config cannot be read"),
        (kubeconfig("https://x"), "prod", "has no context 'prod' (it has: fake)"),
        ("clusters: [\nsecret-key", "", "no valid YAML"),
        ("", "", "no kubeconfig is there"),
    ],
)
def test_a_kubeconfig_that_is_wrong_is_told_with_its_mend(
    text: str, context: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ResourceError) as caught:
        load(text, context)
    assert said in str(caught.value)
    assert "kubernetes:" in str(caught.value)
    assert "secret-key" not in str(caught.value)


def test_a_credential_command_is_run_and_what_it_prints_is_sent(process: Process, tmp_path: Path) -> None:
    command = tmp_path / "login"
    command.write_text('#!/bin/sh\necho \'{"kind": "ExecCredential", "status": {"token": "fresh"}}\'\n')
    command.chmod(0o755)
    with serving(FakeCluster()) as text:
        config = json.loads(text)
        config["users"][0]["user"] = {
            "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(command)}
        }
        configured(process, kubeconfig=json.dumps(config))
        command.write_text("#!/bin/sh\necho no >&2; exit 1\n")
        with pytest.raises(grpc.RpcError) as caught:
            configured(process, kubeconfig=json.dumps(config))
    assert f"the credential command {command} of the kubeconfig given failed: no" in caught.value.details()


@pytest.mark.parametrize(
    ("old", "new", "replaces"),
    [
        ({"kubeconfig": kubeconfig("https://a")}, {"kubeconfig": kubeconfig("https://a", "other")}, set()),
        ({"kubeconfig": kubeconfig("https://a")}, {"kubeconfig": kubeconfig("https://b")}, {"kubeconfig"}),
        ({"kubeconfig": kubeconfig("https://a")}, {"kubeconfig": UNKNOWN}, set()),
        ({"namespace": "a"}, {"namespace": "b"}, set()),
        ({"clusterIdentifier": "a"}, {"clusterIdentifier": "b"}, {"clusterIdentifier"}),
        (
            {"clusterIdentifier": "a", "kubeconfig": kubeconfig("https://a")},
            {"clusterIdentifier": "a", "kubeconfig": kubeconfig("https://b")},
            set(),
        ),
        ({"renderYamlToDirectory": "a"}, {"renderYamlToDirectory": "b"}, {"renderYamlToDirectory"}),
    ],
)
def test_only_another_cluster_replaces_the_provider(
    old: dict[str, Any], new: dict[str, Any], replaces: set[str]
) -> None:
    assert moved(old, new).replaces == replaces


def test_switches_come_from_inputs_then_from_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_K8S_ENABLE_PATCH_FORCE", "true")
    assert settings({}) == Settings(force=True)
    assert settings({"enablePatchForce": "false"}).force is False


def test_objects_are_written_as_files_definitions_apart(process: Process, tmp_path: Path) -> None:
    plugin = configured(process, renderYamlToDirectory=str(tmp_path))
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
    }
    identity, state = plugin.create(NOTES)
    plugin.create(definition)
    file = tmp_path / "1-manifest" / "v1-configmap-shop-notes.yaml"
    assert identity == "shop/notes"
    assert (tmp_path / "0-crd" / "apiextensions.k8s.io_v1-customresourcedefinition-default-x.yaml").is_file()
    assert yaml.safe_load(file.read_text()) == NOTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    plugin.update({**NOTES, "data": {"a": "2"}}, state)
    assert yaml.safe_load(file.read_text())["data"] == {"a": "2"}
    assert plugin.read(NOTES, identity, state)[1] == NOTES
    plugin.delete(NOTES, identity)
    assert not file.exists()


def test_a_preview_writes_no_files(process: Process, tmp_path: Path) -> None:
    plugin = configured(process, renderYamlToDirectory=str(tmp_path / "out"))
    plugin.create({**NOTES, "data": {"a": Secret("x")}}, preview=True)
    assert list(tmp_path.iterdir()) == []

"""What the Docker plugin does with inputs before anything is made: Check, Diff, previews, its own configuration."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pulumi_docker
import pytest
from google.protobuf import empty_pb2
from pulumi._types import input_type_py_to_pulumi_names
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from airgap.docker_plugin.catalogue import RESOURCES
from airgap.docker_plugin.container_fields import CONTAINER
from airgap.docker_plugin.schema import canonical, duration_text, nanoseconds
from airgap.provider.wire import UNKNOWN, Secret, decode_map, encode_map

pytestmark = pytest.mark.ring("airgap")

BOX: dict[str, Any] = {"image": "debian:bookworm-slim", "name": "box", "command": ["sleep", "60"]}


def failures(response: Any) -> dict[str, str]:
    return {item.property: item.reason for item in response.failures}


@pytest.mark.parametrize(
    ("token", "arguments"),
    [
        ("docker:index/container:Container", pulumi_docker.ContainerArgs),
        ("docker:index/network:Network", pulumi_docker.NetworkArgs),
        ("docker:index/volume:Volume", pulumi_docker.VolumeArgs),
        ("docker:index/remoteImage:RemoteImage", pulumi_docker.RemoteImageArgs),
    ],
)
def test_the_known_inputs_are_those_of_the_official_sdk(token: str, arguments: type) -> None:
    assert set(RESOURCES[token].fields) == set(input_type_py_to_pulumi_names(arguments).values())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("healthcheck", pulumi_docker.ContainerHealthcheckArgs),
        ("mounts", pulumi_docker.ContainerMountArgs),
        ("networksAdvanced", pulumi_docker.ContainerNetworksAdvancedArgs),
        ("ports", pulumi_docker.ContainerPortArgs),
        ("ulimits", pulumi_docker.ContainerUlimitArgs),
        ("uploads", pulumi_docker.ContainerUploadArgs),
        ("volumes", pulumi_docker.ContainerVolumeArgs),
    ],
)
def test_the_known_inputs_inside_an_input_are_those_of_the_official_sdk(name: str, arguments: type) -> None:
    assert set(CONTAINER[name].fields or {}) == set(input_type_py_to_pulumi_names(arguments).values())


def test_an_unknown_input_is_refused_by_name(plugin: Any) -> None:
    assert "memoryy is not an input" in failures(plugin.check("container", {**BOX, "memoryy": 5}))["memoryy"]


def test_an_unknown_input_inside_another_is_refused_by_its_path(plugin: Any) -> None:
    found = failures(plugin.check("container", {**BOX, "ports": [{"internal": 80, "hostPort": 8080}]}))
    assert list(found) == ["ports[0].hostPort"]


def test_an_input_that_is_not_carried_out_is_refused_not_ignored(plugin: Any) -> None:
    assert "not carried out" in failures(plugin.check("container", {**BOX, "gpus": "all"}))["gpus"]


def test_a_missing_image_is_refused(plugin: Any) -> None:
    assert failures(plugin.check("container", {"name": "box"})) == {"image": "image is required"}


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"restart": "sometimes"}, "restart"),
        ({"memory": "much"}, "memory"),
        ({"attach": True}, "mustRun"),
        ({"uploads": [{"file": "/a", "content": "x", "source": "/b"}]}, "uploads[0]"),
        ({"uploads": [{"file": "/a"}]}, "uploads[0]"),
        ({"healthcheck": {"tests": ["CMD", "true"], "interval": "soon"}}, "healthcheck.interval"),
        ({"volumes": [{"volumeName": "v"}]}, "volumes[0].containerPath"),
    ],
)
def test_a_wrong_input_is_refused_by_its_path(plugin: Any, wrong: dict[str, Any], path: str) -> None:
    assert list(failures(plugin.check("container", {**BOX, **wrong}))) == [path]


def test_a_refusal_does_not_say_a_secret(plugin: Any) -> None:
    response = plugin.check("container", {**BOX, "uploads": [{"file": "/a", "contentBase64": Secret("hidden value!")}]})
    assert failures(response)
    assert "hidden value!" not in str(response.failures)


def test_defaults_are_filled_in_and_listed(plugin: Any) -> None:
    inputs = plugin.checked("container", BOX)
    assert inputs["restart"] == "no"
    assert inputs["mustRun"] is True
    assert "restart" in inputs["__defaults"]
    assert "name" not in inputs["__defaults"]


def test_a_secret_input_stays_secret_through_check(plugin: Any) -> None:
    assert plugin.checked("container", {**BOX, "envs": [Secret("A=b")]})["envs"] == [Secret("A=b")]


def test_a_resource_without_a_name_is_named_once_and_keeps_the_name(plugin: Any) -> None:
    first = plugin.checked("volume", {})
    assert first["name"].startswith("thing-")
    assert plugin.checked("volume", {"driver": "local"}, first)["name"] == first["name"]


def test_the_engines_own_naming_is_followed(plugin: Any) -> None:
    options = provider_pb2.CheckRequest.AutonamingOptions(proposed_name="proposed")
    assert decode_map(plugin.check("volume", {}, autonaming=options).inputs)["name"] == "proposed"


def test_the_same_inputs_in_another_order_are_no_difference(plugin: Any) -> None:
    old = {**BOX, "envs": ["A=1", "B=2"], "labels": [{"label": "a", "value": "1"}, {"label": "b", "value": "2"}]}
    new = {**BOX, "envs": ["B=2", "A=1"], "labels": [{"label": "b", "value": "2"}, {"label": "a", "value": "1"}]}
    assert plugin.diff("container", old, new).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_durations_of_the_same_length_are_no_difference(plugin: Any) -> None:
    old = {**BOX, "healthcheck": {"tests": ["CMD", "true"], "interval": "60s"}}
    new = {**BOX, "healthcheck": {"tests": ["CMD", "true"], "interval": "1m0s"}}
    assert plugin.diff("container", old, new).changes == provider_pb2.DiffResponse.DIFF_NONE


@pytest.mark.parametrize(
    "change", [{"memory": 256}, {"cpuShares": 512}, {"cpus": "0.5"}, {"restart": "always"}, {"waitTimeout": 5}]
)
def test_limits_restart_policy_and_waiting_change_in_place(plugin: Any, change: dict[str, Any]) -> None:
    response = plugin.diff("container", BOX, {**BOX, **change})
    assert response.diffs == list(change)
    assert not response.replaces


@pytest.mark.parametrize(
    "change",
    [
        {"envs": ["A=1"]},
        {"command": ["true"]},
        {"image": "other"},
        {"user": "10001"},
        {"tmpfs": {"/tmp": ""}},  # noqa: S108 - a path in a container
        {"ports": [{"internal": 80}]},
        {"uploads": [{"file": "/a", "content": "x"}]},
        {"healthcheck": {"tests": ["CMD", "true"]}},
        {"networksAdvanced": [{"name": "n"}]},
    ],
)
def test_what_is_fixed_when_a_container_is_made_replaces_it(plugin: Any, change: dict[str, Any]) -> None:
    response = plugin.diff("container", BOX, {**BOX, **change})
    assert response.replaces == list(change)
    assert response.deleteBeforeReplace, "two containers cannot have one name at a time"


def test_a_new_name_does_not_need_the_old_container_gone_first(plugin: Any) -> None:
    response = plugin.diff("container", BOX, {**BOX, "name": "other"})
    assert response.replaces == ["name"]
    assert not response.deleteBeforeReplace


def test_a_limit_taken_away_replaces_because_the_engine_cannot_lift_it(plugin: Any) -> None:
    assert plugin.diff("container", {**BOX, "memory": 64}, BOX).replaces == ["memory"]


def test_a_value_not_known_yet_counts_as_changed(plugin: Any) -> None:
    assert plugin.diff("container", BOX, {**BOX, "image": UNKNOWN}).replaces == ["image"]


def test_ignored_changes_are_no_difference(plugin: Any) -> None:
    response = plugin.diff("container", BOX, {**BOX, "envs": ["A=1"]}, ("envs",))
    assert response.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_preview_makes_nothing_and_leaves_open_what_the_engine_decides(plugin: Any, engine: Any, unique: Any) -> None:
    name = unique("preview")
    _, outputs = plugin.create("container", {**BOX, "name": name, "image": UNKNOWN}, preview=True)
    assert outputs["networkDatas"] is UNKNOWN
    assert outputs["image"] is UNKNOWN
    assert outputs["name"] == name
    assert engine.containers(all=True, filters={"name": name}) == []


def test_a_kind_that_is_not_served_is_named_in_the_error(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.check("docker:index/service:Service", {})
    assert "docker:index/service:Service is not served" in caught.value.details()


def test_a_function_is_refused_plainly(plugin: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.stub.Invoke(provider_pb2.InvokeRequest(tok="docker:index/getNetwork:getNetwork"), timeout=30)
    assert "not served" in caught.value.details()


def test_the_schema_and_the_version_are_told(plugin: Any) -> None:
    document = json.loads(plugin.stub.GetSchema(provider_pb2.GetSchemaRequest(), timeout=30).schema)
    assert document["version"] == "5.2.0"
    assert "memory" in document["resources"]["docker:index/container:Container"]["inputProperties"]
    assert plugin.stub.GetPluginInfo(empty_pb2.Empty(), timeout=30).version == "5.2.0"


def test_an_unknown_provider_input_is_refused(plugin: Any) -> None:
    request = provider_pb2.CheckRequest(urn="urn:pulumi:dev::test::pulumi:providers:docker::default")
    encode_map(request.news, {"hosst": "unix:///x", "version": "5.2.0"})
    assert list(failures(plugin.stub.CheckConfig(request, timeout=30))) == ["hosst"]


def test_an_engine_that_is_away_is_one_clear_line(plugin_process: Any) -> None:
    stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(plugin_process.address))
    request = provider_pb2.ConfigureRequest()
    encode_map(request.args, {"host": "unix:///nowhere/docker.sock"})
    with pytest.raises(grpc.RpcError) as caught:
        stub.Configure(request, timeout=30)
    message = caught.value.details()
    assert "unix:///nowhere/docker.sock does not answer" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "length"), [("500ms", 500_000_000), ("1m30s", 90 * 10**9), ("0s", 0), ("1h", 3600 * 10**9)]
)
def test_durations_are_read_and_written(text: str, length: int) -> None:
    assert nanoseconds(text) == length
    assert nanoseconds(duration_text(length)) == length


def test_empty_means_absent() -> None:
    assert canonical(CONTAINER["envs"], []) is None
    assert canonical(CONTAINER["user"], "") is None
    assert canonical(CONTAINER["memory"], 0) is None

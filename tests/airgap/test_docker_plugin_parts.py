"""Networks, volumes and images through the Docker plugin on the real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.airgap.support import IMAGE

pytestmark = pytest.mark.ring("airgap")

Names = Callable[[str], str]


def test_a_network_is_made_read_without_drift_and_removed(plugin: Any, engine: Any, unique: Names) -> None:
    wished = {
        "name": unique("net"),
        "internal": True,
        "labels": [{"label": "b", "value": "2"}, {"label": "a", "value": "1"}],
        "options": {"com.docker.network.bridge.enable_icc": "true"},
        "ipamConfigs": [{"subnet": "172.29.213.0/24", "gateway": "172.29.213.1"}],
    }
    inputs = plugin.checked("network", wished)
    identity, outputs = plugin.create("network", inputs)
    assert outputs["internal"] is True
    assert outputs["scope"] == "local"
    assert outputs["ipamConfigs"] == [{"subnet": "172.29.213.0/24", "gateway": "172.29.213.1"}]
    assert plugin.read("network", identity, inputs, outputs) == (identity, inputs, outputs)
    plugin.delete("network", identity, inputs)
    assert plugin.read("network", identity, inputs, outputs)[0] == ""
    plugin.delete("network", identity, inputs)


def test_a_second_network_of_a_name_is_refused(plugin: Any, unique: Names) -> None:
    plugin.create("network", {"name": unique("net")})
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("network", {"name": unique("net")})
    assert "exists that is not in this stack" in caught.value.details()


def test_a_network_in_use_is_not_removed_and_its_users_are_named(plugin: Any, unique: Names) -> None:
    identity, _ = plugin.create("network", {"name": unique("net")})
    box = {
        "name": unique("box"),
        "image": IMAGE,
        "command": ["sleep", "600"],
        "networksAdvanced": [{"name": unique("net")}],
    }
    plugin.create("container", box)
    with pytest.raises(grpc.RpcError) as caught:
        plugin.delete("network", identity, {"name": unique("net")}, timeout=1)
    assert f"still used by {unique('box')}" in caught.value.details()


def test_an_imported_network_makes_no_difference(plugin: Any, unique: Names) -> None:
    wished = {"name": unique("net"), "internal": True}
    plugin.create("network", wished)
    _, inputs, _ = plugin.read("network", unique("net"))
    live = {key: value for key, value in inputs.items() if key in ("name", "internal")}
    assert plugin.diff("network", live, wished).diffs == []


def test_a_volume_is_made_read_without_drift_and_removed(plugin: Any, engine: Any, unique: Names) -> None:
    inputs = plugin.checked("volume", {"name": unique("data"), "labels": [{"label": "a", "value": "1"}]})
    identity, outputs = plugin.create("volume", inputs)
    assert identity == unique("data")
    assert outputs["mountpoint"] == engine.inspect_volume(identity)["Mountpoint"]
    assert plugin.read("volume", identity, inputs, outputs) == (identity, inputs, outputs)
    plugin.delete("volume", identity, inputs)
    assert plugin.read("volume", identity, inputs, outputs)[0] == ""
    plugin.delete("volume", identity, inputs)


def test_a_volume_that_is_there_already_is_taken_with_its_data(plugin: Any, engine: Any, unique: Names) -> None:
    engine.create_volume(unique("data"))
    made = engine.inspect_volume(unique("data"))["CreatedAt"]
    identity, _ = plugin.create("volume", {"name": unique("data")})
    assert engine.inspect_volume(identity)["CreatedAt"] == made


def test_a_volume_that_is_there_with_other_labels_is_refused(plugin: Any, engine: Any, unique: Names) -> None:
    engine.create_volume(unique("data"), labels={"owner": "somebody"})
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("volume", {"name": unique("data"), "labels": [{"label": "owner", "value": "me"}]})
    assert "exists with other labels" in caught.value.details()


def test_a_volume_in_use_is_not_removed_and_its_users_are_named(plugin: Any, unique: Names) -> None:
    identity, _ = plugin.create("volume", {"name": unique("data")})
    mount = {"volumeName": unique("data"), "containerPath": "/data"}
    plugin.create("container", {"name": unique("box"), "image": IMAGE, "command": ["sleep", "600"], "volumes": [mount]})
    with pytest.raises(grpc.RpcError) as caught:
        plugin.delete("volume", identity, {"name": unique("data")}, timeout=1)
    assert f"still used by {unique('box')}" in caught.value.details()


def test_a_local_image_is_taken_as_it_is_and_kept(plugin: Any, engine: Any) -> None:
    inputs = plugin.checked("image", {"name": IMAGE, "keepLocally": True})
    identity, outputs = plugin.create("image", inputs)
    known = engine.inspect_image(IMAGE)["Id"]
    assert outputs["imageId"] == known
    assert identity == f"{known}{IMAGE}"
    assert plugin.read("image", identity, inputs, outputs) == (identity, inputs, outputs)
    plugin.delete("image", identity, inputs)
    assert engine.inspect_image(IMAGE)["Id"] == known


def test_an_image_that_is_not_kept_is_removed_and_then_gone(plugin: Any, engine: Any, unique: Names) -> None:
    name = f"{unique('image')}:1"
    engine.tag(IMAGE, unique("image"), tag="1")
    inputs = plugin.checked("image", {"name": name})
    identity, outputs = plugin.create("image", inputs)
    plugin.delete("image", identity, inputs)
    assert plugin.read("image", identity, inputs, outputs)[0] == ""
    assert engine.inspect_image(IMAGE), "the other name of the image is untouched"


def test_an_image_that_is_neither_here_nor_to_be_had_is_said_plainly(plugin: Any) -> None:
    name = "localhost:1/no/such:image"
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("image", {"name": name})
    assert f"the image {name} is not on this engine and cannot be pulled" in caught.value.details()


def test_building_an_image_is_refused_by_name(plugin: Any) -> None:
    response = plugin.check("image", {"name": "x", "build": {"context": "."}})
    assert [item.property for item in response.failures] == ["build"]

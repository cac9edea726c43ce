"""Containers through the Docker plugin on the real engine."""

from __future__ import annotations

import base64
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

from airgap.provider.wire import Secret
from tests.airgap.support import IMAGE, configured, eventually, start

pytestmark = pytest.mark.ring("airgap")

Names = Callable[[str], str]
IDLE = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
HIDDEN = "very-hidden-value"


def box(name: str, **inputs: Any) -> dict[str, Any]:
    return {"name": name, "image": IMAGE, "command": IDLE, **inputs}


def message(caught: Any) -> str:
    text: str = caught.value.details()
    return text


def output_of(engine: Any, identity: str, *command: str) -> str:
    run = engine.exec_create(identity, list(command))
    return str(engine.exec_start(run["Id"]).decode())


def test_a_created_container_runs_as_asked_for(plugin: Any, engine: Any, unique: Names) -> None:
    net, _ = plugin.create("network", {"name": unique("net")})
    inputs = box(
        unique("box"),
        envs=["A=1"],
        labels=[{"label": "part", "value": "test"}],
        memory=64,
        memoryReservation=32,
        cpus="0.5",
        user="10001:10001",
        readOnly=True,
        tmpfs={"/scratch": "size=1m"},
        workingDir="/scratch",
        hostname="host-of-box",
        capabilities={"drops": ["ALL"], "adds": ["CAP_NET_BIND_SERVICE"]},
        securityOpts=["no-new-privileges"],
        logDriver="json-file",
        logOpts={"max-size": "1m"},
        ulimits=[{"name": "nofile", "soft": 1024, "hard": 2048}],
        hosts=[{"host": "elsewhere", "ip": "192.0.2.7"}],
        networksAdvanced=[{"name": net, "aliases": ["the-box"]}],
        init=True,
        groupAdds=["4242"],
        stopSignal="SIGTERM",
        stopTimeout=3,
    )
    identity, outputs = plugin.create("container", inputs)
    details = engine.inspect_container(identity)
    host = details["HostConfig"]
    assert (host["Memory"], host["MemoryReservation"], host["NanoCpus"]) == (64 * 2**20, 32 * 2**20, 500_000_000)
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "1m"}}
    assert host["GroupAdd"] == ["4242"]
    assert details["Config"]["StopTimeout"] == 3
    assert output_of(engine, identity, "id", "-u").strip() == "10001"
    assert "192.0.2.7" in output_of(engine, identity, "cat", "/etc/hosts")
    networks = details["NetworkSettings"]["Networks"]
    assert list(networks) == [unique("net")], "it is on the asked-for network only, not on the default one"
    assert "the-box" in networks[unique("net")]["Aliases"]
    assert outputs["networkDatas"][0]["ipAddress"] == networks[unique("net")]["IPAddress"]
    assert outputs["hostname"] == "host-of-box"
    assert outputs["image"].startswith("sha256:")


def test_a_container_on_two_networks_is_on_both(plugin: Any, unique: Names) -> None:
    for name in ("a", "b"):
        plugin.create("network", {"name": unique(name)})
    wished = [{"name": unique("b")}, {"name": unique("a"), "aliases": ["x"]}]
    identity, outputs = plugin.create("container", box(unique("box"), networksAdvanced=wished))
    assert [item["networkName"] for item in outputs["networkDatas"]] == [unique("a"), unique("b")]
    assert plugin.read("container", identity, plugin.checked("container", box(unique("box"), networksAdvanced=wished)))[
        0
    ]


def test_uploads_are_there_before_the_start_with_owner_and_mode(plugin: Any, engine: Any, unique: Names) -> None:
    uploads = [
        {"file": "/etc/thing/plain", "content": "text"},
        {"file": "/etc/thing/run", "content": "#!/bin/sh\n", "executable": True},
        {"file": "/etc/thing/own", "contentBase64": base64.b64encode(b"\x00\x01").decode(), "permissions": "0400",
         "owner": "10001", "group": "10001"},
    ]  # fmt: skip
    identity, _ = plugin.create("container", box(unique("box"), uploads=uploads))
    listing = output_of(
        engine, identity, "stat", "-c", "%n %a %u %s", "/etc/thing/plain", "/etc/thing/run", "/etc/thing/own"
    )
    assert listing.split("\n")[:3] == [
        "/etc/thing/plain 644 0 4",
        "/etc/thing/run 744 0 10",
        "/etc/thing/own 400 10001 2",
    ]


def test_reading_right_after_creating_finds_no_drift_and_the_same_outputs(plugin: Any, unique: Names) -> None:
    plugin.create("volume", {"name": unique("data")})
    inputs = plugin.checked(
        "container",
        box(
            unique("box"),
            memory=64,
            restart="unless-stopped",
            healthcheck={"tests": ["CMD", "true"], "interval": "200ms"},
            wait=True,
            volumes=[{"volumeName": unique("data"), "containerPath": "/data", "readOnly": True}],
            ports=[{"internal": 80, "ip": "127.0.0.1"}],
        ),
    )
    identity, outputs = plugin.create("container", inputs)
    found, now_inputs, now_outputs = plugin.read("container", identity, inputs, outputs)
    assert found == identity
    assert now_inputs == inputs
    assert now_outputs == outputs
    assert outputs["ports"][0]["external"] > 0, "a port left open is told"


def test_a_limit_changed_by_hand_is_seen_and_set_back(plugin: Any, engine: Any, unique: Names) -> None:
    inputs = plugin.checked("container", box(unique("box"), memory=64))
    identity, outputs = plugin.create("container", inputs)
    engine.update_container(identity, mem_limit=128 * 2**20, memswap_limit=256 * 2**20)
    _, seen, state = plugin.read("container", identity, inputs, outputs)
    assert seen["memory"] == 128
    assert plugin.diff("container", seen, inputs).diffs == ["memory"]
    plugin.update("container", identity, state, inputs)
    assert engine.inspect_container(identity)["HostConfig"]["Memory"] == 64 * 2**20


def test_a_raised_limit_is_set_in_place(plugin: Any, engine: Any, unique: Names) -> None:
    identity, outputs = plugin.create("container", box(unique("box"), memory=64))
    updated = plugin.update(
        "container", identity, outputs, box(unique("box"), memory=512, restart="always", cpuShares=512)
    )
    host = engine.inspect_container(identity)["HostConfig"]
    assert (host["Memory"], host["RestartPolicy"]["Name"], host["CpuShares"]) == (512 * 2**20, "always", 512)
    assert updated["memory"] == 512


def test_a_container_stopped_by_hand_is_seen_and_started_again(plugin: Any, engine: Any, unique: Names) -> None:
    inputs = plugin.checked("container", box(unique("box")))
    identity, outputs = plugin.create("container", inputs)
    engine.stop(identity, timeout=5)
    _, seen, state = plugin.read("container", identity, inputs, outputs)
    assert seen["mustRun"] is False
    response = plugin.diff("container", seen, inputs)
    assert response.diffs == ["mustRun"]
    assert not response.replaces
    plugin.update("container", identity, state, inputs)
    assert engine.inspect_container(identity)["State"]["Running"] is True


def test_a_network_taken_from_a_container_by_hand_is_seen(plugin: Any, engine: Any, unique: Names) -> None:
    net, _ = plugin.create("network", {"name": unique("net")})
    inputs = plugin.checked("container", box(unique("box"), networksAdvanced=[{"name": unique("net")}]))
    identity, outputs = plugin.create("container", inputs)
    engine.disconnect_container_from_network(identity, net)
    _, seen, _ = plugin.read("container", identity, inputs, outputs)
    assert plugin.diff("container", seen, inputs).replaces == ["networksAdvanced"]


def test_a_container_removed_by_hand_is_gone_and_its_deletion_is_fine(plugin: Any, engine: Any, unique: Names) -> None:
    inputs = plugin.checked("container", box(unique("box")))
    identity, outputs = plugin.create("container", inputs)
    engine.remove_container(identity, force=True)
    assert plugin.read("container", identity, inputs, outputs)[0] == ""
    plugin.delete("container", identity, inputs)


def test_deleting_stops_with_grace_and_waits_until_it_is_gone(plugin: Any, engine: Any, unique: Names) -> None:
    inputs = plugin.checked("container", box(unique("box"), destroyGraceSeconds=10))
    identity, _ = plugin.create("container", inputs)
    plugin.delete("container", identity, inputs)
    assert engine.containers(all=True, filters={"id": identity}) == []


def test_secret_inputs_make_secret_outputs(plugin: Any, engine: Any, unique: Names) -> None:
    inputs = box(unique("box"), envs=["A=1", Secret(f"TOKEN={HIDDEN}")])
    identity, outputs = plugin.create("container", inputs)
    assert isinstance(outputs["envs"], Secret)
    assert f"TOKEN={HIDDEN}" in engine.inspect_container(identity)["Config"]["Env"]
    _, seen, state = plugin.read("container", identity, plugin.checked("container", inputs), outputs)
    assert seen["envs"] == ["A=1", Secret(f"TOKEN={HIDDEN}")]
    assert isinstance(state["envs"], Secret)


def test_a_secret_does_not_get_into_an_error_message(plugin: Any, unique: Names) -> None:
    command = ["sh", "-c", 'echo "the token is $TOKEN"; exit 4']
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", box(unique("box"), command=command, envs=[Secret(f"TOKEN={HIDDEN}")]))
    assert "exit code 4" in message(caught)
    assert "the token is [secret]" in message(caught)
    assert HIDDEN not in message(caught)


def test_a_secret_in_the_log_output_makes_the_output_secret(plugin: Any, unique: Names) -> None:
    command = ["sh", "-c", 'echo "$TOKEN"']
    inputs = box(
        unique("job"), command=command, envs=[Secret(f"TOKEN={HIDDEN}")], attach=True, logs=True, mustRun=False
    )
    assert plugin.create("container", inputs)[1]["containerLogs"] == Secret(f"{HIDDEN}\n")


def test_attach_waits_for_the_end_and_tells_exit_code_and_logs(plugin: Any, unique: Names) -> None:
    command = ["sh", "-c", "sleep 0.5; echo finished; exit 3"]
    inputs = plugin.checked("container", box(unique("job"), command=command, attach=True, logs=True, mustRun=False))
    identity, outputs = plugin.create("container", inputs)
    assert outputs["exitCode"] == 3
    assert outputs["containerLogs"] == "finished\n"
    assert plugin.read("container", identity, inputs, outputs) == (identity, inputs, outputs)


def test_waiting_ends_when_the_container_is_healthy(plugin: Any, engine: Any, unique: Names) -> None:
    command = ["sh", "-c", "sleep 1; touch /ready; sleep 600"]
    check = {"tests": ["CMD", "test", "-e", "/ready"], "interval": "200ms", "retries": 50}
    identity, _ = plugin.create("container", box(unique("box"), command=command, healthcheck=check, wait=True))
    assert engine.inspect_container(identity)["State"]["Health"]["Status"] == "healthy"


def test_an_unhealthy_container_fails_with_the_check_and_the_log_and_is_removed(
    plugin: Any, engine: Any, unique: Names
) -> None:
    command = ["sh", "-c", "echo I am not well; sleep 600"]
    check = {"tests": ["CMD-SHELL", "echo no heartbeat; exit 1"], "interval": "200ms", "retries": 2}
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", box(unique("box"), command=command, healthcheck=check, wait=True))
    assert "unhealthy" in message(caught)
    assert "no heartbeat" in message(caught)
    assert "I am not well" in message(caught)
    assert engine.containers(all=True, filters={"name": unique("box")}) == []


def test_waiting_has_an_end(plugin: Any, engine: Any, unique: Names) -> None:
    check = {"tests": ["CMD", "false"], "interval": "200ms", "retries": 1000}
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", box(unique("box"), healthcheck=check, wait=True, waitTimeout=1))
    assert "not healthy after 1 s (waitTimeout)" in message(caught)
    assert engine.containers(all=True, filters={"name": unique("box")}) == []


def test_waiting_without_a_healthcheck_is_an_error(plugin: Any, unique: Names) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", box(unique("box"), wait=True))
    assert "healthcheck" in message(caught)


def test_a_busy_port_is_named_and_nothing_is_left(plugin: Any, engine: Any, unique: Names) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        published = [{"internal": 80, "external": port, "ip": "127.0.0.1"}]
        with pytest.raises(grpc.RpcError) as caught:
            plugin.create("container", box(unique("box"), ports=published))
    assert f"port 127.0.0.1:{port} of the host is in use" in message(caught)
    assert engine.containers(all=True, filters={"name": unique("box")}) == []


def test_a_port_of_another_container_is_named(plugin: Any, unique: Names) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    published = [{"internal": 80, "external": port, "ip": "127.0.0.1"}]
    plugin.create("container", box(unique("one"), ports=published))
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", box(unique("two"), ports=published))
    assert f"port 127.0.0.1:{port} of the host is in use" in message(caught)


def test_a_taken_name_is_said_and_the_other_container_is_left_alone(plugin: Any, engine: Any, unique: Names) -> None:
    first, _ = plugin.create("container", box(unique("box")))
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", box(unique("box")))
    assert f"the name '{unique('box')}' is taken" in message(caught)
    assert engine.inspect_container(first)["State"]["Running"] is True


def test_an_input_that_the_engine_is_too_old_for_is_refused(plugin: Any, engine: Any, unique: Names) -> None:
    wished = box(unique("box"), mounts=[{"type": "volume", "target": "/d", "volumeOptions": {"subpath": "x"}}])
    if tuple(map(int, engine.api_version.split("."))) >= (1, 45):
        pytest.skip("this engine is new enough")
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", wished)
    assert "mounts[0].volumeOptions.subpath needs engine API 1.45" in message(caught)


def test_an_imported_container_has_inputs_that_make_no_difference(plugin: Any, engine: Any, unique: Names) -> None:
    plugin.create("network", {"name": unique("net")})
    wished = box(
        unique("box"),
        envs=["A=1"],
        memory=64,
        labels=[{"label": "a", "value": "b"}],
        networksAdvanced=[{"name": unique("net"), "aliases": ["x"]}],
        ports=[{"internal": 80, "external": 0, "ip": "127.0.0.1"}],
    )
    identity, _ = plugin.create("container", wished)
    found, inputs, _ = plugin.read("container", unique("box"))
    assert found == identity
    assert plugin.diff("container", inputs, wished).diffs == []


def test_a_cancelled_deployment_stops_waiting_and_removes_what_is_half_made(engine: Any, unique: Names) -> None:
    process = start("airgap.docker_plugin.server", "127.0.0.1:1")
    try:
        plugin = configured(process)
        check = {"tests": ["CMD", "false"], "interval": "200ms", "retries": 1000}
        caught: list[str] = []

        def create() -> None:
            try:
                plugin.create("container", box(unique("box"), healthcheck=check, wait=True, waitTimeout=60))
            except grpc.RpcError as error:
                caught.append(error.details())

        thread = threading.Thread(target=create)
        thread.start()
        eventually(lambda: engine.containers(filters={"name": unique("box")}))
        plugin.stub.Cancel(empty_pb2.Empty(), timeout=10)
        thread.join(30)
        assert caught == ["cancelled"]
        assert engine.containers(all=True, filters={"name": unique("box")}) == []
    finally:
        process.end()


def test_the_operations_own_timeout_ends_it(plugin: Any, engine: Any, unique: Names) -> None:
    inputs = box(unique("job"), command=["sleep", "600"], attach=True, mustRun=False)
    with pytest.raises(grpc.RpcError) as caught:
        plugin.create("container", inputs, timeout=1)
    assert "not finished within 1 s" in message(caught)
    assert engine.containers(all=True, filters={"name": unique("job")}) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_plugin_goes_at_once_when_it_is_told_to(number: signal.Signals) -> None:
    process = start("airgap.docker_plugin.server", "127.0.0.1:1")
    process.child.send_signal(number)
    assert process.child.wait(4) == 0
    process.end()


def test_the_handshake_says_that_secrets_are_understood(plugin: Any) -> None:
    response = plugin.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"), timeout=10)
    assert response.accept_secrets

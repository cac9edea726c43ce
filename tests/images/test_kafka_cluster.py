"""Kafka as in prod: three brokers that only certificates and logins open, that refuse what no rule allows and lose one
of them without losing a message."""

import json
from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from infra.components.kafka_settings import CONTROLLER_PORT, INTERNAL_PORT
from tests.images import kafka_client
from tests.images.containers import engine, wait_until
from tests.images.kafka_cluster import NODES, KafkaCluster

pytestmark = pytest.mark.ring("images")

ASK = """
import socket, ssl, sys
host, port, *files = sys.argv[1:]
context = ssl.create_default_context(cafile="/config/secrets/ca.crt")
if files:
    context.load_cert_chain(*files)
with socket.create_connection((host, int(port)), 10) as raw, context.wrap_socket(raw, server_hostname=host) as line:
    line.sendall(bytes.fromhex("0000000a00120000000000 07ffff".replace(" ", "")))
    print("answered" if line.recv(4) else "closed")
"""
"""Asks a listener for its versions over TLS; what it says or raises tells whether it lets the caller in."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with engine() as containers:
        made = KafkaCluster(containers)
        made.start()
        code, text = made.access(1)
        assert code == 0, text
        yield made


@pytest.fixture(scope="module")
def client(cluster: KafkaCluster) -> Container:
    return cluster.client()


def does(client: Container, env: dict[str, str], what: str, count: int) -> tuple[int, str]:
    found = client.exec_run(["python", "-c", kafka_client.SOURCE, what, str(count)], environment=env, demux=True)
    said, complained = (bytes(text or b"").decode().strip() for text in found.output)
    assert found.exit_code in {0, kafka_client.REFUSED}, complained
    return int(found.exit_code), said


def connects(client: Container, env: dict[str, str]) -> bool:
    found = client.exec_run(["python", "-m", "service", "check", "kafka"], environment=env)
    assert found.exit_code in {0, 1}, found.output
    return bool(found.exit_code == 0)


def asked(client: Container, *arguments: str) -> str:
    return bytes(client.exec_run(["python", "-c", ASK, *arguments]).output).decode()


def test_the_relay_writes_and_an_executor_reads(cluster: KafkaCluster, client: Container) -> None:
    code, text = does(client, cluster.env("relay-1"), "send", 20)
    assert code == 0, text
    code, text = does(client, cluster.env("executor-1"), "receive", 20)
    assert code == 0, text


@pytest.mark.parametrize(
    ("user", "what"), [("api-1", "send"), ("executor-1", "send"), ("relay-1", "receive"), ("migrations-1", "receive")]
)
def test_a_login_may_do_only_its_own_work(cluster: KafkaCluster, client: Container, user: str, what: str) -> None:
    assert does(client, cluster.env(user), what, 1) == (kafka_client.REFUSED, "refused")


def test_whoever_has_login_and_authority_gets_in(cluster: KafkaCluster, client: Container) -> None:
    assert connects(client, cluster.env("api-1"))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {
                "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
                "KAFKA_SASL_USERNAME": "",
                "KAFKA_SASL_PASSWORD": "",
                "KAFKA_SSL_CA_FILE": "",
            },
            id="plaintext",
        ),
        pytest.param(
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SASL_USERNAME": "", "KAFKA_SASL_PASSWORD": ""}, id="no login"
        ),
        pytest.param({"KAFKA_SASL_PASSWORD": "a wrong one"}, id="wrong password"),
        pytest.param({"KAFKA_SASL_USERNAME": "kafka"}, id="unknown login"),
        pytest.param({"KAFKA_SSL_CA_FILE": "/config/secrets/other-ca.crt"}, id="another authority"),
    ],
)
def test_nobody_else_gets_in(cluster: KafkaCluster, client: Container, changes: dict[str, str]) -> None:
    assert not connects(client, cluster.env("api-1", **changes))


@pytest.mark.parametrize("port", [CONTROLLER_PORT, INTERNAL_PORT])
def test_the_brokers_own_listeners_want_a_certificate(cluster: KafkaCluster, client: Container, port: int) -> None:
    host = cluster.layout.hosts[0]
    ours = ("/config/secrets/tls.crt", "/config/secrets/tls.key")
    assert "answered" in asked(client, host, str(port), *ours)
    assert "CERTIFICATE_REQUIRED" in asked(client, host, str(port)).upper()


def test_the_certificate_of_another_part_may_change_nothing(cluster: KafkaCluster) -> None:
    code, text = cluster.access(9, part="api")
    assert code == 1
    assert "its common name must be among their super.users" in json.loads(text.splitlines()[-1])["reason"]


def test_the_figures_are_served_over_tls_only(cluster: KafkaCluster) -> None:
    assert cluster.figure(0, "kafka_server_broker_state") == 3
    plain = r"exec 3<>/dev/tcp/localhost/9404; printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3; timeout 5 cat <&3"
    assert b"kafka_server" not in cluster.members[0].exec_run(["bash", "-c", plain]).output


def test_a_killed_broker_stops_no_writes_and_comes_back_level(cluster: KafkaCluster, client: Container) -> None:
    gone = cluster.members[NODES - 1]
    gone.kill("SIGKILL")
    code, text = does(client, cluster.env("relay-1"), "send", 30)
    assert code == 0, text
    assert float(text) < 30

    gone.start()
    assert not cluster.caught_up(NODES - 1)
    wait_until(lambda: cluster.caught_up(NODES - 1), "the broker to be level again")
    missing = "kafka_server_replica_manager_underreplicatedpartitions"
    wait_until(
        lambda: all(cluster.figure(number, missing) == 0 for number in range(NODES)), "the leaders counting it as level"
    )


def test_the_logins_before_the_last_rotation_end(cluster: KafkaCluster, client: Container) -> None:
    code, text = cluster.access(3, 2)
    assert code == 0, text
    assert set(json.loads(text.splitlines()[-1])["logins_removed"]) >= {"api-1", "relay-1"}
    assert [connects(client, cluster.env(f"api-{each}")) for each in (1, 2, 3)] == [False, True, True]
    assert does(client, cluster.env("relay-3"), "send", 1)[0] == 0

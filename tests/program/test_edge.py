"""What the program registers for the edge."""

from pathlib import Path
from typing import Any

import pytest

from infra.components.edge import ORDERED_SECRET, certificate_order
from infra.trust import IDENTITY_FILES
from stacks.errors import StackError
from stacks.load import load_stack
from stacks.model import Stack
from stacks.parts.edge import Edge, EdgeCertificate
from tests.program.conftest import Deploy, Engine

pytestmark = pytest.mark.ring("unit")

ROOT = Path(__file__).parents[2]


def stack(**changes: Any) -> Stack:
    prod = load_stack("prod", ROOT)
    assert prod.edge is not None
    return prod.model_copy(update={"edge": prod.edge.model_copy(update=changes)})


@pytest.fixture
def prod(deploy: Deploy) -> Engine:
    return deploy(stack=load_stack("prod", ROOT), grafana="left out for the test")


def _ports(engine: Engine) -> dict[int, dict[str, Any]]:
    return {port["port"]: port for port in engine.kubernetes("Service")["edge"]["spec"]["ports"]}


@pytest.mark.item("load-balancer-configured", "tls-public-endpoints")
def test_the_edge_is_the_only_way_in_from_outside(prod: Engine) -> None:
    open_ones = {
        name
        for name, found in prod.kubernetes("Service").items()
        if found["spec"].get("type") in {"LoadBalancer", "NodePort"}
    }
    assert open_ones == {"edge"}
    assert {number: port["targetPort"] for number, port in _ports(prod).items()} == {443: 8443, 80: 8080}


def test_a_load_balancer_chooses_the_ports_of_the_nodes_itself(prod: Engine) -> None:
    assert [port.get("nodePort") for port in _ports(prod).values()] == [None, None]


def test_without_a_load_balancer_the_nodes_open_the_published_ports(deploy: Deploy) -> None:
    engine = deploy(stack=load_stack("rehearsal", ROOT), grafana="left out for the test")
    assert {number: port["nodePort"] for number, port in _ports(engine).items()} == {443: 30443, 80: 30080}


def _secrets(engine: Engine) -> dict[str, str]:
    """What the edge's secret holds; the engine sees it wrapped, marked as secret."""
    found: dict[str, str] = engine.kubernetes("Secret")["edge-secrets"]["data"]["value"]
    return found


def _volume(engine: Engine) -> list[dict[str, Any]]:
    spec = engine.kubernetes("Deployment")["edge"]["spec"]["template"]["spec"]
    files: dict[str, Any] = next(volume for volume in spec["volumes"] if volume["name"] == "files")
    sources: list[dict[str, Any]] = files["projected"]["sources"]
    return sources


@pytest.mark.item("tls-certificates-valid")
def test_the_stacks_own_certificate_names_the_hosts_of_the_edge(deploy: Deploy) -> None:
    engine = deploy(stack=stack(hosts=("api.example.com",)), grafana="left out for the test")
    names = next(each.inputs["names"] for each in engine.registered if each.name == "certificate-edge")
    assert "api.example.com" in names


def test_an_exchanged_certificate_does_not_restart_the_edge(deploy: Deploy, tmp_path: Path) -> None:
    def pods(certificate: str) -> tuple[object, object]:
        (tmp_path / "chain.pem").write_text(certificate)
        (tmp_path / "key.pem").write_text("a key")
        given = EdgeCertificate(source="files", certificate=str(tmp_path / "chain.pem"), key=str(tmp_path / "key.pem"))
        engine = deploy(stack=stack(certificate=given), grafana="left out for the test")
        deployment = engine.kubernetes("Deployment")["edge"]["spec"]["template"]["metadata"]["annotations"]
        return deployment, _secrets(engine)["tls.crt"]

    (before, first), (after, second) = pods("a chain"), pods("another chain")
    assert before == after
    assert first != second


def test_a_change_of_the_configuration_restarts_the_edge(deploy: Deploy) -> None:
    def annotations(**changes: Any) -> object:
        engine = deploy(stack=stack(**changes), grafana="left out for the test")
        return engine.kubernetes("Deployment")["edge"]["spec"]["template"]["metadata"]["annotations"]

    assert annotations() != annotations(maintenance=True)


def test_a_given_certificate_that_cannot_be_read_is_named(deploy: Deploy, tmp_path: Path) -> None:
    given = EdgeCertificate(source="files", certificate=str(tmp_path / "absent.pem"), key=str(tmp_path / "absent.key"))
    with pytest.raises(StackError, match=r"edge\.certificate\.certificate is .*absent\.pem, which cannot be read"):
        deploy(stack=stack(certificate=given), grafana="left out for the test")


def test_a_certificate_of_cert_manager_is_ordered_and_mounted(deploy: Deploy) -> None:
    given = EdgeCertificate(source="cert-manager", issuer="letsencrypt")
    engine = deploy(stack=stack(certificate=given, hosts=("api.example.com",)), grafana="left out for the test")
    order = next(each.inputs for each in engine.registered if each.name == ORDERED_SECRET)
    assert (order["apiVersion"], order["kind"]) == ("cert-manager.io/v1", "Certificate")
    assert order["spec"]["secretName"] == ORDERED_SECRET
    mounted = [source["secret"] for source in _volume(engine) if source.get("secret", {}).get("name") == ORDERED_SECRET]
    assert {item["path"] for item in mounted[0]["items"]} == {"secrets/tls.crt", "secrets/tls.key"}
    assert set(_secrets(engine)) == {"ca.crt"}


def test_cert_manager_is_asked_for_the_hosts_by_the_named_issuer() -> None:
    given = EdgeCertificate(source="cert-manager", issuer="letsencrypt", issuer_kind="Issuer")
    order = certificate_order(Edge(hosts=("a.example.com", "b.example.com"), certificate=given).hosts, given)
    assert order["dnsNames"] == ["a.example.com", "b.example.com"]
    assert order["issuerRef"] == {"name": "letsencrypt", "kind": "Issuer", "group": "cert-manager.io"}


def test_behind_the_edge_the_api_believes_who_the_visitor_is(prod: Engine) -> None:
    spec = prod.kubernetes("Deployment")["api"]["spec"]["template"]["spec"]
    env = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
    assert env["FORWARDED_ALLOW_IPS"] == "*"


def test_the_address_of_the_stack_is_the_edge(deploy: Deploy) -> None:
    engine = deploy(stack=load_stack("rehearsal", ROOT), grafana="left out for the test")
    assert engine.exported["urls"] == {"api": "https://127.0.0.1:30443"}


def test_the_edge_reads_the_files_of_an_identity() -> None:
    assert {"tls.crt", "tls.key", "ca.crt"} == IDENTITY_FILES

"""The edge on a real engine, in front of a toy API, with certificates of the test's own."""

import http.client
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from docker.models.containers import Container

from infra.edge.nginx_config import render
from stacks.parts.edge import Edge, EdgeLimits
from tests.certificates import Authority, Identity, serial_of
from tests.images.containers import Engine, archive, logs, wait_until

pytestmark = pytest.mark.ring("images")

EDGE = Edge(hosts=("localhost", "api.example.com"), published_port=9443)

TOY_API = """
import http.server, json, ssl, threading, time
seen, closed = [], threading.Event()
class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen.append(self.command + " " + self.path)
        if self.path.endswith("/hang-up"):
            self.close_connection = True
            return
        if self.path.endswith("/slow"):
            time.sleep(3)
        content = json.dumps({"path": self.path, "headers": dict(self.headers), "size": len(body), "seen": seen})
        self.send_response(200)
        self.send_header("Strict-Transport-Security", "max-age=1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())
    do_GET = do_POST = do_PUT = answer
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Api)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/config/tls.crt", "/config/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class RunningEdge:
    """An edge with what a visitor needs to reach it."""

    container: Container
    authority: Authority

    def port(self, number: int) -> int:
        self.container.reload()
        return int(self.container.attrs["NetworkSettings"]["Ports"][f"{number}/tcp"][0]["HostPort"])

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.certificate)

    def connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port(8443), timeout=20, context=self.trust())

    @contextmanager
    def encrypted(self, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
        plain = socket.create_connection(("127.0.0.1", self.port(8443)), timeout=10)
        with plain, context.wrap_socket(plain, server_hostname="localhost") as found:
            yield found

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, *, host: str = "localhost", **headers: str
    ) -> Answer:
        connection = self.connection()
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Host": host, **named})
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())
        finally:
            connection.close()

    def put(self, files: dict[str, str]) -> None:
        assert self.container.put_archive("/config", archive(files))

    def configure(self, edge: Edge) -> None:
        """Change the configuration of the running edge; it is in force some moments later."""
        self.put({"nginx.conf": render(edge, api_port=8000, api_prefix="/api/v1")})

    def workers(self) -> set[str]:
        """The processes that accept connections; one that is stopping has another title."""
        found = self.container.top(ps_args="-eo pid,args")["Processes"]
        return {pid for pid, title in found if title == "nginx: worker process"}

    def change(self, edge: Edge, in_force: Callable[[], bool], what: str) -> None:
        """Change the configuration, and return when every connection meets it: for about 100 ms nginx lets its old
        workers accept beside the new ones."""
        before = self.workers()
        assert before, "nginx has workers"
        self.configure(edge)
        wait_until(in_force, what, seconds=20)
        wait_until(lambda: not before & self.workers(), "the workers of before to stop", seconds=20)


def _start_api(engine: Engine, network: str, identity: Identity) -> Container:
    container = engine.start(
        "api",
        config={"tls.crt": identity.certificate, "tls.key": identity.key},
        entrypoint=["python", "-u", "-c", TOY_API],
        command=[],
    )
    engine.client.networks.get(network).connect(container, aliases=["api"])
    return container


def _start_edge(engine: Engine, network: str, authority: Authority) -> RunningEdge:
    identity = authority.issue("edge", "localhost", "api.example.com")
    config = {
        "nginx.conf": render(EDGE, api_port=8000, api_prefix="/api/v1"),
        "secrets/tls.crt": identity.certificate,
        "secrets/tls.key": identity.key,
        "secrets/ca.crt": authority.certificate,
    }
    container = engine.start(
        "edge",
        config=config,
        network=network,
        environment={"EDGE_WATCH_SECONDS": "0.2"},
        ports={"8443/tcp": ("127.0.0.1", None), "8080/tcp": ("127.0.0.1", None)},
    )
    found = RunningEdge(container, authority)
    wait_until(lambda: _answers(found), "the edge to answer", seconds=30)
    return found


def _answers(edge: RunningEdge) -> bool:
    edge.container.reload()
    assert edge.container.status == "running", logs(edge.container)
    try:
        return edge.ask("/health").status == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.fixture(scope="module")
def authority() -> Authority:
    """The authority of the toy stack."""
    return Authority()


@pytest.fixture(scope="module")
def network(shared_containers: Engine) -> Iterator[str]:
    """A network with names."""
    made = shared_containers.client.networks.create(f"workflow-test-{secrets.token_hex(6)}")
    yield str(made.id)
    # The containers of this file go after their network does.
    made.reload()
    for container in made.attrs["Containers"]:
        made.disconnect(container, force=True)
    made.remove()


@pytest.fixture(scope="module")
def api(shared_containers: Engine, network: str, authority: Authority) -> Container:
    """The toy API."""
    return _start_api(shared_containers, network, authority.issue("api"))


@pytest.fixture(scope="module")
def running_edge(shared_containers: Engine, network: str, api: Container, authority: Authority) -> RunningEdge:
    """One edge for all tests of this file."""
    return _start_edge(shared_containers, network, authority)


@pytest.fixture
def edge(running_edge: RunningEdge) -> Iterator[RunningEdge]:
    """The edge, with the usual configuration again after the test."""
    yield running_edge
    running_edge.configure(EDGE)
    running_edge.put({"secrets/ca.crt": running_edge.authority.certificate})
    wait_until(lambda: running_edge.ask("/api/v1/back").status == 200, "the usual configuration", seconds=20)


def _handshake(edge: RunningEdge, version: ssl.TLSVersion) -> str | None:
    context = edge.trust()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with edge.encrypted(context) as encrypted:
        return encrypted.version()


@pytest.mark.item("tls-public-endpoints")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_visitors_reach_the_api_by_todays_tls(running_edge: RunningEdge, version: ssl.TLSVersion) -> None:
    assert _handshake(running_edge, version) in {"TLSv1.2", "TLSv1.3"}


@pytest.mark.item("tls-public-endpoints")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_outdated_tls_is_refused(running_edge: RunningEdge, version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        _handshake(running_edge, version)


@pytest.mark.item("https-enforced")
def test_plain_http_is_redirected_with_its_method_and_path(running_edge: RunningEdge) -> None:
    connection = http.client.HTTPConnection("localhost", running_edge.port(8080), timeout=10)
    connection.request("POST", "/api/v1/runs?page=2", b"{}")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (308, "https://localhost:9443/api/v1/runs?page=2")


@pytest.mark.item("https-enforced")
def test_plain_http_on_the_port_of_https_is_redirected_too(running_edge: RunningEdge) -> None:
    connection = http.client.HTTPConnection("localhost", running_edge.port(8443), timeout=10)
    connection.request("GET", "/api/v1/runs", headers={"Host": "localhost"})
    assert connection.getresponse().status in {308, 400}


@pytest.mark.item("tls-public-endpoints")
@pytest.mark.parametrize("path", ["/api/v1/agents", "/health", "/nothing"])
def test_every_answer_says_once_that_the_name_is_https_only(running_edge: RunningEdge, path: str) -> None:
    answer = running_edge.ask(path)
    assert answer.headers.get_all("Strict-Transport-Security") == ["max-age=31536000; includeSubDomains"]
    assert answer.headers["Server"] == "nginx"


@pytest.mark.item("allowed-hosts")
def test_a_request_for_an_unknown_host_is_refused(running_edge: RunningEdge) -> None:
    assert running_edge.ask("/api/v1/agents", host="evil.example.com").status == 421


@pytest.mark.item("api-docs-restricted")
@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/", "/edge/health", "/api/v1/../../docs"]
)
def test_what_is_for_the_inside_is_not_there(running_edge: RunningEdge, path: str) -> None:
    answer = running_edge.ask(path)
    assert answer.status == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["correlation_id"] == answer.headers["X-Correlation-ID"]


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_health_may_be_asked_and_nothing_else_done_with_it(running_edge: RunningEdge, path: str) -> None:
    assert running_edge.ask(path).status == 200
    assert running_edge.ask(path, "POST", b"{}").status == 403


def test_the_api_learns_who_asks_and_by_which_id(running_edge: RunningEdge) -> None:
    claims = {"X_Forwarded_For": "6.6.6.6", "X_Real_IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    headers = running_edge.ask("/api/v1/agents", X_Correlation_ID="req-abc123", **claims).json["headers"]
    assert isinstance(headers, dict)
    assert headers["X-Correlation-ID"] == headers["X-Request-ID"] == "req-abc123"
    assert (headers["X-Forwarded-Proto"], headers["Host"]) == ("https", "localhost")
    assert "6.6.6.6" not in str(headers)


@pytest.mark.parametrize("given", [{}, {"X_Correlation_ID": "bad id; drop"}])
def test_without_a_well_formed_id_the_edge_gives_one(running_edge: RunningEdge, given: dict[str, str]) -> None:
    headers = running_edge.ask("/api/v1/agents", host="localhost", **given).json["headers"]
    assert isinstance(headers, dict)
    assert headers["X-Correlation-ID"].startswith("req-")


def test_a_request_is_recorded_as_one_line_of_json(running_edge: RunningEdge) -> None:
    running_edge.ask('/api/v1/"quoted"', X_Correlation_ID="req-recorded")

    def recorded() -> list[dict[str, str]]:
        lines = [line for line in logs(running_edge.container).splitlines() if "req-recorded" in line]
        return [json.loads(line) for line in lines]

    wait_until(lambda: bool(recorded()), "the record", seconds=10)
    assert {key: recorded()[0][key] for key in ("method", "status", "path")} == {
        "method": "GET",
        "status": "200",
        "path": '/api/v1/"quoted"',
    }


def test_a_body_within_the_limit_is_passed_on(running_edge: RunningEdge) -> None:
    assert running_edge.ask("/api/v1/agents", "POST", b"x" * 1024 * 1024).json["size"] == 1024 * 1024


def test_a_larger_body_is_refused(running_edge: RunningEdge) -> None:
    answer = running_edge.ask("/api/v1/agents", "POST", b"x" * (1024 * 1024 + 1))
    assert (answer.status, answer.json["type"]) == (413, "urn:problem:workflow-management:too-large")


def test_a_get_whose_connection_broke_is_asked_again(running_edge: RunningEdge) -> None:
    assert running_edge.ask("/api/v1/get/hang-up").status == 502
    seen = running_edge.ask("/api/v1/agents").json["seen"]
    assert isinstance(seen, list)
    assert seen.count("GET /api/v1/get/hang-up") == 3


def test_a_post_that_may_have_arrived_is_not_sent_again(running_edge: RunningEdge) -> None:
    answer = running_edge.ask("/api/v1/post/hang-up", "POST", b"{}")
    assert answer.status == 502
    assert answer.headers["Retry-After"] == "2"
    seen = running_edge.ask("/api/v1/agents").json["seen"]
    assert isinstance(seen, list)
    assert seen.count("POST /api/v1/post/hang-up") == 1


@pytest.mark.item("tls-certificates-valid")
def test_an_exchanged_certificate_is_served_and_no_connection_is_cut(running_edge: RunningEdge) -> None:
    kept = running_edge.connection()
    kept.connect()
    first = kept.sock

    def asked() -> int:
        kept.request("GET", "/api/v1/agents")
        answer = kept.getresponse()
        answer.read()
        return answer.status

    assert asked() == 200
    new = running_edge.authority.issue("edge", "localhost", "api.example.com")
    running_edge.put({"secrets/tls.crt": new.certificate, "secrets/tls.key": new.key})

    def served() -> int:
        with running_edge.encrypted(running_edge.trust()) as encrypted:
            return serial_of(encrypted.getpeercert(binary_form=True) or b"")

    wait_until(lambda: served() == new.serial, "the new certificate", seconds=10)
    assert asked() == 200
    assert kept.sock is first, "on the connection of before"


@pytest.mark.item("flood-protection")
def test_too_many_requests_from_one_address_are_refused(edge: RunningEdge) -> None:
    limited = EDGE.model_copy(update={"limits": EdgeLimits(requests_per_second=1, burst=2, connections=50)})
    edge.change(limited, lambda: edge.ask("/api/v1/agents").status == 429, "the limit to be in force")
    refused = edge.ask("/api/v1/agents")
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "2"


@pytest.mark.item("maintenance-mode")
def test_maintenance_can_be_switched_on_and_off_again(edge: RunningEdge) -> None:
    closed = EDGE.model_copy(update={"maintenance": True})
    edge.change(closed, lambda: edge.ask("/api/v1/agents").status == 503, "maintenance to be on")
    refused = edge.ask("/api/v1/workflows/1/execute", "POST", b"{}")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "120")
    assert refused.json["type"] == "urn:problem:workflow-management:maintenance"
    assert edge.ask("/health").status == 200
    assert edge.ask("/health/ready").status == 200
    edge.change(EDGE, lambda: edge.ask("/api/v1/agents").status == 200, "maintenance to be off")


def test_a_configuration_that_cannot_be_used_changes_nothing(edge: RunningEdge) -> None:
    edge.put({"nginx.conf": "http { nonsense }"})
    wait_until(lambda: "nginx refuses it" in logs(edge.container), "the refusal", seconds=20)
    assert edge.ask("/api/v1/agents").status == 200


def test_an_api_that_another_authority_speaks_for_is_not_believed(edge: RunningEdge) -> None:
    edge.put({"secrets/ca.crt": Authority().certificate})
    wait_until(lambda: edge.ask("/api/v1/agents").status == 502, "the API to be refused", seconds=20)
    assert "upstream SSL certificate verify error" in logs(edge.container)


@contextmanager
def _another_api(engine: Engine, network: str, api: Container, identity: Identity) -> Iterator[None]:
    """While the block runs another container, at another address, is the API."""
    shared = engine.client.networks.get(network)
    other = _start_api(engine, network, identity)
    # Killed first: packets to an address that is merely gone would vanish, and the edge would wait for their answer.
    api.kill()
    shared.disconnect(api)
    try:
        yield
    finally:
        other.kill()
        shared.disconnect(other)
        shared.connect(api, aliases=["api"])
        api.start()


def _is_asked(edge: RunningEdge, path: str) -> bool:
    seen = edge.ask("/api/v1/agents").json["seen"]
    assert isinstance(seen, list)
    return f"GET {path}" in seen


def test_an_api_that_has_another_name_is_not_believed(edge: RunningEdge) -> None:
    usual = render(EDGE, api_port=8000, api_prefix="/api/v1")
    edge.put({"nginx.conf": usual.replace("proxy_ssl_name api;", "proxy_ssl_name postgres;")})
    wait_until(lambda: edge.ask("/api/v1/agents").status == 502, "the API to be refused", seconds=20)
    assert 'upstream SSL certificate does not match "postgres"' in logs(edge.container)


def test_an_api_at_a_new_address_is_found(containers: Engine, network: str, edge: RunningEdge, api: Container) -> None:
    edge.ask("/api/v1/at-the-old-one")
    with _another_api(containers, network, api, edge.authority.issue("api")):

        def found() -> bool:
            answer = edge.ask("/api/v1/agents")
            return answer.status == 200 and "GET /api/v1/at-the-old-one" not in str(answer.json["seen"])

        wait_until(found, "the API at its new address", seconds=20)


def test_a_request_under_way_when_the_edge_is_asked_to_stop_is_answered(
    containers: Engine, network: str, authority: Authority, api: Container
) -> None:
    leaving = _start_edge(containers, network, authority)
    found: list[int] = []
    visitor = threading.Thread(target=lambda: found.append(leaving.ask("/api/v1/slow").status))
    visitor.start()
    wait_until(lambda: _is_asked(leaving, "/api/v1/slow"), "the request to be under way", seconds=20)
    leaving.container.stop(timeout=30)
    visitor.join(20)
    assert found == [200]
    assert leaving.container.wait()["StatusCode"] == 0

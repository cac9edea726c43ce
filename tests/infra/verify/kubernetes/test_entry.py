"""The one entry: encrypted, named, bounded, and with nothing beside it."""

import socket
import ssl
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509

from tests.infra.support import log_records, pod_facts
from tests.infra.support.hidden import Hidden
from tests.infra.support.kubernetes_live import KubernetesLive
from tests.infra.support.stack_outputs import StackOutputs
from tests.infra.support.workflow_api import WorkflowApi, told, unique

pytestmark = [
    pytest.mark.ring("verify"),
    pytest.mark.target("kubernetes", why="only a stack on a cluster has an edge"),
]

ENTRY = "edge"
LEAST_LEFT = timedelta(days=7)
LEAST_HSTS = 180 * 24 * 3600  # seconds
PRIVATE_PAGES = ("/docs", "/redoc", "/openapi.json", "/metrics", "/edge/health")
BURST = 6000  # requests; far above what one visitor may send at once
BATCH = 100
FLUSH = 15.0  # seconds within which a record is in the log


@pytest.fixture(scope="module")
def address(outputs: StackOutputs) -> tuple[str, int]:
    """Host and port of the entry."""
    parts = urlsplit(outputs.urls["api"])
    return parts.hostname or "", parts.port or 443


def _connected(address: tuple[str, int], context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(socket.create_connection(address, timeout=10), server_hostname=address[0])


def _refusal(address: tuple[str, int], context: ssl.SSLContext) -> str:
    """Why no encrypted connection comes about; empty where one does. Where nobody listens there is no refusal."""
    with closing(socket.create_connection(address, timeout=10)) as connection:
        try:
            context.wrap_socket(connection, server_hostname=address[0]).close()
        except (ssl.SSLError, ConnectionError) as error:
            return str(error) or type(error).__name__
    return ""


@pytest.mark.item("api-started", "load-balancer-configured")
def test_the_api_runs_under_its_name_behind_its_service(live: KubernetesLive, outputs: StackOutputs) -> None:
    ready = {pod["status"]["podIP"] for pod in live.objects.pods("api") if pod_facts.ready(pod)}
    slices = live.objects.items("/apis/discovery.k8s.io/v1", "endpointslices", "kubernetes.io/service-name=api")
    ends = [end for each in slices for end in each.get("endpoints") or ()]
    assert ready, "no replica is ready"
    assert {address for end in ends if end["conditions"].get("ready") for address in end["addresses"]} == ready
    (port,) = live.objects.carrier("api")["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert port["containerPort"] in outputs.inventory["api"].ports


@pytest.mark.item("unneeded-ports-closed", "admin-access-private")
def test_nothing_but_the_entry_is_published(live: KubernetesLive) -> None:
    services = live.objects.items("/api/v1", "services")
    assert services
    published = {each["metadata"]["name"] for each in services if each["spec"]["type"] != "ClusterIP"}
    assert published == {ENTRY}
    outside = [each["metadata"]["name"] for each in services if each["spec"].get("externalIPs")]
    assert not outside, f"services with addresses of their own outside: {outside}"


@pytest.mark.item("tls-public-endpoints")
def test_every_public_address_is_encrypted(outputs: StackOutputs, live: KubernetesLive) -> None:
    for part, url in outputs.urls.items():
        parts = urlsplit(url)
        assert parts.scheme == "https", f"{part} is at {url}"
        refusal = _refusal((parts.hostname or "", parts.port or 443), live.trust)
        assert not refusal, f"{part}: {refusal}"


@pytest.mark.item("tls-public-endpoints")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(
    version: ssl.TLSVersion, address: tuple[str, int], outputs: StackOutputs
) -> None:
    context = ssl.create_default_context(cadata=outputs.authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    refusal = _refusal(address, context)
    assert refusal
    assert "NO_PROTOCOLS_AVAILABLE" not in refusal, f"this machine does not speak that version itself: {refusal}"


@pytest.mark.item("tls-public-endpoints")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_present_versions_of_tls_are_spoken(
    version: ssl.TLSVersion, address: tuple[str, int], outputs: StackOutputs
) -> None:
    context = ssl.create_default_context(cadata=outputs.authority)
    context.minimum_version = context.maximum_version = version
    assert not (refusal := _refusal(address, context)), refusal


@pytest.mark.item("tls-certificates-valid")
def test_the_certificate_is_trusted_named_rightly_and_not_about_to_end(
    address: tuple[str, int], live: KubernetesLive
) -> None:
    assert not (refusal := _refusal(address, live.trust)), refusal
    with closing(_connected(address, live.trust)) as connection:
        served = connection.getpeercert(binary_form=True) or b""
    left = x509.load_der_x509_certificate(served).not_valid_after_utc - datetime.now(UTC)
    assert left > LEAST_LEFT, f"the certificate ends in {left}"


@pytest.mark.item("https-enforced")
def test_plain_http_is_sent_to_https(live: KubernetesLive, address: tuple[str, int]) -> None:
    (service,) = [each for each in live.objects.items("/api/v1", "services") if each["metadata"]["name"] == ENTRY]
    plain = [each for each in service["spec"]["ports"] if each["port"] == 80]
    for port in plain:
        number = port["nodePort"] if service["spec"]["type"] == "NodePort" else port["port"]
        answer = httpx.get(f"http://{address[0]}:{number}/health", timeout=10)
        assert answer.status_code in {301, 308}, told(answer)
        target = urlsplit(answer.headers["location"])
        assert (target.scheme, target.hostname, target.port or 443) == ("https", *address)


@pytest.mark.item("https-enforced")
def test_the_encrypted_port_serves_nothing_in_the_clear(address: tuple[str, int]) -> None:
    try:
        answer = httpx.get(f"http://{address[0]}:{address[1]}/health", timeout=10)
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return  # It hangs up. Who is not there at all is another error.
    assert not answer.is_success, told(answer)


@pytest.mark.item("security-headers")
@pytest.mark.parametrize("path", ["/health", "/no-such-page", "{prefix}/agents"])
def test_every_answer_carries_the_protective_headers(path: str, root: httpx.Client, prefix: str) -> None:
    headers = root.get(path.format(prefix=prefix)).headers
    words = headers.get("Strict-Transport-Security", "").split(";")
    age = dict(word.strip().partition("=")[::2] for word in words)
    assert int(age.get("max-age", 0)) >= LEAST_HSTS
    assert headers.get("X-Content-Type-Options") == "nosniff"
    assert "nginx/" not in headers.get("Server", ""), "the server tells its version"
    if path != "/no-such-page":
        assert headers.get("X-Frame-Options") or "frame-ancestors" in headers.get("Content-Security-Policy", "")
        assert headers.get("Referrer-Policy")


@pytest.mark.item("api-docs-restricted")
@pytest.mark.parametrize("path", PRIVATE_PAGES)
def test_documentation_and_figures_are_not_public(path: str, root: httpx.Client) -> None:
    assert root.get(path).status_code in {401, 403, 404}


@pytest.mark.item("allowed-hosts")
def test_requests_for_an_unknown_host_are_refused(root: httpx.Client, prefix: str) -> None:
    for path in ("/health", f"{prefix}/agents"):
        answer = root.get(path, headers={"Host": "elsewhere.example"})
        assert answer.status_code in {400, 404, 421}, told(answer)


@pytest.mark.item("authentication-works")
def test_what_a_visitor_claims_to_have_been_forwarded_is_not_believed(
    signed_in: Callable[..., WorkflowApi], log_of: Callable[[str], str], eventually: Callable[..., Any]
) -> None:
    marked = unique("claim")
    with signed_in(**{"X-Forwarded-For": "203.0.113.9", "X-Correlation-ID": marked}) as caller:
        assert caller.get("/agents").status_code == httpx.codes.OK

    def records() -> list[log_records.Record]:
        return [each for each in log_records.records(log_of("api")) if each["correlation_id"] == marked]

    found = eventually(records, FLUSH, f"a record of the API about {marked}", interval=0.5)
    assert not [each for each in found if "203.0.113.9" in str(each.fields)]


@pytest.mark.item("load-balancer-configured", "external-access")
def test_requests_reach_more_than_one_replica(
    signed_in: Callable[..., WorkflowApi], live: KubernetesLive, eventually: Callable[..., Any]
) -> None:
    marked = unique("spread")
    with signed_in(**{"X-Correlation-ID": marked}) as caller, ThreadPoolExecutor(12) as pool:
        assert {answer.status_code for answer in pool.map(lambda _: caller.get("/agents"), range(48))} == {200}

    replicas = live.instances("api")

    def served() -> bool:
        return sum(marked in log for name, log in live.logs().items() if name in replicas) > 1

    eventually(served, FLUSH, "the requests in the logs of two replicas", interval=1)


@pytest.mark.item("jwt-secret-same-on-replicas")
def test_every_replica_takes_the_same_token(live: KubernetesLive, token: Hidden, prefix: str) -> None:
    replicas = live.instances("api")
    assert len(replicas) > 1, "there is no other replica that could take it"
    for name in replicas:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{live.url('api', name)}{prefix}/agents"
        assert httpx.get(url, headers=headers, verify=live.insider, timeout=10).status_code == httpx.codes.OK, name


def _burst(address: tuple[str, int], context: ssl.SSLContext, page: str) -> bytes:
    """What is answered to a batch of requests that are sent without waiting for one another."""
    request = f"GET {page} HTTP/1.1\r\nHost: {address[0]}\r\n\r\n".encode()
    seen = b""
    with closing(_connected(address, context)) as connection:
        connection.sendall(request * BATCH)
        while seen.count(b"HTTP/1.1 ") < BATCH and (received := connection.recv(65536)):
            seen += received
    return seen


@pytest.mark.item("rate-limiting", "rate-limit-events-tracked")
def test_a_visitor_who_sends_too_much_is_throttled_and_recorded(
    address: tuple[str, int],
    live: KubernetesLive,
    root: httpx.Client,
    log_of: Callable[[str], str],
    eventually: Callable[..., Any],
) -> None:
    page, seen, sent = f"/{unique('throttled')}", b"", 0
    while sent < BURST and b" 429 " not in seen:
        seen = _burst(address, live.trust, page)
        sent += BATCH
    assert b" 429 " in seen, f"{sent} requests in a row were all answered"
    assert b"retry-after:" in seen.lower(), "who is throttled is not told for how long"
    eventually(lambda: root.get("/health").status_code == httpx.codes.OK, 30, "the visitor being let in again")
    records = [each for each in log_records.records(log_of(ENTRY)) if each["path"] == page]
    assert any(str(each["status"]) == "429" for each in records), "no record tells of the throttling"

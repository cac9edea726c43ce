"""Prometheus' programs over TLS: a caller with a certificate of the stack is let in, and nobody else."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from docker.models.containers import Container

from infra.certificates import Issued, issue, make_authority
from infra.monitoring import web_config
from tests.images.containers import archive, engine, wait_until
from tests.images.test_all_images import STARTS

pytestmark = pytest.mark.ring("images")

PORTS = {"prometheus": 9090, "alertmanager": 9093, "node-exporter": 9100, "postgres-exporter": 9187}
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pki:
    """An authority of the stack and one that nobody knows."""

    folder: Path
    authority: Issued
    stranger: Issued

    def part(self, name: str) -> Issued:
        return issue(self.authority.certificate, self.authority.key, name, [name, "localhost"], DAY)

    def caller(self, authority: Issued | None, *, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """What a caller uses: a certificate of `authority`, or none."""
        context = ssl.create_default_context(cadata=self.authority.certificate)
        if most is not None:
            context.minimum_version = most
            context.maximum_version = most
            context.set_ciphers("DEFAULT@SECLEVEL=0")
        if authority is not None:
            made = issue(authority.certificate, authority.key, "prometheus", ["prometheus"], DAY)
            file = self.folder / f"{made.fingerprint}.pem"
            file.write_text(made.certificate + made.key, encoding="utf-8")
            context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"), make_authority("stack", DAY), make_authority("stranger", DAY))


def files(pki: Pki, part: str) -> dict[str, str]:
    made = pki.part(part)
    named = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": pki.authority.certificate}
    return {web_config.FILE: web_config.render(), **{f"secrets/{name}": text for name, text in named.items()}}


@pytest.fixture(scope="module", params=PORTS)
def served(request: pytest.FixtureRequest, pki: Pki) -> Iterator[tuple[str, Container, int]]:
    """The name of a program, its running container, and the host's port on which it answers."""
    part = str(request.param)
    start = STARTS.get(part, {})
    with engine() as containers:
        container = containers.start(
            part,
            **{**start, "config": {**start.get("config", {}), **files(pki, part)}},
            ports={f"{PORTS[part]}/tcp": ("127.0.0.1", None)},
        )
        container.reload()
        port = int(container.ports[f"{PORTS[part]}/tcp"][0]["HostPort"])
        known = pki.caller(pki.authority)
        wait_until(lambda: _answers(part, port, known), f"{part} to answer over TLS")
        yield part, container, port


def get(part: str, port: int, context: ssl.SSLContext, path: str = "/metrics") -> str:
    """The first line of the answer. Raises OSError when there is none."""
    with (
        closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as plain,
        context.wrap_socket(plain, server_hostname=part) as stream,
    ):
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: {part}\r\nConnection: close\r\n\r\n".encode())
        # With TLS 1.3 the refusal of a caller comes with the first byte that it reads.
        answer = stream.recv(4096)
        if not answer:
            raise ConnectionError("the server closed the connection")
        return answer.split(b"\r\n")[0].decode()


def _answers(part: str, port: int, context: ssl.SSLContext) -> bool:
    try:
        return get(part, port, context) == "HTTP/1.1 200 OK"
    except OSError:
        return False


Served = tuple[str, Container, int]


def test_a_caller_with_a_certificate_of_the_stack_gets_the_figures(served: Served, pki: Pki) -> None:
    part, _, port = served
    assert get(part, port, pki.caller(pki.authority)) == "HTTP/1.1 200 OK"


@pytest.mark.item("api-intended-channels-only")
@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_a_caller_without_one_gets_nothing(served: Served, pki: Pki, who: str) -> None:
    part, _, port = served
    with pytest.raises(OSError, match=r"alert|closed|reset"):
        get(part, port, pki.caller(pki.stranger if who == "a stranger" else None))


def test_plain_http_gets_nothing_but_a_refusal(served: Served) -> None:
    part, _, port = served
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as plain:
        plain.sendall(f"GET /metrics HTTP/1.1\r\nHost: {part}\r\nConnection: close\r\n\r\n".encode())
        assert b" 400 " in plain.recv(4096)


def test_older_tls_is_refused(served: Served, pki: Pki) -> None:
    part, _, port = served
    with pytest.raises(ssl.SSLError):
        get(part, port, pki.caller(pki.authority, most=ssl.TLSVersion.TLSv1_1))
    assert get(part, port, pki.caller(pki.authority, most=ssl.TLSVersion.TLSv1_2)) == "HTTP/1.1 200 OK"


@pytest.mark.item("tls-certificates-valid")
def test_a_new_certificate_is_served_without_a_restart(served: Served, pki: Pki) -> None:
    part, container, port = served
    known = pki.caller(pki.authority)

    def serial() -> int:
        with (
            closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as plain,
            known.wrap_socket(plain, server_hostname=part) as stream,
        ):
            return x509.load_der_x509_certificate(stream.getpeercert(binary_form=True) or b"").serial_number

    fresh = files(pki, part)
    wanted = x509.load_pem_x509_certificate(fresh["secrets/tls.crt"].encode()).serial_number
    assert serial() != wanted
    assert container.put_archive("/config", archive(fresh))
    assert serial() == wanted
    assert get(part, port, known) == "HTTP/1.1 200 OK"

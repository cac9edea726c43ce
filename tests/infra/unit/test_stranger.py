"""What a stranger is told counts as refused or as let in, whichever it is."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from infra.certificates import issue, make_authority
from tests.infra.support import stranger

pytestmark = pytest.mark.ring("unit")

SESSION = b"R" + struct.pack(">ii", 8, 0)
WANTS_SCRAM = b"R" + struct.pack(">ii", 23, 10) + b"SCRAM-SHA-256\0\0"
NO_RULE = b"E\0\0\0\x30SFATAL\0C28000\0Mno pg_hba.conf entry\0\0"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(SESSION, "let in"), (WANTS_SCRAM, "refused"), (NO_RULE, "refused"), (b"HTTP/1.1 400", "refused")],
)
def test_a_database_lets_in_only_by_opening_a_session(answer: bytes, verdict: str) -> None:
    assert stranger.postgres_verdict(answer).startswith(verdict)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (struct.pack(">iih", 10, 7, 0), "let in"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "refused"),
        (b"\x00\x00", "refused"),
    ],
)
def test_a_broker_lets_in_by_answering_the_request(answer: bytes, verdict: str) -> None:
    assert stranger.kafka_verdict(answer).startswith(verdict)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nsecret", "let in"),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", "refused"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n", "refused"),
        (b"\x15\x03", "refused"),
    ],
)
def test_a_page_lets_in_by_success_only(answer: bytes, verdict: str) -> None:
    assert stranger.http_verdict(answer).startswith(verdict)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"\x88\x038:x\x18expected command message", "let in"),
        (b"\x88\x038\xd2\x01x\raccess denied", "refused"),
        (b"\x84\x00", "refused"),
    ],
)
def test_a_keeper_of_backups_lets_in_by_listening_to_commands(answer: bytes, verdict: str) -> None:
    assert stranger.backup_verdict(answer).startswith(verdict)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def answering(listening: socket.socket, answer: bytes) -> int:
    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


def test_a_server_that_opens_a_session_is_seen(server: socket.socket) -> None:
    port = answering(server, SESSION)
    verdict = stranger.ask("127.0.0.1", port, b"let me in", stranger.postgres_verdict, tls=False)
    assert verdict.startswith(stranger.LET_IN)


def test_a_server_that_hangs_up_refuses(server: socket.socket) -> None:
    port = answering(server, b"")
    verdict = stranger.ask("127.0.0.1", port, b"let me in", stranger.postgres_verdict, tls=False)
    assert verdict.startswith(stranger.REFUSED)


def test_a_name_that_nobody_has_proves_nothing() -> None:
    verdict = stranger.ask("no-such-host.invalid", 1, b"", stranger.http_verdict, tls=False)
    assert verdict.startswith(stranger.UNKNOWN)


def test_where_nobody_listens_there_is_nothing(server: socket.socket) -> None:
    port = server.getsockname()[1]
    server.close()
    verdict = stranger.ask("127.0.0.1", port, b"let me in", stranger.postgres_verdict, tls=False)
    assert verdict.startswith(stranger.AWAY)


@pytest.fixture
def identity(tmp_path: Path) -> ssl.SSLContext:
    """What a server shows; it trusts who its own authority vouches for."""
    authority = make_authority("The authority of the tests", timedelta(days=2))
    issued = issue(authority.certificate, authority.key, "backups", ["127.0.0.1"], timedelta(days=1))
    file = tmp_path / "identity.pem"
    file.write_text(issued.certificate + issued.key, encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.load_verify_locations(cadata=authority.certificate)
    return context


def keeping_backups(listening: socket.socket, context: ssl.SSLContext, answer: bytes) -> str:
    def serve() -> None:
        plain, _ = listening.accept()
        with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
            connection.sendall(b'{"name":"pgBackRest"}\n')
            connection.recv(100)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    port = int(listening.getsockname()[1])
    return stranger.ask("127.0.0.1", port, b"a command", stranger.backup_verdict, tls=True, greets=True)


def test_a_keeper_of_backups_that_serves_everybody_is_seen(server: socket.socket, identity: ssl.SSLContext) -> None:
    assert keeping_backups(server, identity, b"at your service").startswith(stranger.LET_IN)


def test_a_greeting_alone_lets_nobody_in(server: socket.socket, identity: ssl.SSLContext) -> None:
    assert keeping_backups(server, identity, b"").startswith(stranger.REFUSED)
    assert keeping_backups(server, identity, stranger.BACKUP_ALIVE).startswith(stranger.REFUSED)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_that_is_asked_for_is_a_refusal_before_and_after_the_handshake(
    version: ssl.TLSVersion, server: socket.socket, identity: ssl.SSLContext
) -> None:
    identity.verify_mode = ssl.CERT_REQUIRED
    identity.minimum_version = identity.maximum_version = version
    assert keeping_backups(server, identity, b"at your service").startswith(stranger.REFUSED)

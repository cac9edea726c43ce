"""What a program gets that reaches the stack but belongs to nobody: no certificate of the stack, no credentials.

Run inside a pod, with nothing but the standard library: `python -c <this text> NAMESPACE WAY...`. Prints as JSON,
for each way, "away: ..." (nothing answered), "refused: ..." or, what must never be, "let in: ..." and
"unknown: ...", because a name that nobody has proves nothing.
"""

import json
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).read_text(encoding="utf-8") if "__file__" in globals() else ""
SECONDS = 5.0
AWAY, REFUSED, LET_IN, UNKNOWN = "away", "refused", "let in", "unknown"
API_VERSIONS = struct.pack(">ihhih", 10, 18, 0, 7, -1)
METADATA = struct.pack(">ihhihi", 14, 3, 0, 7, -1, 0)
BACKUP_ALIVE = b"\x84\x00"
"""All that pgBackRest says, after its greeting, to somebody without a certificate: that it is there."""
SSL_REQUEST = struct.pack(">ii", 8, 80877103)
TLS_ALERT = 0x15


def startup(user: str, database: str) -> bytes:
    """The first message of a database session."""
    words = b"".join(text.encode() + b"\0" for text in ("user", user, "database", database)) + b"\0"
    return struct.pack(">ii", 8 + len(words), 196608) + words


def careless() -> ssl.SSLContext:
    """Takes any server for what it says it is, and shows no certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def postgres_verdict(answer: bytes) -> str:
    """What the server's first answer means: an error, a demand for proof, or a session."""
    if answer[:1] == b"E":
        return f"{REFUSED}: {answer[5:].split(bytes(1))[-3:-2] or answer[5:60]!r}"
    if answer[:1] == b"R" and len(answer) >= 9:
        (kind,) = struct.unpack(">i", answer[5:9])
        return f"{LET_IN}: without a password" if kind == 0 else f"{REFUSED}: it wants a password (kind {kind})"
    return f"{REFUSED}: it says {answer[:20]!r}"


def kafka_verdict(answer: bytes) -> str:
    """What a broker's first bytes mean: an answer to the request, a TLS alert, or the end."""
    if answer[4:8] == struct.pack(">i", 7):
        return f"{LET_IN}: it answers"
    return f"{REFUSED}: " + ("it wants TLS" if answer[:1] == bytes([TLS_ALERT]) else f"it says {answer[:20]!r}")


def http_verdict(answer: bytes) -> str:
    """What an HTTP answer means: content, or a refusal."""
    words = answer.split(b"\r\n")[0].split()
    status = int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") else 0
    return f"{LET_IN}: status {status}" if 200 <= status < 300 else f"{REFUSED}: status {status}"


def backup_verdict(answer: bytes) -> str:
    """What pgBackRest's first answer means: who is trusted gets one to his command, even to one that is none."""
    if answer == BACKUP_ALIVE:
        return f"{REFUSED}: it only says that it is alive"
    if b"access denied" in answer:
        return f"{REFUSED}: access denied"
    return f"{LET_IN}: it listens to commands ({answer[:40]!r})"


def ask(
    host: str,
    port: int,
    question: bytes,
    verdict: Callable[[bytes], str],
    *before: bytes,
    tls: bool,
    greets: bool = False,
) -> str:
    """Connects, sends, and judges the answer. `before` is said in the clear first, each answered by one byte.

    A server that `greets` says something to everybody as soon as the connection is encrypted. With TLS 1.3 that comes
    before it could refuse a certificate, so that only what follows tells.
    """
    try:
        connection = socket.create_connection((host, port), timeout=SECONDS)
    except socket.gaierror as error:
        return f"{UNKNOWN}: {error}"
    except OSError as error:
        return f"{AWAY}: {error}"
    try:
        for each in before:
            connection.sendall(each)
            if connection.recv(1) != b"S":
                return f"{REFUSED}: it offers no TLS"
        if tls:
            connection = careless().wrap_socket(connection, server_hostname=host)
        if greets and not connection.recv(4096):
            return f"{REFUSED}: it hangs up"
        connection.sendall(question)
        answer = connection.recv(4096)
    except (OSError, ssl.SSLError) as error:
        return f"{REFUSED}: {error}"
    finally:
        connection.close()
    return verdict(answer) if answer else f"{REFUSED}: it hangs up"


def page(path: str, method: str = "GET") -> bytes:
    """A request for a page."""
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()


@dataclass(frozen=True)
class Way:
    """One thing to try: at which port of which part, what to say, and how to judge the answer."""

    part: str
    port: int
    question: bytes
    verdict: Callable[[bytes], str]
    tls: bool = True
    before: tuple[bytes, ...] = ()
    greets: bool = False


WAYS = {
    "postgres in the clear": Way("postgres", 5432, startup("postgres", "postgres"), postgres_verdict, tls=False),
    "postgres as its superuser": Way(
        "postgres", 5432, startup("postgres", "postgres"), postgres_verdict, before=(SSL_REQUEST,)
    ),
    "postgres as a replica": Way(
        "postgres", 5432, startup("replicator", "postgres"), postgres_verdict, before=(SSL_REQUEST,)
    ),
    "the database's files": Way("postgres", 8432, page("/"), backup_verdict, greets=True),
    "the backups": Way("backups", 8432, page("/"), backup_verdict, greets=True),
    "patroni's switches": Way("postgres", 8008, page("/config", "PATCH"), http_verdict),
    "kafka in the clear": Way("kafka", 9092, API_VERSIONS, kafka_verdict, tls=False),
    "kafka without a login": Way("kafka", 9092, METADATA, kafka_verdict),
    "kafka as a controller": Way("kafka", 9093, API_VERSIONS, kafka_verdict),
    "kafka as a broker": Way("kafka", 9094, METADATA, kafka_verdict),
    "the api's agents": Way("api", 8000, page("/api/v1/agents"), http_verdict),
    "prometheus": Way("prometheus", 9090, page("/api/v1/query?query=up"), http_verdict),
    "alertmanager": Way("alertmanager", 9093, page("/api/v2/alerts"), http_verdict),
    "the database's figures": Way("postgres-exporter", 9187, page("/metrics"), http_verdict),
}


def main(namespace: str, *names: str) -> None:
    """Tries the named ways once each."""
    found = {}
    for name in names:
        way = WAYS[name]
        host = f"{way.part}.{namespace}.svc.cluster.local"
        found[name] = ask(host, way.port, way.question, way.verdict, *way.before, tls=way.tls, greets=way.greets)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A small entry on this machine in the place of a stack's edge: it answers as the edge and the API behind it do.

Each attribute is one property that a check looks at; a fault changes one of them before somebody calls.
"""

import itertools
import json
import secrets
import socket
import socketserver
import ssl
import threading
import warnings
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from infra.certificates import Issued, issue, make_authority

HOST = "127.0.0.1"
PREFIX = "/api/v1"
TOKEN = "a-token-made-up-for-these-tests"
TLS_HANDSHAKE = b"\x16"
PROTECTIVE = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}
Answer = tuple[int, dict[str, str], Any]
OURS = "The authority of the tests"


@cache
def authority(name: str) -> Issued:
    """One for all tests, by its name."""
    return make_authority(name, timedelta(days=400))


@cache
def identity(issuer: str, host: str, days: int) -> Issued:
    """A certificate with its key for a host."""
    signer = authority(issuer)
    return issue(signer.certificate, signer.key, host, [host], timedelta(days=days))


class Entry:
    """What the entry does; by itself all of it is right."""

    def __init__(self, replicas: list[str], write: Callable[[str, dict[str, Any]], None]) -> None:
        self.replicas = replicas
        self.write = write
        """Puts a record into the log of `edge` or of a replica."""
        self.headers = dict(PROTECTIVE)
        self.server = "edge"
        self.public: set[str] = {"/health"}
        self.internal: set[str] = {"/metrics"}
        self.hosts: set[str] | None = {HOST}
        self.statuses: dict[str, int] = {}
        self.issuer, self.named, self.days = OURS, HOST, 90
        self.least_tls, self.most_tls = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED
        self.clear: int | None = HTTPStatus.BAD_REQUEST
        """What is answered to a request in the clear at the encrypted port; None: nothing."""
        self.redirect: tuple[int, str] = (308, "https://{address}{path}")
        self.burst = 60
        """Requests that one connection may send."""
        self.throttled_headers = {"Retry-After": "1"}
        self.recovers = True
        self.records_throttling = True
        self.believes_visitors = False
        self.deaf: set[str] = set()
        """Replicas that do not take the token."""
        self.audits = 1
        """Records of each write."""
        self.audit: list[dict[str, str]] = []
        self.exhausted = False
        self.turns = itertools.count()

    def context(self) -> ssl.SSLContext:
        """What the encrypted port speaks, and its certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.least_tls < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version, context.maximum_version = self.least_tls, self.most_tls
        shown = identity(self.issuer, self.named, self.days)
        with TemporaryDirectory() as folder:
            file = Path(folder, "identity.pem")
            file.write_text(shown.certificate + shown.key, encoding="utf-8")
            context.load_cert_chain(file)
        return context

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any, client: str) -> Answer:
        """Status, headers and content, as edge or, below `/@replica`, as that replica of the API."""
        inside = path.startswith("/@")
        replica, path = path.removeprefix("/@").partition("/")[::2] if inside else ("", path)
        path = f"/{path.lstrip('/')}"
        if not inside and self.hosts is not None and headers.get("host", "").partition(":")[0] not in self.hosts:
            return 421, {}, {}
        if path in self.public or (inside and path in self.internal):
            exhausted = self.exhausted and not self.recovers
            return (429 if exhausted else self.statuses.get(path, 200)), {}, {"status": "healthy"}
        if not path.startswith(f"{PREFIX}/"):
            return 404, {}, {}
        replica = replica or self.replicas[next(self.turns) % len(self.replicas)]
        status, content = self._business(method, path.removeprefix(PREFIX), headers, body, replica)
        seen = headers.get("x-forwarded-for", client) if self.believes_visitors else client
        self.write(
            replica,
            {"correlation_id": headers.get("x-correlation-id"), "path": path, "status": status, "client": seen},
        )
        return status, {}, content

    def _business(
        self, method: str, path: str, headers: dict[str, str], body: Any, replica: str
    ) -> tuple[int, dict[str, Any]]:
        if (method, path) == ("POST", "/auth/login"):
            return 200, {"access_token": TOKEN}
        if headers.get("authorization") != f"Bearer {TOKEN}" or replica in self.deaf:
            return 401, {}
        if (method, path) == ("POST", "/agents"):
            identity = secrets.token_hex(8)
            self.audit += [{"action": "agent.create", "subject_id": identity}] * self.audits
            return 201, {"id": identity, "name": body["name"]}
        if method == "DELETE":
            return 204, {}
        return self.statuses.get(path, 200), {"items": self.audit if path == "/audit" else []}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def entry(self) -> Entry:
        return cast("_Server", self.server).entry

    def setup(self) -> None:
        self.encrypted = self.request.recv(1, socket.MSG_PEEK) == TLS_HANDSHAKE
        self.answered = 0
        if self.encrypted:
            self.request = cast("_Server", self.server).context.wrap_socket(self.request, server_side=True)
        super().setup()

    def version_string(self) -> str:
        return self.entry.server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        if not self.encrypted:
            return self._answer_in_the_clear()
        self.answered += 1
        path = self.path.partition("?")[0]
        if self.answered > self.entry.burst:
            self.entry.exhausted = True
            if self.entry.records_throttling:
                self.entry.write("edge", {"path": path, "status": "429"})
            return self._send(429, self.entry.throttled_headers, {})
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(*self.entry.answer(self.command, path, headers, body, self.client_address[0]))
        return None

    def _answer_in_the_clear(self) -> None:
        self.close_connection = True
        if cast("_Server", self.server).plain:
            address = cast("_Server", self.server).encrypted_address
            status, location = self.entry.redirect
            self._send(status, {"Location": location.format(address=address, path=self.path)}, {})
        elif self.entry.clear is not None:
            self._send(self.entry.clear, {}, {})

    def _send(self, status: int, headers: dict[str, str], content: Any) -> None:
        text = b"" if status == HTTPStatus.NO_CONTENT else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**self.entry.headers, **headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  the library finds them by these names


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, entry: Entry, encrypted_address: str = "") -> None:
        super().__init__((HOST, 0), _Handler)
        self.entry = entry
        self.plain = bool(encrypted_address)
        self.encrypted_address = encrypted_address
        self.context = entry.context()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who breaks off, or can't agree on a version, is no fault of ours."""


class Running:
    """An entry that listens: at one port encrypted, at another in the clear."""

    def __init__(self, entry: Entry) -> None:
        self._encrypted = _Server(entry)
        self.port = self._encrypted.port
        self._plain = _Server(entry, f"{HOST}:{self.port}")
        self.plain_port = self._plain.port
        for server in (self._encrypted, self._plain):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        """Nobody listens any more."""
        for server in (self._encrypted, self._plain):
            server.shutdown()
            server.server_close()

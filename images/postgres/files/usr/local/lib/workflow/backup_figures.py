"""Figures of the backup repository for Prometheus: over TLS, and only to callers with a certificate of the stack.

pgBackRest is asked at each call, which takes some 30 ms: what is told is what the repository holds, not what somebody
remembers of a run. Certificates are read again for each connection, so that a renewal restarts nothing.
"""

import json
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 9854
SECRETS = Path("/config/secrets")
INFO = ("pgbackrest", "--stanza=workflow", "--output=json", "info")
INFO_SECONDS, CALL_SECONDS = 8.0, 10.0
"""Prometheus waits for 10 s."""

OK, NEWEST = "backup_repository_ok", "backup_newest_end_seconds"
HELP = {
    OK: "Whether the repository can be read and holds a whole full backup.",
    NEWEST: "When the newest whole backup ended, Unix time; a full one counts as any, too.",
}


def figures(told: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Values by series, from what `pgbackrest info` tells; backups with damaged pages are not counted."""
    stanza = told[0] if told else {}
    ends: dict[str, float] = {}
    for backup in stanza.get("backup") or []:
        if not backup.get("error"):
            for kind in ("any", "full") if backup["type"] == "full" else ("any",):
                ends[kind] = max(ends.get(kind, 0), backup["timestamp"]["stop"])
    ok = (stanza.get("status") or {}).get("code") == 0 and "full" in ends
    return {OK: float(ok), **{f'{NEWEST}{{type="{kind}"}}': end for kind, end in sorted(ends.items())}}


def rendered(values: Mapping[str, float]) -> str:
    """As Prometheus reads it."""
    lines: list[str] = []
    for name, meaning in HELP.items():
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        lines += [f"{series} {value:.0f}" for series, value in values.items() if series.partition("{")[0] == name]
    return "\n".join([*lines, ""])


def asked() -> Sequence[Mapping[str, Any]]:
    """What pgBackRest tells of the repository; nothing when it can't, and then the log says why."""
    try:
        answer = subprocess.run(INFO, check=True, timeout=INFO_SECONDS, capture_output=True).stdout
        found: Sequence[Mapping[str, Any]] = json.loads(answer)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = getattr(error, "stderr", None) or b""
        sys.stderr.write(f"backup-figures: {error} {said.decode(errors='replace')}".strip() + "\n")
        return []
    return found


class Handler(BaseHTTPRequestHandler):
    """GET /metrics, and nothing else."""

    def do_GET(self) -> None:
        """Answers with the figures as they are now."""
        if self.path != "/metrics":
            self.send_error(404)
            return
        body = rendered(figures(asked())).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Calls every 15 s are not worth a line each."""


class Server(ThreadingHTTPServer):
    """Shakes hands in the connection's own thread, so that a silent caller holds nobody up."""

    daemon_threads = True

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serves one connection."""
        request.settimeout(CALL_SECONDS)
        with identity().wrap_socket(request, server_side=True) as connection:
            Handler(connection, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever is not let in, or goes away, is no fault of ours."""
        sys.stderr.write(f"backup-figures: {client_address[0]}: {sys.exc_info()[1]}\n")


def identity() -> ssl.SSLContext:
    """Who we are and who may call, as the files say now."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(SECRETS / "ca.crt")
    context.load_cert_chain(SECRETS / "tls.crt", SECRETS / "tls.key")
    return context


if __name__ == "__main__":
    Server(("", PORT), Handler).serve_forever()

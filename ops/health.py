"""Whether a stack answers: its HTTP probes from outside, and the engine's verdict on each container."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from ops.errors import OperatorError

PROBE_SECONDS = 6.0
READY_SECONDS = 120.0
PATHS = {
    "edge": ("/health",),
    "api": ("/health", "/health/ready"),
    "prometheus": ("/-/healthy", "/-/ready"),
    "alertmanager": ("/-/healthy", "/-/ready"),
    "grafana": ("/api/health",),
}


@dataclass(frozen=True)
class Probe:
    """One question and its answer; `seconds` is how long the answer took."""

    target: str
    ok: bool
    detail: str
    seconds: float


def trusting(outputs: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Trust in the stack's own authority besides those of this machine; None for a stack without one."""
    if not (authority := outputs.get("authority")):
        return None
    context = ssl.create_default_context(cadata=str(authority))
    context.load_default_certs()
    return context


def probe_urls(outputs: Mapping[str, Any]) -> dict[str, str]:
    """What is asked from outside. Where an edge is before the API, it is the edge that is asked."""
    urls = dict(outputs.get("urls") or {})
    if "edge" in urls:
        urls.pop("api", None)
    return urls


def http_probe(url: str, seconds: float = PROBE_SECONDS, trust: ssl.SSLContext | None = None) -> Probe:
    """Asks once; anything but a 200 in time is a failure, with what was wrong in a few words."""
    started = time.monotonic()
    # Loopback is asked directly, whatever proxy the environment names.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if trust is not None:
        handlers.append(urllib.request.HTTPSHandler(context=trust))
    opener = urllib.request.build_opener(*handlers)
    try:
        with opener.open(url, timeout=seconds) as answer:
            ok, detail = answer.status == 200, f"{answer.status} {_words(answer.read(2000))}"
    except urllib.error.HTTPError as error:
        ok, detail = False, f"{error.code} {_words(error.read(2000))}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        ok, detail = False, str(reason)
    return Probe(url, ok, detail.strip(), time.monotonic() - started)


def await_ready(
    urls: Mapping[str, str],
    report: Callable[[str], None],
    seconds: float = READY_SECONDS,
    trust: ssl.SSLContext | None = None,
) -> None:
    """Returns when every published part answers all its probes. Raises OperatorError with the first that does not."""
    deadline = time.monotonic() + seconds
    waiting = [f"{url.rstrip('/')}{path}" for name, url in urls.items() for path in PATHS.get(name, ())]
    while waiting:
        probe = http_probe(waiting[0], min(PROBE_SECONDS, max(0.1, deadline - time.monotonic())), trust)
        if probe.ok:
            waiting.pop(0)
        elif time.monotonic() > deadline:
            raise OperatorError(
                f"{probe.target} is not ready after {seconds:.0f} s: {probe.detail}",
                "see ./deploy-api.sh status and logs",
            )
        else:
            report(f"waiting for {probe.target}: {probe.detail}")
            time.sleep(0.2)


def _words(body: bytes) -> str:
    """A status document in short: its status and its checks."""
    try:
        document = json.loads(body)
    except ValueError:
        return " ".join(body.decode(errors="replace").split())[:80]
    if not isinstance(document, dict):
        return ""
    checks = document.get("checks")
    listed = [f"{name} {value}" for name, value in checks.items()] if isinstance(checks, dict) else []
    return ", ".join([str(document.get("status", "")), *listed]).strip(", ")


def stack_health(status: dict[str, Any]) -> dict[str, Any]:
    """The shape that `health --json` promises, from a stack's status: stack, healthy, probes."""
    trust = trusting(status)
    probes = [
        http_probe(f"{url.rstrip('/')}{path}", trust=trust)
        for name, url in probe_urls(status).items()
        for path in PATHS.get(name, ())
    ]
    for part in status["parts"]:
        detail = f"{part['state']}, {part['health']}" if part["health"] else part["state"]
        # The engine looks at intervals; a part that was asked over HTTP just now need not wait for its first look.
        early = part["health"] == "starting" and part["part"] in status["urls"]
        probes.append(Probe(part["container"], part["verdict"] == "ok" or early, detail, 0.0))
    healthy = bool(status["parts"]) and all(probe.ok for probe in probes)
    return {"stack": status["stack"], "healthy": healthy, "probes": [asdict(probe) for probe in probes]}


def health_table(health: dict[str, Any]) -> Table:
    """The same for people."""
    table = Table(title=f"Health of stack {health['stack']}", title_justify="left", box=None, pad_edge=False)
    for column in ("", "target", "answer", "took"):
        table.add_column(column, overflow="fold")
    for probe in health["probes"]:
        sign = "[green]✓[/]" if probe["ok"] else "[red]✗[/]"
        took = f"{probe['seconds'] * 1000:.0f} ms" if probe["seconds"] else "-"
        table.add_row(sign, probe["target"], probe["detail"], took)
    return table

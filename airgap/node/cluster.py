"""The one-node cluster as a whole: brought up, looked at, and its data kept between the two."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airgap.errors import AirgapError
from airgap.go_build import write_mark
from airgap.node import addons, images, machine, pki, programs, settings, teardown
from airgap.node.api import Api
from airgap.node.layout import Node, machine_address
from airgap.node.parts import parts
from airgap.node.processes import end
from airgap.node.supervisor import Part, Plan, answers, read_state, supervisor_of

_STOP_SECONDS = 100
_PARTS_SECONDS = 240
_WORKING_SECONDS = 300
_HOPELESS_RESTARTS = 6
_POLL_SECONDS = 0.5
_PROJECT = Path(__file__).resolve().parents[2]


def provide(node: Node, report: Callable[[str], None]) -> None:
    """Build and fetch the programs that are missing. Raises AirgapError."""
    node.make()
    programs.check_system()
    programs.unpack(node, report)
    programs.build(node, report)


def start(node: Node, report: Callable[[str], None]) -> None:
    """Start what does not run, and parts anew whose settings have changed. Raises AirgapError."""
    node.make()
    address = machine_address()
    pki.ensure(node, address)
    resolver = node.config / "resolv.conf"
    write_mark(resolver, settings.resolver_text(Path("/etc/resolv.conf").read_text()))
    settings.write(node, address, images.pause_reference(node), resolver)
    plan = Plan(node.run, node.logs, parts(node, address), _settings_mark(node))
    file = node.config / "plan.json"
    running = supervisor_of(node.run)
    if running is None or not file.is_file() or file.read_text() != plan.text():
        if running is not None:
            report("the node's description has changed: its parts are started anew, pods go on")
            end([running], _STOP_SECONDS)
        _start_supervisor(node, address, plan, file, report)
    _await_parts(node, address, plan, report)


def finish(node: Node, report: Callable[[str], None]) -> None:
    """Give the running cluster its add-ons and wait until everything works. Raises AirgapError."""
    address = machine_address()
    api = Api(node, address)
    references = images.push_all(node, report)
    resolver = (node.config / "resolv.conf").read_text()
    report("applying DNS, metrics and storage")
    api.apply(addons.render(node, references, resolver))
    deadline = time.monotonic() + _WORKING_SECONDS
    while missing := [name for name, works in addons.readiness(api).items() if not works]:
        _check_parts(node)
        if time.monotonic() > deadline:
            raise AirgapError(
                f"after {_WORKING_SECONDS} s not everything works: {', '.join(missing)}",
                f"kubectl --kubeconfig {node.kubeconfig} get pods,events -A",
            )
        report(f"waiting for {', '.join(missing)}")
        time.sleep(_POLL_SECONDS)


def status(node: Node) -> dict[str, Any]:
    """What runs and what works, for programs and people: never raises for a node that is down."""
    state = read_state(node.run)
    supervised = supervisor_of(node.run) is not None
    found: dict[str, Any] = {
        "running": supervised,
        "version": programs.KUBERNETES,
        "kubeconfig": str(node.kubeconfig) if node.kubeconfig.is_file() else None,
        "parts": {},
        "works": {},
    }
    for name, part in state.get("parts", {}).items():
        process = part["process"]
        alive = process is not None and Path(f"/proc/{process['pid']}").exists()
        found["parts"][name] = {
            "running": alive,
            "pid": process["pid"] if alive else None,
            "restarts": part["restarts"],
            "memory_bytes": _resident_bytes(process["pid"]) if alive else 0,
            "last_exit": part["last_exit"],
        }
    if supervised:
        found["works"] = addons.readiness(Api(node, machine_address()))
    all_run = bool(found["parts"]) and all(part["running"] for part in found["parts"].values())
    found["healthy"] = supervised and all_run and all(found["works"].values())
    return found


def _start_supervisor(node: Node, address: str, plan: Plan, file: Path, report: Callable[[str], None]) -> None:
    end(teardown.parts_left(node), 10)
    machine.check(address)
    report("starting the node's parts")
    _write_plan(file, plan)
    command = [sys.executable, "-m", "airgap.node.supervisor", str(file)]
    variables = {**os.environ, "PYTHONPATH": str(_PROJECT)}
    with (node.logs / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            command, cwd="/", env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _write_plan(file: Path, plan: Plan) -> None:
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(plan.text())


def _await_parts(node: Node, address: str, plan: Plan, report: Callable[[str], None]) -> None:
    deadline = time.monotonic() + _PARTS_SECONDS
    api = Api(node, address)
    silent = list(plan.parts)
    while True:
        silent = [part for part in silent if not answers(part.answers_at)]
        if not silent and api.get("/readyz") is not None:
            return
        _check_parts(node)
        names = ", ".join(part.name for part in silent) or "the API server to be ready"
        if time.monotonic() > deadline:
            raise AirgapError(f"after {_PARTS_SECONDS} s these do not answer: {names}", _log_hint(node, silent))
        report(f"waiting for {names}")
        time.sleep(_POLL_SECONDS)


def _check_parts(node: Node) -> None:
    """Raises AirgapError for a part that ends again and again."""
    for name, part in read_state(node.run).get("parts", {}).items():
        if part["restarts"] >= _HOPELESS_RESTARTS and part["process"] is None:
            raise AirgapError(
                f"{name} does not stay up ({part['last_exit']}): {last_line(node.logs / f'{name}.log')}",
                f"see {node.logs / f'{name}.log'}",
            )


def _log_hint(node: Node, silent: list[Part]) -> str:
    return f"see {node.logs / (silent[0].name if silent else 'apiserver')}.log"


def last_line(log: Path) -> str:
    """The last telling line of a log, shortened; a sentence when there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-50:]
    except OSError:
        lines = []
    telling = [line for line in lines if line.startswith(("E", "F", "panic")) or "rror" in line or "fatal" in line]
    return (telling or [line for line in lines if line.strip()] or ["it said nothing"])[-1].strip()[:300]


def _settings_mark(node: Node) -> str:
    digest = hashlib.sha256(programs.version_mark().encode())
    files = [*node.config.rglob("*"), *node.pki.glob("*.crt")]
    for path in sorted(path for path in files if path.is_file() and path.name not in {"plan.json", "resolv.conf"}):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0

"""`./deploy-api.sh bench --peers`: the service beside DBOS and Temporal, one after the other on this machine.

    python -m bench.peers [--quick] [--rounds N] [--without NAME ...] [--json]

Each does runs of three steps that do nothing, with a Postgres of its own that writes to the disk; callers, system and
Postgres share the machine. They do not promise the same (docs/performance.md), so a ratio is no verdict.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.peers import ours
from bench.peers.environments import NotThereError, python_of, temporal_server
from bench.peers.measuring import Measured, say, stop_in_order
from bench.service.system import ROOT
from tests.service import servers  # type: ignore[import-untyped]  # not type-checked

PEERS = ("dbos", "temporal")
_DATABASES = {"dbos": ("dbos_bench",), "temporal": ("temporal", "temporal_visibility")}
_PEER_SECONDS = 1800

Results = dict[str, list[Measured]]
"""By system, one of each round."""

_ROWS = {
    "completed": ("runs completed a second, 16 callers", False),
    "submit_p50": ("accepted, 16 callers, p50 ms", True),
    "alone_p50": ("asked for to seen completed, one caller, p50 ms", True),
    "alone_p95": ("  p95 ms", True),
    "reads": ("reads of one run a second, 16 callers", False),
}
"""Field, what it is, whether less is better."""


def of_peer(peer: str, environment: Mapping[str, str], *, quick: bool) -> dict[str, Measured]:
    """What was measured of a peer, by the name in the table. Raises RuntimeError with what it said."""
    with tempfile.TemporaryDirectory() as folder, servers.postgres(in_memory=False) as database:
        for name in _DATABASES[peer]:
            asyncio.run(database.execute(f"CREATE DATABASE {name}"))
        own = {"PEER_FOLDER": folder, "PEER_DATABASE": database.url(_DATABASES[peer][0])}
        words = [str(python_of(peer)), "-m", f"bench.peers.{peer}_peer", "measure", *(["--quick"] if quick else [])]
        environment = {"PATH": os.environ["PATH"], **environment, **own}
        with subprocess.Popen(words, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                said, _ = process.communicate(timeout=_PEER_SECONDS)
            finally:
                # It takes its servers down.
                process.terminate()
        if process.returncode:
            logs = "".join(path.read_text(errors="replace")[-2000:] for path in Path(folder).glob("*.log"))
            raise RuntimeError(f"{peer} was not measured: {logs}")
    return {name: Measured(**fields) for name, fields in json.loads(said).items()}


def measure(peers: Sequence[str], *, quick: bool, rounds: int) -> Results:
    """All systems, one after the other, as often as there are rounds. Raises NotThereError before anything begins."""
    environments: dict[str, dict[str, str]] = {}
    for peer in peers:
        python_of(peer)
        environments[peer] = {"PEER_BINARIES": str(temporal_server())} if peer == "temporal" else {}
    found: Results = {}
    for number in range(1, rounds + 1):
        for peer in ("ours", *peers):
            say(f"round {number}: {peer}")
            each = ours.measured(quick=quick) if peer == "ours" else of_peer(peer, environments[peer], quick=quick)
            for name, measured in each.items():
                found.setdefault(name, []).append(measured)
    return found


def ratios(results: Results) -> dict[str, dict[str, float]]:
    """How many times better we are than each peer, by field; medians of the rounds. Below 1 the peer is better."""
    mine = results["ours"]

    def ratio(theirs: Sequence[Measured], field: str, less: bool) -> float:
        a, b = (statistics.median(getattr(each, field) for each in some) for some in (mine, theirs))
        return float(round(b / a if less else a / b, 2))

    return {
        name: {field: ratio(theirs, field, less) for field, (_, less) in _ROWS.items()}
        for name, theirs in results.items()
        if name != "ours"
    }


def table(results: Results) -> str:
    """As text: what, then a column for each system, with our ratio to it."""
    of = ratios(results)
    lines = [["", *results]]
    for field, (what, _) in _ROWS.items():
        cells = [what]
        for name, rounds in results.items():
            values = [getattr(each, field) for each in rounds]
            low, high = min(values), max(values)
            shown = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            cells.append(shown if name == "ours" else f"{shown} ({of[name][field]:g}x)")
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load: it works, but measures little")
    parser.add_argument("--rounds", type=int, choices=range(1, 10), default=2, metavar="N", help="how often, 1 to 9")
    parser.add_argument("--without", action="append", choices=PEERS, default=[], help="leave a peer out")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)
    stop_in_order()
    peers = [peer for peer in PEERS if peer not in given.without]
    try:
        results = measure(peers, quick=given.quick, rounds=given.rounds)
    except (NotThereError, RuntimeError) as error:
        say(str(error))
        return 1
    if given.json:
        rounds = {name: [each.fields() for each in measured] for name, measured in results.items()}
        sys.stdout.write(json.dumps({"rounds": rounds, "ratios": ratios(results)}, indent=2) + "\n")
    else:
        sys.stdout.write(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

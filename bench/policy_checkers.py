"""Which planted faults our policy pack, Checkov and kube-score find in the same rendered manifests, and in what time.

    python -m bench.policy_checkers --checkov "$(which checkov)" --kube-score "$(which kube-score)" [--json]

The manifests are those of the stack prod of this tree. Each fault is one change of them, planted alone: a case of our
own rules, so that ours finds all of them by construction; the question is what the others find. A fault counts as found
by a tool when it says something of the changed manifests that it does not say of the unchanged ones, whatever it is.
Install the others with `pip install checkov` into an environment of its own, and
`go install github.com/zegl/kube-score/cmd/kube-score@latest`; one that is not given is not run, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ops.home import PROJECT_DIR
from ops.policy import recorded
from policies.engine.judge import judge
from policies.engine.profiles import load_profiles
from policies.engine.rule import all_rules
from policies.sources.manifests import manifests_of, read_manifests
from policies.view.deployment import Deployment
from stacks.load import load_stack
from tests.policies.cases import all_cases  # type: ignore[import-untyped]  # not type-checked
from tests.policies.changes import Case  # type: ignore[import-untyped]

SECONDS = 600
TIMES = 3
"""How often the unchanged manifests are judged for the time."""

PLANTED = {
    "containers": (
        "containers_are_not_privileged",
        "containers_get_no_rights_of_root",
        "containers_drop_all_rights_of_root",
        "containers_cannot_change_their_own_files",
        "programs_do_not_share_the_machines_network",
        "containers_are_refused_as_root",
        "containers_cannot_gain_rights",
        "containers_have_a_memory_limit",
        "containers_have_a_cpu_limit",
        "no_image_is_the_latest",
    ),
    "health and rollout": (
        "services_have_a_health_check",
        "services_say_when_they_are_ready",
        "the_liveness_probe_has_the_agreed_timing",
        "the_api_has_three_replicas",
        "the_api_is_autoscaled",
    ),
    "network": (
        "services_keep_inner_ports_inside",
        "every_program_bounds_who_may_connect",
        "every_policy_selects_a_program",
        "policies_do_not_open_every_way_out",
        "no_policy_opens_the_way_to_a_clouds_credentials",
    ),
    "TLS": (
        "the_edge_speaks_no_old_tls",
        "the_edge_verifies_the_api",
        "brokers_listen_encrypted",
        "programs_verify_the_database",
        "the_database_refuses_unencrypted_logins",
        "certificates_have_strong_keys",
    ),
    "settings of the application": (
        "figures_are_on",
        "audit_records_are_on",
        "statements_are_not_echoed",
        "origins_are_named_exactly",
        "credentials_go_to_named_origins_only",
        "production_writes_neither_too_much_nor_too_little",
    ),
    "relations": (
        "workers_have_the_cores_they_need",
        "the_overflow_is_twice_the_pool",
        "all_programs_together_stay_below_the_servers_limit",
        "every_executor_can_have_a_partition",
        "services_lead_to_a_program",
    ),
    "Kafka": (
        "new_topics_have_three_copies",
        "a_message_counts_when_two_brokers_have_it",
        "topics_are_only_made_on_purpose",
    ),
    "monitoring": (
        "prometheus_has_a_job_for_the_api",
        "every_alert_has_a_receiver_that_exists",
        "every_job_alarms_when_it_is_down",
        "every_panel_asks_something",
    ),
}
"""The rules whose first case on production is planted, by family."""

Findings = frozenset[tuple[str, ...]]
Tool = Callable[[Path], Findings]


@dataclass(frozen=True)
class Fault:
    """One planted change, and who found it."""

    family: str
    name: str
    found: dict[str, bool]


def planted() -> list[tuple[str, Case]]:
    """Family and case of each fault. KeyError when a rule has no case on production any more."""
    cases: dict[str, Case] = {}
    for case in all_cases():
        if case.environment == "prod" and case.status == "fail":
            cases.setdefault(case.check, case)
    return [(family, cases[name]) for family, names in PLANTED.items() for name in names]


def ours(folder: Path) -> Findings:
    """Our pack, of manifests, in this process."""
    found = judge(read_manifests(folder), all_rules(), load_profiles(), environment="prod").findings
    return frozenset((each.item, each.check, each.resource.rpartition("::")[2], each.path) for each in found)


def checkov(program: str) -> Tool:
    """Checkov with its checks of Kubernetes and of secrets."""

    def judged(folder: Path) -> Findings:
        words = [
            program,
            "--directory",
            str(folder),
            "--framework",
            "kubernetes",
            "secrets",
            "--output",
            "json",
            "--compact",
        ]
        documents = json.loads(_said([*words, "--quiet", "--skip-download"], {0, 1}))
        each = documents if isinstance(documents, list) else [documents]
        failed = [check for document in each for check in document.get("results", {}).get("failed_checks", [])]
        return frozenset((check["check_id"], check["resource"]) for check in failed)

    return judged


def kube_score(program: str) -> Tool:
    """kube-score with its optional checks, too."""
    listed = _said([program, "list"], {0}).splitlines()
    optional = [row.split(",")[0] for row in listed if row.rstrip().endswith("optional")]

    def judged(folder: Path) -> Findings:
        words = [program, "score", "--output-format", "json"]
        words += [word for name in optional for word in ("--enable-optional-test", name)]
        found = json.loads(_said([*words, *map(str, sorted(folder.iterdir()))], {0, 1}))
        return frozenset(
            (check["check"]["id"], scored["object_name"], comment["path"], comment["summary"])
            for scored in found
            for check in scored["checks"]
            if not check["skipped"] and check["grade"] < 10
            for comment in check["comments"] or [{"path": "", "summary": ""}]
        )

    return judged


def _said(command: Sequence[str], codes: set[int]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode not in codes:
        raise SystemExit(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def write(deployment: Deployment, folder: Path) -> Path:
    """One file for each object, as they would be applied."""
    folder.mkdir()
    for number, document in enumerate(manifests_of(deployment)):
        name = f"{number:03}-{document['kind']}-{document['metadata']['name']}.yaml".lower().replace(":", "-")
        (folder / name).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return folder


def compare(tools: dict[str, Tool], scratch: Path, told: Callable[[str], None]) -> dict[str, Any]:
    """What each finds of each fault, and how long it takes for the unchanged manifests."""
    good = recorded(load_stack("prod", PROJECT_DIR))
    unchanged = write(good, scratch / "unchanged")
    before: dict[str, Findings] = {}
    seconds: dict[str, list[float]] = {}
    for name, tool in tools.items():
        for _ in range(TIMES):
            start = time.perf_counter()
            before[name] = tool(unchanged)
            seconds.setdefault(name, []).append(round(time.perf_counter() - start, 2))
        told(f"{name}: {len(before[name])} findings of the unchanged manifests, {seconds[name]} s")
    faults = []
    for family, case in planted():
        changed = write(case.change(good), scratch / case.id)
        found = {name: bool(tool(changed) - before[name]) for name, tool in tools.items()}
        faults.append(Fault(family, case.check, found))
        told(f"{case.check}: {', '.join(name for name, yes in found.items() if yes) or 'nobody'}")
    return {
        "objects": len(manifests_of(good)),
        "seconds": {name: {"median": statistics.median(each), "all": each} for name, each in seconds.items()},
        "findingsOfTheUnchanged": {name: len(each) for name, each in before.items()},
        "found": {name: sum(fault.found[name] for fault in faults) for name in tools},
        "faults": [vars(fault) for fault in faults],
    }


def table(result: dict[str, Any]) -> str:
    """As Markdown."""
    names = list(result["found"])
    lines = [f"| broken in the manifests | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    family = ""
    for fault in result["faults"]:
        if fault["family"] != family:
            family = fault["family"]
            lines.append(f"| **{family}** |{' |' * len(names)}")
        marks = ["found" if fault["found"][name] else "-" for name in names]
        lines.append(f"| {fault['name'].replace('_', ' ')} | {' | '.join(marks)} |")
    count = len(result["faults"])
    lines.append(f"| **found of {count}** | {' | '.join(str(result['found'][name]) for name in names)} |")
    unchanged = [str(result["findingsOfTheUnchanged"][name]) for name in names]
    lines.append(f"| findings of the unchanged manifests | {' | '.join(unchanged)} |")
    medians = [f"{result['seconds'][name]['median']:.2f} s" for name in names]
    return "\n".join([*lines, f"| time, {result['objects']} objects, median of {TIMES} | {' | '.join(medians)} |"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkov", help="the program checkov")
    parser.add_argument("--kube-score", help="the program kube-score")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args(arguments)
    tools: dict[str, Tool] = {"ours": ours}
    if given.checkov:
        tools["Checkov"] = checkov(given.checkov)
    if given.kube_score:
        tools["kube-score"] = kube_score(given.kube_score)

    def told(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    with tempfile.TemporaryDirectory() as scratch:
        result = compare(tools, Path(scratch), told)
    missing = {"Checkov", "kube-score"} - tools.keys()
    sys.stdout.write(f"{json.dumps(result, indent=2) if given.json else table(result)}\n")
    if missing:
        told(f"not run, because not given: {', '.join(sorted(missing))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Judging a stack by the policy pack without an engine and a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from ops.context import Context
from ops.errors import OperatorError
from ops.home import PROJECT_DIR

if TYPE_CHECKING:
    from policies.engine.findings import Finding, Judgement
    from policies.engine.rule import Rule
    from policies.view.deployment import Deployment
    from stacks.model import Stack

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def judge_stack(
    context: Context,
    name: str,
    *,
    state: Path | None = None,
    manifests: Path | None = None,
    reports: bool = False,
    profile: str | None = None,
    waivers: Path | None = None,
) -> Judgement:
    """What the rules say of a stack of this tree, of an exported state, or of rendered manifests.

    With `reports` also of what tests, builds and scans of this tree wrote down, as is asked before a release.

    Raises OperatorError or PolicyError for a wrong description, state, profile or waiver: nothing is judged then.
    """
    from policies.engine.judge import judge
    from policies.engine.profiles import PROFILES_THERE_ARE, load_profiles
    from policies.engine.rule import all_rules
    from policies.engine.waivers import WAIVERS, load_waivers
    from policies.sources.fingerprints import known_fingerprints
    from policies.sources.manifests import read_manifests
    from policies.sources.state import read_state
    from policies.view.project import Project

    if profile is not None and profile not in PROFILES_THERE_ARE:
        raise OperatorError(f"there is no profile {profile}", f"name one of: {', '.join(PROFILES_THERE_ARE)}")
    rules, profiles = all_rules(), load_profiles()
    if waivers is not None and not waivers.exists():
        raise OperatorError(f"the file of waivers {waivers} is not there", "name one that is, or leave the option out")
    let_pass = load_waivers(waivers or WAIVERS, {rule.item for rule in rules})
    if state and manifests:
        raise OperatorError("both a state and manifests are given", "judge one at a time")
    if state:
        return judge(read_state(state), rules, profiles, environment=profile, waivers=let_pass)
    if manifests:
        return judge(read_manifests(manifests), rules, profiles, environment=profile, waivers=let_pass)
    # What other stacks of this machine have for secrets is known by fingerprints that `up` wrote down.
    deployment = recorded(context.stack(name)).compared_with(known_fingerprints(context.engine.environ))
    project = Project(PROJECT_DIR, name, context.home.reports if reports else None)
    return judge(deployment, rules, profiles, environment=profile, waivers=let_pass, project=project)


def recorded(stack: Stack) -> Deployment:
    """What the program registers for a stack, with all its images there."""
    from infra.images import Lookup
    from infra.program import deploy
    from policies.sources.program import record
    from stacks.model import PROJECT

    return record(lambda: deploy(stack, Lookup(_pushed, lambda _image: None)), PROJECT, stack.name)


def _pushed(reference: str) -> str:
    """A reference as it will be once the image is pushed: a cluster gets every image by digest, or is refused. Which
    digest that is, is not known before, and no rule asks."""
    repository = reference.rpartition(":")[0] if ":" in reference.rpartition("/")[2] else reference
    return f"{repository}@sha256:{'0' * 64}"


def findings_table(judgement: Judgement) -> Table:
    """What was found, the worst first."""
    title = f"Policies of stack {judgement.stack}, profile {judgement.profile}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("requirement", "severity", "where", "what", "wanted", "mend"):
        table.add_column(column, overflow="fold")
    order = list(STYLES)
    for each in sorted(judgement.findings, key=lambda found: (not found.blocks, order.index(found.severity))):
        table.add_row(each.item, _severity(each), each.place, _what(each), each.wanted, each.mend)
    return table


def summary_line(judgement: Judgement) -> str:
    """The verdict in one line."""
    blocking = [each for each in judgement.findings if each.blocks]
    verdict = f"blocked by {len(blocking)} findings" if blocking else "passed"
    waived = sum(each.waiver is not None for each in judgement.findings)
    told = sum(each.level == "advisory" and each.waiver is None for each in judgement.findings)
    return (
        f"{verdict}: {len(judgement.passed)} requirements met, {told} advisory and {waived} waived findings, "
        f"{len(judgement.not_applicable)} not applicable, {len(judgement.off)} not asked for"
    )


def rules_table(rules: Iterable[Rule]) -> Table:
    """Every requirement with what is asked in each environment and how many rules check it."""
    from checklist.catalogue import load
    from policies.engine.profiles import load_profiles

    profiles, catalogue = load_profiles(), load()
    table = Table(box=None, pad_edge=False)
    for column in ("requirement", "severity", "dev", "prod", "rules", "title"):
        table.add_column(column, overflow="fold")
    counted: dict[str, int] = {}
    for rule in rules:
        counted[rule.item] = counted.get(rule.item, 0) + 1
    for item, count in counted.items():
        demand = profiles.demand(item)
        levels = demand.levels
        table.add_row(item, demand.severity, levels["dev"], levels["prod"], str(count), catalogue[item].title)
    return table


def explanation(item: str, rules: Iterable[Rule]) -> str:
    """What a requirement asks, why, where it comes from, and what checks it. Raises OperatorError for an unknown id."""
    from checklist.catalogue import load
    from policies.engine.profiles import load_profiles

    chosen = [rule for rule in rules if rule.item == item]
    if not chosen:
        raise OperatorError(f"no rule checks {item}", "./deploy-api.sh policy list")
    entry, demand = load()[item], load_profiles().demand(item)
    asked = ", ".join(f"{name}: {level}" for name, level in demand.levels.items())
    reasons = "; ".join(sorted(set(demand.reasons.values())))
    lines = [
        f"{item}: {entry.title}",
        f"  {entry.check}",
        f"  severity {demand.severity}; {asked}{f' ({reasons})' if reasons else ''}",
        f"  {'may be waived' if demand.waivable else 'can not be waived'}; from {', '.join(entry.sources)}",
    ]
    for rule in chosen:
        lines += [
            "",
            f"  {rule.name.replace('_', ' ')}",
            f"    {' '.join(rule.says.split())}",
            f"    wanted: {rule.wanted}",
        ]
        lines += [f"    mend: {rule.mend}"] if rule.mend else []
    return "\n".join(lines)


def _severity(finding: Finding) -> str:
    if finding.waiver is not None:
        return "[dim]waived[/]"
    told = finding.severity if finding.level == "mandatory" else f"{finding.severity}, advisory"
    return f"[{STYLES[finding.severity]}]{told}[/]"


def _what(finding: Finding) -> str:
    what = finding.what if finding.status == "fail" else f"not evaluated: {finding.what}"
    return what if finding.waiver is None else f"{what} (waived: {finding.waiver})"

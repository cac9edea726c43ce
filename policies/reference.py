"""The reference of all rules: the greater part of docs/policies.md, which tests/policies/mutations/table.py writes."""

from collections.abc import Iterable
from pathlib import Path

from checklist.catalogue import CatalogueEntry
from policies.engine.profiles import Demand, Profiles
from policies.engine.rule import Rule

INTRODUCTION = Path(__file__).with_name("introduction.md")


def render(rules: Iterable[Rule], profiles: Profiles, catalogue: dict[str, CatalogueEntry]) -> str:
    """The whole page."""
    by_item: dict[str, list[Rule]] = {}
    for rule in rules:
        by_item.setdefault(rule.item, []).append(rule)
    chosen = [entry for entry in catalogue.values() if entry.id in by_item]
    lines = [f"## The requirements\n\n{len(chosen)} requirements, {sum(map(len, by_item.values()))} rules.\n"]
    lines += ["| requirement | severity | dev | prod | |", "|---|---|---|---|---|"]
    for entry in chosen:
        lines.append(_row(entry, profiles.demand(entry.id)))
    for phase in dict.fromkeys(entry.phase for entry in chosen):
        lines += ["", f"## {phase.replace('_', ' ').capitalize()}"]
        for entry in chosen:
            if entry.phase == phase:
                lines += ["", *_section(entry, profiles.demand(entry.id), by_item[entry.id])]
    return INTRODUCTION.read_text(encoding="utf-8") + "\n".join(lines) + "\n"


def _row(entry: CatalogueEntry, demand: Demand) -> str:
    cells = (f"[{entry.id}](#{entry.id})", demand.severity, demand.levels["dev"], demand.levels["prod"], entry.title)
    return "| " + " | ".join(cells) + " |"


def _section(entry: CatalogueEntry, demand: Demand, rules: list[Rule]) -> list[str]:
    relaxed = sorted(set(demand.reasons.values()))
    lines = [f"### {entry.id}", "", f"{entry.title}. {entry.check}", ""]
    lines += [f"Relaxed: {'; '.join(relaxed)}.", ""] if relaxed else []
    lines += ["It can't be waived.", ""] if not demand.waivable else []
    for rule in rules:
        mend = f" Mend: {rule.mend}." if rule.mend else ""
        says = " ".join(rule.says.split())
        lines.append(f"- **{rule.name.replace('_', ' ')}** ({_subject(rule)}): {says} Wanted: {rule.wanted}.{mend}")
    return lines


def _subject(rule: Rule) -> str:
    told = {
        "Container": "every container",
        "Pod": "every program",
        "Resource": "each resource",
        "PlatformPart": "a part of the platform",
        "Platform": "the platform's parts together",
        "Deployment": "the whole deployment",
        "Project": "the project's files",
        "Credential": "every credential",
    }[rule.on.__name__]
    kinds = f" of {', '.join(sorted(rule.kinds))}" if rule.kinds else ""
    parts = f": {', '.join(sorted(rule.parts))}" if rule.parts else ""
    only = f", in {', '.join(sorted(rule.environments))} only" if rule.environments else ""
    return f"{told}{kinds}{parts}{only}"

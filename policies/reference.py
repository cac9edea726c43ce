"""The reference of all rules, docs/policies.md: `python -m policies.reference > docs/policies.md`."""

import sys
from collections.abc import Iterable

from checklist.catalogue import CatalogueEntry, load
from policies.engine.profiles import Demand, Profiles, load_profiles
from policies.engine.rule import Rule, all_rules

INTRODUCTION = """\
# Policies

Each requirement of the checklists that a machine can judge before a deployment is bound to rules. A rule looks at what is really going to be
deployed: containers, settings, config files, network policies, the order of things. The same rules run in four places:

```sh
./deploy-api.sh policy prod                          # no engine and no cluster needed; --format json|sarif|junit|markdown
./deploy-api.sh policy check --state state.json      # what is deployed: pulumi stack export --file state.json
./deploy-api.sh policy check --manifests rendered/   # Kubernetes manifests, whoever rendered them
pulumi preview --policy-pack policies                # in the engine, with the values that only it knows; also `up`
./deploy-api.sh policy list                          # every requirement; `policy explain ID` tells why and what checks it
```
A release (`./deploy-api.sh prod`) previews under the pack and goes no further when something blocks.
For CI there are examples to copy: [docs/ci/github-actions.yml](ci/github-actions.yml), [docs/ci/gitlab-ci.yml](ci/gitlab-ci.yml).

## What a finding means
- **fail**: the rule saw what is wrong. It names the resource and the field, never a value.
- **not evaluated**: a field can't be known yet (it comes out of a resource that does not exist), or the rule itself broke. That blocks like a
  failure: nothing passes because it could not be looked at. Generated secrets are judged by the resource that draws them.
- **not applicable**: there is nothing of that kind in the deployment, and the report says so.

The exit code is 1 when something blocks, and also when profiles, waivers or the state can't be read: the gate stays shut.

## Profiles and waivers
[policies/profiles.yaml](../policies/profiles.yaml) says for each requirement whether dev and prod demand it (mandatory), only tell it (advisory) or leave it
out (off), and why it is relaxed. The stack's name decides which profile holds (`stacks:` there); a name that is not in it is judged as prod.

`policies/waivers.yaml` lets a finding pass for a while. A waiver that has expired, that covers nothing or whose requirement can't be waived is itself a
finding that blocks.
```yaml
- item: log-rotation
  urn: "*::relay"          # a pattern; * also covers what is about no single resource
  reason: the node rotates its logs
  owner: platform team
  expires: 2027-01-31
```

## Programs of your own
The pack stands alone: point `--policy-pack` of any Pulumi program on Docker or Kubernetes at this folder. Rules about the workflow platform's own settings
are then not applicable. `WORKFLOW_POLICY_PROFILE=dev` chooses the profile, `WORKFLOW_POLICY_WAIVERS=FILE` another file of waivers.

"""


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
    return INTRODUCTION + "\n".join(lines) + "\n"


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
    }[rule.on.__name__]
    kinds = f" of {', '.join(sorted(rule.kinds))}" if rule.kinds else ""
    parts = f": {', '.join(sorted(rule.parts))}" if rule.parts else ""
    only = f", in {', '.join(sorted(rule.environments))} only" if rule.environments else ""
    return f"{told}{kinds}{parts}{only}"


if __name__ == "__main__":
    sys.stdout.write(render(all_rules(), load_profiles(), load()))

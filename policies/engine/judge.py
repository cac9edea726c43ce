"""Runs the rules over a deployment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from policies.engine.findings import Finding, Judgement
from policies.engine.profiles import Profiles
from policies.engine.rule import ASKED_OF, Fault, Rule
from policies.engine.subjects import NOTHING, resource_of, subjects
from policies.engine.waivers import Waiver, apply
from policies.view.deployment import Deployment
from policies.view.project import Project
from policies.view.values import NotApplicableError, NotKnownError

REFERENCE = "docs/policies.md#"


def judge(
    deployment: Deployment,
    rules: Iterable[Rule],
    profiles: Profiles,
    *,
    environment: str | None = None,
    waivers: Iterable[Waiver] = (),
    project: Project | None = None,
    today: date | None = None,
) -> Judgement:
    """What the rules say. Without `environment` it is that of the stack's name.

    A rule that breaks is told as "not evaluated", which blocks like a failure: nothing passes because of a bug.
    """
    chosen = environment or profiles.environment_of(deployment.stack)
    result = Judgement(deployment.stack, chosen)
    seen: dict[str, bool] = {}
    unasked: set[str] = set()
    for rule in rules:
        demand = profiles.demand(rule.item)
        if rule.environments and not rule.environments & ASKED_OF[chosen]:
            continue
        if demand.levels[chosen] == "off":
            result.off[rule.item] = demand.reasons[chosen]
            continue
        evaluation = _Evaluation(rule, profiles, chosen)
        evaluation.run(deployment, project)
        if evaluation.passes_over or (rule.on is Project and project is None):
            unasked.add(rule.item)
        result.findings += evaluation.findings
        seen[rule.item] = seen.get(rule.item, False) or evaluation.saw_something
        result.passed[rule.item] = result.passed.get(rule.item, 0) + evaluation.passed
        if not evaluation.saw_something:
            result.not_applicable.setdefault(rule.item, evaluation.passes_over or NOTHING[rule.on])
    result.not_applicable = {item: why for item, why in result.not_applicable.items() if not seen[item]}
    failed = result.items()
    result.passed = {item: count for item, count in result.passed.items() if seen[item] and item not in failed}
    result.findings = apply(waivers, result.findings, profiles.demands, today, deployment.stack, unasked)
    return result


class _Evaluation:
    """One rule on everything that it has to look at."""

    def __init__(self, rule: Rule, profiles: Profiles, environment: str) -> None:
        self._rule = rule
        self._demand = profiles.demand(rule.item)
        self._level = self._demand.levels[environment]
        self.findings: list[Finding] = []
        self.passed = 0
        self.saw_something = False
        self.passes_over = ""
        """Why what was there to look at could not be asked about."""

    def run(self, deployment: Deployment, project: Project | None) -> None:
        try:
            for subject in subjects(self._rule, deployment, project):
                self.ask(subject)
                self.saw_something |= not self.passes_over
        except NotApplicableError as error:
            self.passes_over = str(error)
        except NotKnownError as error:
            self.saw_something = True
            self._not_evaluated(error.path, "what it has to look at can't be known here", "")
        except Exception as error:  # noqa: BLE001 - a broken rule must not let anything pass
            self.saw_something = True
            self._not_evaluated("", f"the rule itself failed: {type(error).__name__}", "")

    def ask(self, subject: Any) -> None:
        """The rule on one subject."""
        resource = resource_of(subject)
        urn = resource.urn if resource else ""
        before = len(self.findings)
        try:
            for fault in self._rule.check(subject):
                self._add(fault, urn)
        except NotApplicableError as error:
            self.passes_over = str(error)
            return
        except NotKnownError as error:
            self._not_evaluated(error.path, "its value can't be known here", urn)
        except Exception as error:  # noqa: BLE001 - a broken rule must not let anything pass
            self._not_evaluated("", f"the rule itself failed: {type(error).__name__}", urn)
        if len(self.findings) == before:
            self.passed += 1

    def _add(self, fault: Fault, urn: str) -> None:
        self.findings.append(self._finding("fail", fault.path, fault.what, fault.urn or urn, fault.wanted, fault.mend))

    def _not_evaluated(self, path: str, why: str, urn: str) -> None:
        self.findings.append(self._finding("not evaluated", path, why, urn))

    def _finding(self, status: Any, path: str, what: str, urn: str, wanted: str = "", mend: str = "") -> Finding:
        rule = self._rule
        return Finding(
            item=rule.item,
            check=rule.name,
            status=status,
            level=self._level,
            severity=self._demand.severity,
            resource=urn,
            path=path,
            what=what,
            wanted=wanted or rule.wanted,
            mend=mend or rule.mend,
            reference=f"{REFERENCE}{rule.item}",
        )

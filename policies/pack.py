"""The pack as Pulumi's engine sees it: one policy for each requirement."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pulumi_policy.policy as sdk
from pulumi.runtime import proto

from checklist.catalogue import load
from policies.engine.findings import Finding, Level, Severity
from policies.engine.judge import judge
from policies.engine.profiles import PROFILES_THERE_ARE, Demand, Profiles, load_profiles
from policies.engine.rule import Rule, all_rules
from policies.engine.subjects import OF_ONE_RESOURCE
from policies.engine.waivers import WAIVER_ITEM, WAIVERS, Waiver, apply, load_waivers
from policies.errors import PolicyError
from policies.sources import sdk as source
from policies.sources.fingerprints import known_fingerprints
from policies.view.deployment import Deployment
from policies.view.fingerprints import Fingerprints
from policies.view.project import Project
from policies.view.values import Value

NAME = "workflow-platform"
PROFILE = "WORKFLOW_POLICY_PROFILE"
"""dev or prod, where the stack's name does not tell."""
WAIVER_FILE = "WORKFLOW_POLICY_WAIVERS"
"""Another file of waivers than the pack's own."""

TOGETHER = "-together"
"""What is judged of the whole deployment has a policy of its own, because the SDK wants one kind for each name."""

_LEVELS: dict[Level, sdk.EnforcementLevel] = {
    "mandatory": sdk.EnforcementLevel.MANDATORY,
    "advisory": sdk.EnforcementLevel.ADVISORY,
    "off": sdk.EnforcementLevel.DISABLED,
}
_SEVERITIES: dict[Severity, sdk.Severity] = {
    "low": sdk.Severity.LOW,
    "medium": sdk.Severity.MEDIUM,
    "high": sdk.Severity.HIGH,
    "critical": sdk.Severity.CRITICAL,
}


class Analyzer(sdk._PolicyAnalyzerServicer):
    """Reads each resource once for all policies; the SDK does it once for each, which takes a hundred times as long."""

    rules: tuple[Rule, ...] = ()
    of_one_resource: tuple[Rule, ...] = ()
    """Those of the rules that need no more than one resource to judge it."""
    profiles: Profiles
    waivers: tuple[Waiver, ...] = ()
    environment: str | None = None
    fingerprints: Fingerprints | None = None
    """Of the secrets of this machine's other stacks."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._policies = {each.name: each for each in self._own("policies")}
        self._seen: dict[str, Value] = {}

    def Analyze(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """One resource, before it is made."""
        taken: list[Any] = []
        response = self._read_once("Analyze", sdk.ResourceValidationPolicy, taken, request, context)
        for args in taken:
            resource = source.resource_of(args.urn, args.resource_type, args.name, args.props, args.opts.protect)
            self._seen[resource.urn] = resource.inputs
            deployment = Deployment(source.stack_of([resource]), [resource])
            found = judge(deployment, self.of_one_resource, self.profiles, environment=self.environment).findings
            self._tell(response, apply_to_one(self.waivers, found, self.profiles), "")
        return response

    def Remediate(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """Nothing, without reading the resource: the pack judges and changes nothing."""
        return proto.RemediateResponse()

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        """The whole deployment, after all its resources were seen."""
        taken: list[Any] = []
        response = self._read_once("AnalyzeStack", sdk.StackValidationPolicy, taken, request, context)
        for args in taken:
            deployment = source.deployment_of(args.resources, self._seen).compared_with(self.fingerprints)
            judgement = judge(
                deployment,
                self.rules,
                self.profiles,
                environment=self.environment,
                waivers=self.waivers,
            )
            told = {rule.name for rule in self.of_one_resource}
            self._tell(response, (each for each in judgement.findings if each.check not in told), TOGETHER)
            for item, reason in judgement.not_applicable.items():
                for name in (item, f"{item}{TOGETHER}"):
                    if name in self._policies:
                        response.not_applicable.append(proto.PolicyNotApplicable(policy_name=name, reason=reason))
        return response

    def _read_once(self, method: str, kind: type, taken: list[Any], request: Any, context: Any) -> Any:
        """The SDK's own reading of a request, with one policy that only takes what was read."""
        collector = kind("collector", "takes what was read", lambda args, _report: taken.append(args))
        every = self._own("policies")
        self._PolicyAnalyzerServicer__policies = [collector]
        try:
            return getattr(super(), method)(request, context)
        finally:
            self._PolicyAnalyzerServicer__policies = every

    def _tell(self, response: Any, findings: Iterable[Finding], suffix: str) -> None:
        for finding in findings:
            if finding.waiver is not None:
                continue
            name = finding.item if finding.item == WAIVER_ITEM else f"{finding.item}{suffix}"
            policy = self._policies[name]
            # What somebody set by --policy-pack-config comes before the profile. The engine also hands back what the
            # policy itself declared, and that was said before the stack, and so its profile, was known.
            asked = self._own("policy_pack_config_enforcement_level").get(name)
            is_set = asked not in (None, policy.enforcement_level)
            level = asked if is_set else _LEVELS[finding.level]
            if level == sdk.EnforcementLevel.DISABLED:
                continue
            response.diagnostics.append(
                proto.AnalyzeDiagnostic(
                    policyName=name,
                    policyPackName=NAME,
                    policyPackVersion=self._own("policy_pack_version"),
                    message=message_of(finding),
                    urn=finding.resource,
                    description=policy.description,
                    enforcementLevel=self._map_enforcement_level(level),
                    severity=self._map_severity(_SEVERITIES[finding.severity]),
                )
            )

    def _own(self, name: str) -> Any:
        return getattr(self, f"_PolicyAnalyzerServicer__{name}")


def apply_to_one(waivers: Iterable[Waiver], findings: list[Finding], profiles: Profiles) -> list[Finding]:
    """The waivers' effect on one resource: whether all of them are needed is only known at the end."""
    return apply(waivers, findings, profiles.demands)[: len(findings)]


def message_of(finding: Finding) -> str:
    """What the engine shows for a finding."""
    told = [f"{finding.path}: {finding.what}" if finding.path else finding.what]
    if finding.status == "not evaluated":
        told.append("not evaluated, so it does not pass")
    told.append(f"wanted: {finding.wanted}")
    if finding.mend:
        told.append(f"mend: {finding.mend}")
    return "\n".join(told)


def policies_of(rules: Iterable[Rule], profiles: Profiles, environment: str) -> list[sdk.Policy]:
    """One policy for each requirement and way of judging it."""
    catalogue = load()
    made: dict[str, sdk.Policy] = {}
    for rule in rules:
        if rule.on is Project:
            continue
        alone = rule.on in OF_ONE_RESOURCE
        name = rule.item if alone else f"{rule.item}{TOGETHER}"
        if name not in made:
            made[name] = _policy(name, rule, profiles.demand(rule.item), catalogue[rule.item].title, environment, alone)
    about_waivers = Demand("high", False, dict.fromkeys(PROFILES_THERE_ARE, "mandatory"), {})
    made[WAIVER_ITEM] = _policy(WAIVER_ITEM, None, about_waivers, "Waivers are in force and needed", environment, False)
    return list(made.values())


def _policy(
    name: str, rule: Rule | None, demand: Demand, title: str, environment: str, alone: bool
) -> sdk.ResourceValidationPolicy | sdk.StackValidationPolicy:
    kind = sdk.ResourceValidationPolicy if alone else sdk.StackValidationPolicy
    return kind(
        name=name,
        description=title,
        # Never called: the analyzer above judges for all policies at once.
        validate=lambda _args, _report: None,
        enforcement_level=_LEVELS[demand.levels[environment]],
        severity=_SEVERITIES[demand.severity],
        framework=sdk.PolicyComplianceFramework(name="workflow-platform checklists", reference=name),
        remediation_steps=rule.mend if rule else None,
        url="docs/policies.md",
    )


def serve() -> None:
    """Answers the engine until it is done. Raises PolicyError when the pack's own files are wrong."""
    rules, profiles = all_rules(), load_profiles()
    waivers = load_waivers(Path(os.environ.get(WAIVER_FILE) or WAIVERS), {rule.item for rule in rules})
    # The engine lists the policies before it tells the stack; until then the strict profile speaks.
    environment = os.environ.get(PROFILE) or None
    if environment not in (None, *PROFILES_THERE_ARE):
        known = ", ".join(PROFILES_THERE_ARE)
        raise PolicyError(f"{PROFILE} is {environment}, and there is no such profile", f"set it to one of: {known}")
    Analyzer.rules, Analyzer.profiles, Analyzer.waivers = rules, profiles, tuple(waivers)
    Analyzer.of_one_resource = tuple(rule for rule in rules if rule.on in OF_ONE_RESOURCE)
    Analyzer.environment, Analyzer.fingerprints = environment, known_fingerprints(os.environ)
    sdk._PolicyAnalyzerServicer = Analyzer  # type: ignore[misc]
    sdk.PolicyPack(NAME, policies_of(rules, profiles, environment or "prod"))

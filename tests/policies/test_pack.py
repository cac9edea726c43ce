"""The pack as the engine asks it, in the engine's own messages."""

from dataclasses import replace
from datetime import date
from typing import Any

import pulumi_policy.policy as sdk
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime import proto
from pulumi_policy.proxy import UNKNOWN_BOOLEAN_VALUE

from policies.engine.profiles import load_profiles
from policies.engine.rule import all_rules
from policies.engine.subjects import OF_ONE_RESOURCE
from policies.engine.waivers import WAIVER_ITEM, Waiver
from policies.pack import NAME, TOGETHER, Analyzer, policies_of
from policies.sources import sdk as source
from policies.sources.sdk import STACK
from policies.view.deployment import Deployment
from policies.view.project import Project
from policies.view.resources import Resource
from tests.policies.changes import put
from tests.policies.conftest import recorded

pytestmark = pytest.mark.ring("unit")

ITEM = "container-hardening"


@pytest.fixture
def analyzer(monkeypatch: pytest.MonkeyPatch) -> Analyzer:
    """The pack's answering side, without its server."""
    return declared_as(monkeypatch, "dev")


def declared_as(monkeypatch: pytest.MonkeyPatch, environment: str) -> Analyzer:
    """That, with the levels of one profile declared."""
    rules = all_rules()
    monkeypatch.setattr(Analyzer, "rules", rules)
    monkeypatch.setattr(Analyzer, "profiles", load_profiles(), raising=False)
    monkeypatch.setattr(Analyzer, "of_one_resource", tuple(rule for rule in rules if rule.on in OF_ONE_RESOURCE))
    policies = policies_of(rules, load_profiles(), environment)
    return Analyzer(NAME, "1.0.0", policies, sdk.EnforcementLevel.ADVISORY)


def message(resource: Resource, kind: Any = proto.AnalyzeRequest, **fields: Any) -> Any:
    properties = struct_pb2.Struct()
    properties.update(resource.inputs.content)
    return kind(type=resource.type, properties=properties, urn=resource.urn, name=resource.name, **fields)


def asked(analyzer: Analyzer, deployment: Deployment) -> list[Any]:
    """All diagnostics of a whole preview."""
    alone = [each for one in deployment.resources for each in analyzer.Analyze(message(one), None).diagnostics]
    resources = [
        message(
            one,
            proto.AnalyzerResource,
            parent=one.parent or "",
            dependencies=one.dependencies,
            propertyDependencies={
                name: proto.AnalyzerPropertyDependencies(urns=urns) for name, urns in one.property_dependencies.items()
            },
        )
        for one in with_outputs(deployment)
    ]
    together = analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=resources), None)
    return [*alone, *together.diagnostics]


def with_outputs(deployment: Deployment) -> list[Resource]:
    """The resources as the engine has them at the end: the stack's own has the outputs."""
    return [replace(each, inputs=deployment.outputs) if each.type == STACK else each for each in deployment.resources]


def of_item(diagnostics: list[Any]) -> list[Any]:
    return [each for each in diagnostics if each.policyName == ITEM]


def test_the_good_deployment_has_no_diagnostic(analyzer: Analyzer) -> None:
    assert [f"{each.policyName}: {each.message}" for each in asked(analyzer, recorded("dev"))] == []


def test_a_fault_is_mandatory_and_names_policy_resource_field_and_mend(analyzer: Analyzer) -> None:
    changed = put("Container", "api", "privileged", True)(recorded("dev"))
    (found,) = of_item(asked(analyzer, changed))
    assert (found.policyName, found.enforcementLevel, found.severity) == (
        ITEM,
        proto.MANDATORY,
        proto.POLICY_SEVERITY_CRITICAL,
    )
    assert found.urn.endswith("::api")
    assert found.message.splitlines() == [
        "privileged: the container is privileged",
        "wanted: no privileged mode",
        "mend: leave `privileged` out",
    ]


def test_an_unknown_field_is_mandatory_too(analyzer: Analyzer) -> None:
    changed = put("Container", "api", "privileged", UNKNOWN_BOOLEAN_VALUE)(recorded("dev"))
    (found,) = of_item(asked(analyzer, changed))
    assert (found.policyName, found.enforcementLevel) == (ITEM, proto.MANDATORY)
    assert "not evaluated, so it does not pass" in found.message


def test_each_resource_is_read_once_however_many_policies_there_are(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Any] = []
    original = sdk.deserialize_properties
    monkeypatch.setattr(sdk, "deserialize_properties", lambda props, *rest: read.append(1) or original(props, *rest))
    deployment = recorded("dev")
    asked(analyzer, deployment)
    assert len(read) == 2 * len(deployment.resources)


def test_a_waived_finding_is_not_told_and_an_unused_waiver_is(
    analyzer: Analyzer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiver = Waiver(ITEM, "*::api", "a test", "me", date(9999, 1, 1), "waivers.yaml:1")
    monkeypatch.setattr(Analyzer, "waivers", (waiver,))
    changed = put("Container", "api", "privileged", True)(recorded("dev"))
    assert asked(analyzer, changed) == []
    monkeypatch.setattr(Analyzer, "waivers", (replace(waiver, urn="*::nobody"),))
    assert {each.policyName for each in asked(analyzer, changed)} == {ITEM, WAIVER_ITEM}


def test_what_somebody_configured_comes_before_the_profile(analyzer: Analyzer) -> None:
    analyzer.Configure(
        proto.ConfigureAnalyzerRequest(policyConfig={ITEM: proto.PolicyConfig(enforcementLevel=proto.ADVISORY)}), None
    )
    changed = put("Container", "api", "privileged", True)(recorded("dev"))
    (found,) = of_item(asked(analyzer, changed))
    assert found.enforcementLevel == proto.ADVISORY


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_what_the_engine_hands_back_of_the_strict_profile_is_no_choice_of_anybody(
    stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Policies are declared before the stack is known, by the strict profile, and the engine repeats that."""
    analyzer = declared_as(monkeypatch, "prod")
    listed = analyzer.GetAnalyzerInfo(None, None).policies
    levels = {each.name: proto.PolicyConfig(enforcementLevel=each.enforcementLevel) for each in listed}
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig=levels), None)
    item = "kafka-listener-ports"
    assert load_profiles().demand(item).levels == {"dev": "mandatory", "prod": "off", "rehearsal": "off"}
    changed = put("Container", "kafka", "ports", [])(recorded("dev")) if stack == "dev" else recorded("prod")
    found = {each.policyName: each.enforcementLevel for each in asked(analyzer, changed)}
    assert found.get(f"{item}{TOGETHER}") == (proto.MANDATORY if stack == "dev" else None)


def test_every_requirement_is_listed_with_its_reference_and_severity(analyzer: Analyzer) -> None:
    listed = {each.name: each for each in analyzer.GetAnalyzerInfo(None, None).policies}
    judged = {rule.item for rule in all_rules() if rule.on is not Project}
    assert {name.removesuffix(TOGETHER) for name in listed} - {WAIVER_ITEM} == judged
    assert all(each.url and each.framework.reference and each.severity for each in listed.values())


def test_a_secret_that_the_engine_keeps_back_is_not_known() -> None:
    """`pulumi policy analyze --file` has no key, and hands over a text in place of each secret."""
    given = {"data": {"password": "[secret]", "user": "me"}}
    data = source.resource_of("urn", "kubernetes:core/v1:Secret", "x", given, protect=False).inputs["data"]
    assert data["password"].is_unknown
    assert data["user"].text() == "me"

"""The two good deployments, recorded once, and how a changed one is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from typing import Any

import pulumi
import pytest
from pulumi_policy.policy import PolicyResource, PolicyResourceOptions
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from ops import policy
from ops.home import PROJECT_DIR
from policies.engine.findings import Finding
from policies.engine.judge import judge
from policies.engine.profiles import Profiles, load_profiles
from policies.engine.rule import Rule, all_rules
from policies.sources.sdk import deployment_of
from policies.view import clock
from policies.view.deployment import Deployment
from policies.view.project import Project
from policies.view.values import UNKNOWN, Value
from stacks.load import load_stack

Judge = Callable[..., list[Finding]]


@cache
def rules_by_name() -> dict[str, Rule]:
    """Every rule by the name of its function."""
    return {each.name: each for each in all_rules()}


@cache
def profiles() -> Profiles:
    """The project's own."""
    return load_profiles()


@cache
def recorded(stack: str) -> Deployment:
    """What the program of this tree registers for a stack, with every image there."""
    return policy.recorded(load_stack(stack, PROJECT_DIR))


@pytest.fixture(scope="session")
def project() -> Project:
    """This tree."""
    return Project(PROJECT_DIR, "prod")


@pytest.fixture
def findings() -> Judge:
    """What the rules of some names, or all rules, say of a deployment, seen through the SDK's own proxies."""

    def ask(deployment: Deployment, *names: str, project: Project | None = None) -> list[Finding]:
        chosen = [rules_by_name()[name] for name in names] if names else all_rules()
        if not _READ:
            for stack in ("dev", "prod"):
                through_the_sdk(recorded(stack))
        return judge(through_the_sdk(deployment), chosen, profiles(), project=project).findings

    return ask


def through_the_sdk(deployment: Deployment) -> Deployment:
    """The same deployment as the policy SDK would hand it over."""
    known: dict[str, PolicyResource] = {}
    for each in deployment.resources:
        options = PolicyResourceOptions(each.protect, [], None, [], None, [], each.parent)  # type: ignore[arg-type]
        props = {} if id(each) in _READ else unknown_checking_proxy(_sealed(each.inputs.content))
        known[each.urn] = PolicyResource(each.type, props, each.urn, each.name, options, None, None, [], {})
    for each in deployment.resources:
        made = known[each.urn]
        made.parent = known.get(each.parent or "")
        made.dependencies = [known[urn] for urn in each.dependencies if urn in known]
        made.property_dependencies = {
            name: [known[urn] for urn in urns if urn in known] for name, urns in each.property_dependencies.items()
        }
    read = {each.urn: _READ[id(each)] for each in deployment.resources if id(each) in _READ}
    seen = deployment_of(known.values(), read, deployment.outputs.content)
    if deployment.stack in ("dev", "prod") and deployment is recorded(deployment.stack):
        _READ.update((id(one), seen.by_urn[one.urn].inputs) for one in deployment.resources)
    return seen.compared_with(deployment.fingerprints)


_READ: dict[int, Value] = {}
"""What the SDK hands over of the good deployments' resources, by identity: nearly all of a changed one are theirs,
and reading them anew for each of a thousand cases takes minutes."""


def _sealed(content: Any) -> Any:
    if content is UNKNOWN:
        return UNKNOWN_STRING_VALUE
    if isinstance(content, dict):
        return {key: _sealed(value) for key, value in content.items()}
    return [_sealed(each) for each in content] if isinstance(content, list) else content


@pytest.fixture(autouse=True)
def _day_of_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    """A date that the description tells must not make the tests fail one day."""
    monkeypatch.setattr(clock, "today", lambda: date(2026, 12, 1))


@pytest.fixture(autouse=True)
def _quiet_engine() -> Iterator[None]:
    """Recording a program configures Pulumi's runtime for this process."""
    yield
    pulumi.runtime.settings.reset_options()

"""An exported state is judged like a preview; a malformed one is refused with its line or field."""

import json
from pathlib import Path
from typing import Any

import pytest

from policies.errors import PolicyError
from policies.sources.state import deployment_of, read_state
from policies.view.values import SIGNATURE
from tests.policies.conftest import Judge, recorded

pytestmark = pytest.mark.ring("unit")

CIPHERTEXT = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}


def exported(stack: str, **changes: Any) -> dict[str, Any]:
    """The good deployment as the engine would record it; secrets of Kubernetes are encrypted."""
    resources = []
    for each in recorded(stack).resources:
        inputs = dict(each.inputs.content)
        if each.kind == "Secret":
            inputs["data"] = CIPHERTEXT
        entry = {
            "urn": each.urn,
            "type": each.type,
            "inputs": inputs,
            "parent": each.parent,
            "dependencies": sorted(each.dependencies),
            "propertyDependencies": {name: sorted(urns) for name, urns in each.property_dependencies.items()},
            "protect": each.protect,
            "retainOnDelete": each.retain,
        }
        resources.append(
            {**entry, **changes} if each.name == "api" and each.kind in ("Container", "Deployment") else entry
        )
    outputs = recorded(stack).outputs.content
    for each in resources:
        if each["type"] == "pulumi:pulumi:Stack":
            each["outputs"] = outputs
    if not any(each["type"] == "pulumi:pulumi:Stack" for each in resources):
        urn = f"urn:pulumi:{stack}::workflow-platform::pulumi:pulumi:Stack::workflow-platform-{stack}"
        resources.append({"urn": urn, "type": "pulumi:pulumi:Stack", "outputs": outputs})
    return {"version": 3, "deployment": {"resources": resources}}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_state_of_a_good_deployment_has_no_finding(stack: str, findings: Judge) -> None:
    found = findings(deployment_of(exported(stack)))
    assert [f"{each.item}: {each.place}: {each.what}" for each in found] == []


def test_a_fault_in_a_state_is_found(findings: Judge) -> None:
    content = next(each for each in recorded("dev").of("Container") if each.name == "api").inputs.content
    state = exported("dev", inputs={**content, "privileged": True})
    assert {each.check for each in findings(deployment_of(state))} == {"containers_are_not_privileged"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "state.json:1: not JSON"),
        ("[]", "`deployment` is missing"),
        ('{"deployment": {"resources": {}}}', "`deployment.resources` must be a list"),
        ('{"deployment": {"resources": [1]}}', r"deployment.resources\[0\] must be a mapping"),
        ('{"deployment": {"resources": [{"urn": "u"}]}}', r"deployment.resources\[0\].type must be a text"),
        ('{"deployment": {"resources": [{"urn": "u", "type": "t", "inputs": []}]}}', None),
        (
            '{"deployment": {"resources": [{"urn": "u", "type": "t", "inputs": [1]}]}}',
            r"\[0\].inputs must be a mapping",
        ),
    ],
)
def test_a_malformed_state_is_refused(tmp_path: Path, text: str, what: str | None) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    if what is None:
        assert len(read_state(path).resources) == 1
        return
    with pytest.raises(PolicyError, match=what) as refused:
        read_state(path)
    assert "pulumi stack export" in refused.value.mend


def test_a_state_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="can't be read"):
        read_state(tmp_path / "none.json")


def test_the_documents_are_not_changed_by_reading_them() -> None:
    document = exported("dev")
    before = json.dumps(document, sort_keys=True)
    deployment_of(document)
    assert json.dumps(document, sort_keys=True) == before

"""The forms of a judgement that programs read."""

import json
from xml.etree.ElementTree import fromstring

import pytest

from policies.engine.findings import Finding, Judgement
from policies.report import FORMATS

pytestmark = pytest.mark.ring("unit")


def finding(item: str, status: str = "fail", level: str = "mandatory", waiver: str | None = None) -> Finding:
    return Finding(
        item,
        f"check_{item}",
        status,  # type: ignore[arg-type]
        level,  # type: ignore[arg-type]
        "high",
        f"urn:pulumi:prod::p::kubernetes:apps/v1:Deployment::{item}",
        "spec.replicas",
        "there | is one",
        "three",
        "api.replicas",
        f"docs/policies.md#{item}",
        waiver,
    )


@pytest.fixture
def judgement() -> Judgement:
    findings = [
        finding("wrong"),
        finding("unknown", "not evaluated"),
        finding("told", level="advisory"),
        finding("let-pass", waiver="a reason (me, until 2027-01-01)"),
    ]
    return Judgement("prod", "prod", findings, {"right": 3}, {"nothing-there": "no such part"}, {"left-out": "why"})


def test_junit_has_a_case_for_each_requirement(judgement: Judgement) -> None:
    suite = fromstring(FORMATS["junit"](judgement))  # noqa: S314 - it was written here
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    cases = {case.get("name"): [child.tag for child in case] for case in suite}
    assert cases == {
        "wrong": ["failure"],
        "unknown": ["error"],
        "told": ["system-out"],
        "let-pass": ["system-out"],
        "right": [],
        "nothing-there": ["skipped"],
    }


def test_sarif_has_levels_suppressions_and_stable_fingerprints(judgement: Judgement) -> None:
    (run,) = json.loads(FORMATS["sarif"](judgement))["runs"]
    results = {each["ruleId"]: each for each in run["results"]}
    assert {item: each["level"] for item, each in results.items()} == {
        "wrong": "error",
        "unknown": "error",
        "told": "warning",
        "let-pass": "error",
    }
    assert "suppressions" in results["let-pass"]
    assert "suppressions" not in results["wrong"]
    assert {each["id"] for each in run["tool"]["driver"]["rules"]} == set(results)
    assert len({each["partialFingerprints"]["finding/v1"] for each in run["results"]}) == 4


def test_markdown_is_a_table_whose_cells_hold(judgement: Judgement) -> None:
    lines = FORMATS["markdown"](judgement).splitlines()
    assert lines[0] == "## Policies of stack prod (prod): **blocked** by 2"
    rows = [line for line in lines if line.startswith("| ")][1:]
    assert len(rows) == 4
    assert all(row.replace("\\|", "").count("|") == 7 for row in rows)


def test_json_has_everything(judgement: Judgement) -> None:
    document = json.loads(FORMATS["json"](judgement))
    assert (document["blocked"], document["passed"], document["off"]) == (True, {"right": 3}, {"left-out": "why"})
    assert [each["blocks"] for each in document["findings"]] == [True, True, False, False]

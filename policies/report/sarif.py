"""For code hosts that show findings beside the code: SARIF 2.1.0."""

import json
from typing import Any

from policies.engine.findings import Finding, Judgement

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}


def as_sarif(judgement: Judgement) -> str:
    """One run; findings point at the stack's description, where they are mended."""
    items = sorted(judgement.items())
    by_item = {each.item: each for each in reversed(judgement.findings)}
    rules = [
        {
            "id": item,
            "shortDescription": {"text": by_item[item].wanted},
            "helpUri": by_item[item].reference,
            "properties": {"security-severity": _SCORES[by_item[item].severity]},
        }
        for item in items
    ]
    results = [_result(each, judgement.stack) for each in judgement.findings]
    driver = {"name": "workflow-platform-policies", "rules": rules}
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(finding: Finding, stack: str) -> dict[str, Any]:
    what = finding.what if finding.status == "fail" else f"not evaluated: {finding.what}"
    text = f"{what}; wanted: {finding.wanted}" + (f"; mend: {finding.mend}" if finding.mend else "")
    result: dict[str, Any] = {
        "ruleId": finding.item,
        "level": "error" if finding.level == "mandatory" else "warning",
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": f"Pulumi.{stack}.yaml"}},
                "logicalLocations": [{"fullyQualifiedName": finding.resource or finding.path, "name": finding.path}],
            }
        ],
        # The same finding of two runs is known again by this.
        "partialFingerprints": {"finding/v1": "/".join((finding.item, finding.check, finding.resource, finding.path))},
    }
    if finding.waiver is not None:
        result["suppressions"] = [{"kind": "external", "justification": finding.waiver}]
    return result
